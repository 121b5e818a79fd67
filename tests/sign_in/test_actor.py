"""From where somebody asks: one form for each address, and only the proxy's word for it."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import RequestFactory

from restorereports.sign_in.actor import address_of
from restorereports.sign_in.tries import of_address

PROXY = "10.0.0.1"


def asked(rf: RequestFactory, peer: str, forwarded: str | None = None) -> str:
    headers = {} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded}
    return address_of(rf.get("/", REMOTE_ADDR=peer, **headers))


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("", ""),
        ("no address", ""),
    ],
)
def test_an_address_has_one_form(rf: RequestFactory, peer: str, address: str) -> None:
    assert asked(rf, peer) == address
    assert (of_address(address) is None) == (address == "")


def test_people_behind_a_socket_for_both_kinds_are_counted_apart(rf: RequestFactory) -> None:
    one, other = (of_address(asked(rf, f"::ffff:{address}")) for address in ("192.0.2.1", "198.51.100.9"))

    assert one != other
    assert one == of_address("192.0.2.1")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("203.0.113.7, 192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:5555", "192.0.2.1"),
        ("[2001:db8::1]:80", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:db8::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unknown", ""),
        ("", PROXY),
        (None, PROXY),
    ],
)
@pytest.mark.parametrize("peer", [PROXY, f"::ffff:{PROXY}"])
def test_the_proxys_word_counts_with_or_without_a_port(
    rf: RequestFactory, settings: Any, peer: str, forwarded: str | None, address: str
) -> None:
    settings.TRUSTED_PROXY = PROXY

    assert asked(rf, peer, forwarded) == address


def test_nobody_elses_word_counts(rf: RequestFactory, settings: Any) -> None:
    assert asked(rf, "192.0.2.1", "203.0.113.7") == "192.0.2.1"
    settings.TRUSTED_PROXY = PROXY
    assert asked(rf, "192.0.2.1", "203.0.113.7") == "192.0.2.1"
    settings.TRUSTED_PROXY = "::1"
    assert asked(rf, "0:0:0:0:0:0:0:1", "203.0.113.7") == "203.0.113.7"
