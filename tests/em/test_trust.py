"""TLS on a real socket: what is trusted, what is refused, and that nothing is sent before."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from restorereports.em import transport
from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.failures import (
    CertificateChanged,
    CertificateUntrusted,
    EnterpriseManagerError,
    TrustError,
    Unreachable,
)
from restorereports.em.trust import (
    certificate_facts,
    normalise_fingerprint,
    offered_certificate,
    tls_context,
    verified_certificate,
)
from tests.em.certificates import Issued, issue
from tests.em.scripted_server import ScriptedServer, manager, running

ClientOf = Callable[..., EnterpriseManagerClient]
TlsServer = Callable[[str], ScriptedServer]
OTHER_PIN = "ab" * 32


@pytest.fixture
def good(tls_server: TlsServer) -> Iterator[ScriptedServer]:
    with running(tls_server("good")) as server:
        yield server


@pytest.fixture
def proxy() -> Iterator[tuple[str, list[bytes]]]:
    """An HTTP proxy that knows CONNECT only; its address, and the heads of the requests it got."""
    heads: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def serve() -> None:
        while True:
            try:
                asking, _ = listening.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += asking.recv(4096)
            heads.append(head)
            host, _, port = head.split()[1].decode().rpartition(":")
            if head.split()[0] != b"CONNECT" or host == "refused.example.test":
                asking.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                asking.close()
                continue
            target = socket.create_connection((host, int(port)))
            asking.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            for pair in ((asking, target), (target, asking)):
                threading.Thread(target=pump, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield f"http://me:0th%3Aer@127.0.0.1:{listening.getsockname()[1]}", heads
    listening.close()


def refusal(client: EnterpriseManagerClient) -> EnterpriseManagerError:
    with pytest.raises(EnterpriseManagerError) as refused, client:
        pass
    return refused.value


def test_a_certificate_of_the_given_ca_is_trusted(
    good: ScriptedServer, client_of: ClientOf, ca: Issued
) -> None:
    with client_of(good, ca_pem=ca.pem) as client:
        assert client.api_versions == ("v1_6", "v1_7")


def test_the_ca_may_come_among_others_and_without_its_root(
    tls_server: TlsServer, client_of: ClientOf, ca: Issued, tmp_path: Path
) -> None:
    issuing = issue("Issuing CA", by=ca, ca=True)
    leaf = issue("em.example.test", by=issuing)

    with (
        running(manager(context=leaf.server_context(tmp_path))) as server,
        client_of(
            server, ca_pem="Zweite Behörde:\n" + issue("Other", ca=True).pem + "\n" + issuing.pem
        ) as client,
    ):
        assert client.api_versions == ("v1_6", "v1_7")


def test_a_self_signed_certificate_may_be_its_own_ca(
    tls_server: TlsServer, client_of: ClientOf, certificates: dict[str, Issued]
) -> None:
    with (
        running(tls_server("self-signed")) as server,
        client_of(server, ca_pem=certificates["self-signed"].pem) as client,
    ):
        assert client.api_versions == ("v1_6", "v1_7")


def test_without_a_choice_the_cas_of_the_system_count(
    good: ScriptedServer, client_of: ClientOf, ca: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "ca.pem"
    store.write_text(ca.pem)

    refused = refusal(client_of(good))
    monkeypatch.setenv("SSL_CERT_FILE", str(store))

    assert isinstance(refused, CertificateUntrusted)
    with client_of(good) as client:
        assert client.api_versions == ("v1_6", "v1_7")


def test_a_given_ca_replaces_those_of_the_system(
    good: ScriptedServer, client_of: ClientOf, ca: Issued, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = tmp_path / "ca.pem"
    store.write_text(ca.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(store))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(store))

    assert isinstance(refusal(client_of(good, ca_pem=issue("Other", ca=True).pem)), CertificateUntrusted)


def test_only_the_given_ca_is_loaded_and_nothing_of_certifi(
    good: ScriptedServer, client_of: ClientOf, ca: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []

    def remembered(**how: str) -> ssl.SSLContext:
        made.append(tls_context(**how))
        return made[-1]

    monkeypatch.setattr(transport, "tls_context", remembered)

    with client_of(good, ca_pem=ca.pem):
        loaded = made[0].get_ca_certs(binary_form=True)

    assert loaded == [ssl.PEM_cert_to_DER_cert(ca.pem)]
    assert made[0].minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("which", "reason"),
    [
        ("self-signed", "self-signed certificate"),
        ("expired", "expired"),
        ("wrong host", "not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_does_not_hold_is_refused_with_its_facts(
    tls_server: TlsServer,
    client_of: ClientOf,
    ca: Issued,
    certificates: dict[str, Issued],
    which: str,
    reason: str,
) -> None:
    with running(tls_server(which)) as server:
        refused = refusal(client_of(server, ca_pem=ca.pem))

    assert isinstance(refused, CertificateUntrusted)
    assert reason in str(refused)
    assert refused.facts is not None
    assert refused.facts.sha256 == certificates[which].sha256
    assert server.asked == []


@pytest.mark.parametrize("which", ["self-signed", "expired", "wrong host", "good"])
def test_the_pinned_certificate_is_trusted_whatever_it_says(
    tls_server: TlsServer, client_of: ClientOf, certificates: dict[str, Issued], which: str
) -> None:
    pin = ":".join(certificates[which].sha256[at : at + 2] for at in range(0, 64, 2)).upper()

    with running(tls_server(which)) as server, client_of(server, pin_sha256=pin) as client:
        assert client.api_versions == ("v1_6", "v1_7")


def test_another_certificate_than_the_pinned_one_is_refused_before_a_byte_is_sent(
    good: ScriptedServer, client_of: ClientOf, ca: Issued, certificates: dict[str, Issued]
) -> None:
    refused = refusal(client_of(good, pin_sha256=OTHER_PIN, ca_pem=ca.pem))

    assert isinstance(refused, CertificateChanged)
    assert (refused.pinned, refused.offered) == (OTHER_PIN, certificates["good"].sha256)
    assert OTHER_PIN in str(refused)
    assert certificates["good"].sha256 in str(refused)
    assert refused.facts is not None
    assert refused.facts.subject == "CN=em.example.test"
    assert good.asked == []


def test_a_changed_certificate_is_told_even_if_it_cannot_be_looked_at_again(
    good: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*args: object) -> None:
        raise Unreachable("Gone.")

    monkeypatch.setattr(transport, "offered_certificate", gone)

    refused = refusal(client_of(good, pin_sha256=OTHER_PIN))

    assert isinstance(refused, CertificateChanged)
    assert refused.facts is None


def test_trust_is_refused_once_and_not_tried_again(
    good: ScriptedServer, client_of: ClientOf, waits: list[float]
) -> None:
    refusal(client_of(good, pin_sha256=OTHER_PIN))

    assert waits == []


@pytest.mark.parametrize(
    "options",
    [
        {"pin_sha256": "abc"},
        {"pin_sha256": "g" * 64},
        {"ca_pem": "no pem"},
        {"ca_pem": "-----BEGIN CERTIFICATE-----\né\n-----END CERTIFICATE-----"},
    ],
)
def test_trust_that_cannot_be_read_is_refused_before_anything_is_sent(
    good: ScriptedServer, client_of: ClientOf, options: dict[str, str]
) -> None:
    with pytest.raises(TrustError):
        client_of(good, **options)

    assert good.asked == []


def test_a_port_without_tls_is_named_so(em: ScriptedServer, client_of: ClientOf) -> None:
    refused = refusal(client_of(em, url=em.url.replace("http:", "https:")))

    assert isinstance(refused, TrustError)
    assert "does not speak TLS" in str(refused)
    assert refused.facts is None


def test_tls_before_1_2_is_refused(
    client_of: ClientOf, certificates: dict[str, Issued], tmp_path: Path
) -> None:
    good = certificates["good"]
    context = good.server_context(tmp_path, newest=ssl.TLSVersion.TLSv1_1)

    with running(manager(context=context)) as server:
        refused = refusal(client_of(server, pin_sha256=good.sha256))

    assert isinstance(refused, TrustError)
    assert server.asked == []


def test_the_proxy_carries_tls_through_and_sees_no_password(
    good: ScriptedServer, client_of: ClientOf, certificates: dict[str, Issued], proxy: tuple[str, list[bytes]]
) -> None:
    address, heads = proxy

    with client_of(good, proxy=address, pin_sha256=certificates["good"].sha256) as client:
        assert client.api_versions == ("v1_6", "v1_7")

    assert heads
    assert all(head.startswith(f"CONNECT 127.0.0.1:{good.port} ".encode()) for head in heads)
    assert base64.b64encode(b"me:0th:er") in heads[0]


def test_a_pin_holds_through_the_proxy_too(
    good: ScriptedServer, client_of: ClientOf, proxy: tuple[str, list[bytes]]
) -> None:
    refused = refusal(client_of(good, proxy=proxy[0], pin_sha256=OTHER_PIN))

    assert isinstance(refused, CertificateChanged)
    assert refused.facts is not None
    assert good.asked == []


def test_a_proxy_that_lets_nothing_through_is_unreachable(
    client_of: ClientOf, good: ScriptedServer, proxy: tuple[str, list[bytes]]
) -> None:
    refused = refusal(client_of(good, url="https://refused.example.test", proxy=proxy[0], tries=1))

    assert isinstance(refused, Unreachable)
    assert refused.kind == "connect"


def test_the_offered_certificate_is_described_without_sending_anything(
    tls_server: TlsServer, certificates: dict[str, Issued]
) -> None:
    with running(tls_server("self-signed")) as server:
        facts = offered_certificate("127.0.0.1", server.port, 2)

    issued = certificates["self-signed"]
    assert (facts.subject, facts.issuer) == ("CN=em.example.test", "CN=em.example.test")
    assert (facts.sha256, facts.pem, facts.self_signed) == (issued.sha256, issued.pem, True)
    assert facts.not_before < datetime.now(UTC) < facts.not_after
    assert server.asked == []


def test_the_offered_certificate_is_seen_through_the_proxy(
    good: ScriptedServer, proxy: tuple[str, list[bytes]], certificates: dict[str, Issued]
) -> None:
    facts = offered_certificate("127.0.0.1", good.port, 2, proxy[0])

    assert (facts.sha256, facts.issuer, facts.self_signed) == (
        certificates["good"].sha256,
        "CN=Restore Test CA",
        False,
    )


def test_a_proxy_without_password_is_asked_without_one(
    good: ScriptedServer, proxy: tuple[str, list[bytes]]
) -> None:
    address, heads = proxy

    offered_certificate("127.0.0.1", good.port, 2, address.replace("me:0th%3Aer@", ""))

    assert b"Proxy-Authorization" not in heads[0]


def test_a_proxy_that_refuses_offers_no_certificate(proxy: tuple[str, list[bytes]]) -> None:
    with pytest.raises(Unreachable):
        offered_certificate("refused.example.test", 443, 2, proxy[0])


def _one_answer(answer: Callable[[socket.socket], None]) -> int:
    """A port whose first caller gets this."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listening, listening.accept()[0] as opened:
            answer(opened)

    threading.Thread(target=serve, daemon=True).start()
    return int(listening.getsockname()[1])


def _reset(opened: socket.socket) -> None:
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")


def _close(opened: socket.socket) -> None:
    opened.recv(4096)


def _silence(opened: socket.socket) -> None:
    threading.Event().wait(1)


@pytest.mark.parametrize(("answer", "kind"), [(_reset, "reset"), (_close, "reset"), (_silence, "timeout")])
def test_a_handshake_that_fails_has_a_kind(answer: Callable[[socket.socket], None], kind: str) -> None:
    with pytest.raises(Unreachable) as failed:
        offered_certificate("127.0.0.1", _one_answer(answer), 0.3)

    assert failed.value.kind == kind


def test_a_closed_port_offers_nothing() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]

    with pytest.raises(Unreachable) as failed:
        offered_certificate("127.0.0.1", port, 1)

    assert failed.value.kind == "connect"


def test_an_unknown_name_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(Unreachable) as failed:
        offered_certificate("em.example.test", 9398, 1)

    assert failed.value.kind == "resolve"


def test_a_certificate_can_be_verified_by_its_ca_or_its_pin(
    good: ScriptedServer, ca: Issued, certificates: dict[str, Issued]
) -> None:
    pin = certificates["good"].sha256

    by_ca = verified_certificate("127.0.0.1", good.port, 2, ca_pem=ca.pem)
    by_pin = verified_certificate("127.0.0.1", good.port, 2, pin_sha256=pin)

    assert by_ca == by_pin


def test_a_certificate_that_is_not_verified_still_shows_its_facts(
    good: ScriptedServer, certificates: dict[str, Issued]
) -> None:
    with pytest.raises(CertificateUntrusted) as untrusted:
        verified_certificate("127.0.0.1", good.port, 2)
    with pytest.raises(CertificateChanged) as changed:
        verified_certificate("127.0.0.1", good.port, 2, pin_sha256=OTHER_PIN)

    for refused in (untrusted.value, changed.value):
        assert refused.facts is not None
        assert refused.facts.sha256 == certificates["good"].sha256


def test_what_is_no_certificate_is_refused() -> None:
    with pytest.raises(TrustError, match="cannot be read"):
        certificate_facts(b"no certificate")


@pytest.mark.parametrize("spelling", ["{}", "SHA256:{}", " {} "])
def test_a_fingerprint_is_read_in_its_usual_spellings(spelling: str) -> None:
    assert normalise_fingerprint(spelling.format(OTHER_PIN.upper())) == OTHER_PIN
