from __future__ import annotations

import pytest

from restorereports.em.client import Connection, normalise_url
from restorereports.em.failures import EnterpriseManagerError, InvalidUrl


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("em.example.test", "https://em.example.test:9398"),
        ("  EM.Example.test/  ", "https://em.example.test:9398"),
        ("em.example.test:9999/api/", "https://em.example.test:9999"),
        ("https://em.example.test/api", "https://em.example.test:9398"),
        ("HTTPS://em.example.test:443/API/", "https://em.example.test:443"),
        ("10.1.2.3", "https://10.1.2.3:9398"),
        ("em_host.example.test.", "https://em_host.example.test.:9398"),
        ("[2001:DB8::1]:9000", "https://[2001:db8::1]:9000"),
        ("2001:db8::1", "https://[2001:db8::1]:9398"),
        ("https://[::1]/api", "https://[::1]:9398"),
        ("münchen.example.test", "https://xn--mnchen-3ya.example.test:9398"),
        ("http://127.0.0.1:9399", "http://127.0.0.1:9399"),
        ("http://localhost:9399/api", "http://localhost:9399"),
        ("http://[::1]", "http://[::1]:9398"),
    ],
)
def test_an_address_as_people_type_it_becomes_exact_and_stays_so(typed: str, url: str) -> None:
    normalised = normalise_url(typed)

    assert normalised == url
    assert normalise_url(normalised) == url


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("", "empty"),
        ("https://", "host name"),
        ("em example test", "space"),
        ("https:\\\\em", "backslash"),
        ("em.example.test\x00", "control character"),
        ("ftp://em.example.test", "https://"),
        ("http://em.example.test:9399", "readable"),
        ("http://127.1:9399", "readable"),
        ("https://mirror:s3cret@em.example.test", "fields of their own"),
        ("https://em.example.test:9443/login.aspx", "without a path"),
        ("https://em.example.test/api/sessionMngr", "without a path"),
        ("https://em.example.test/?v=latest", "first ?"),
        ("https://em.example.test/#", "first ?"),
        ("https://em.example.test:0", "Port 0"),
        ("https://em.example.test:65536", "port"),
        ("https://em.example.test:x", "port"),
        ("https://[::1", "host"),
        ("https://[fe80::1%25eth0]", "link-local"),
        ("169.254.169.254", "link-local"),
        ("https://2852039166:80", "link-local"),  # the same, as one number
        ("0xa9fea9fe", "link-local"),
        ("[::ffff:169.254.169.254]", "link-local"),
        ("224.0.0.1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("https://-em.example.test", "host name"),
        ("https://em..example.test", "host name"),
        ("https://" + "é" * 70, "host name"),
        ("https://" + "a." * 130, "host name"),
        ("https://em.ex%61mple.test", "host name"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_advice(typed: str, advice: str) -> None:
    with pytest.raises(InvalidUrl, match=r".") as refused:
        normalise_url(typed)

    assert advice in str(refused.value)
    assert "s3cret" not in str(refused.value)
    assert isinstance(refused.value, ValueError)
    assert isinstance(refused.value, EnterpriseManagerError)


def test_plain_http_to_another_machine_must_be_allowed_by_name() -> None:
    assert normalise_url("http://em.example.test", allow_plain_http=True) == "http://em.example.test:9398"


def test_a_connection_refuses_plain_http_that_came_round_the_normaliser() -> None:
    with pytest.raises(InvalidUrl, match="readable"):
        Connection(url="http://em.example.test:9399", username="mirror", password="s3cret")


def test_a_connection_knows_its_parts() -> None:
    tls = Connection(
        url="[2001:db8::1]", username="mirror", password="s3cret", proxy=" proxy.example.test:3128/ "
    )
    plain = Connection(url="http://localhost", username="mirror", password="s3cret")

    assert (tls.host, tls.port, tls.is_tls) == ("2001:db8::1", 9398, True)
    assert tls.proxy == "http://proxy.example.test:3128"
    assert (plain.host, plain.port, plain.is_tls) == ("localhost", 9398, False)


def test_a_connection_shows_neither_password_nor_proxy() -> None:
    connection = Connection(
        url="em.example.test",
        username="mirror",
        password="s3cret",
        proxy="http://me:0ther@proxy.example.test:3128",
    )

    assert "s3cret" not in repr(connection)
    assert "0ther" not in repr(connection)


@pytest.mark.parametrize(
    "typed",
    [
        "https://proxy.example.test:3128",
        "socks5://proxy:1080",
        "proxy",
        "http://proxy:x",
        "http://proxy:1/path",
    ],
)
def test_a_proxy_that_cannot_be_used_is_refused(typed: str) -> None:
    with pytest.raises(InvalidUrl, match="proxy"):
        Connection(url="em.example.test", username="mirror", password="s3cret", proxy=typed)


def test_plain_http_to_this_machine_goes_past_the_proxy_and_allowed_plain_http_through_it() -> None:
    proxy = "http://proxy.example.test:3128"

    near = Connection(url="http://localhost:9399", username="mirror", password="s3cret", proxy=proxy)
    far = Connection(
        url="http://em.example.test", username="m", password="p", proxy=proxy, allow_plain_http=True
    )

    assert (near.proxy, far.proxy) == ("", proxy)
