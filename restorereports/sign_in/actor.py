"""Who acts in a request, and from where, for the audit trail and for slowing guesses down."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from restorereports.audit import Actor, Via
from restorereports.models import User

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(request: HttpRequest) -> str:
    """The browser's address. X-Forwarded-For counts only from TRUSTED_PROXY, and of it only what that one added."""
    peer = _address(request.META.get("REMOTE_ADDR", ""))
    if settings.TRUSTED_PROXY and peer and peer == _address(settings.TRUSTED_PROXY):
        said = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        peer = _address(_without_port(said)) if said else peer
    return str(peer or "")


def _address(text: str) -> Address | None:
    """One address has one form: IPv4 as such, also where a socket for both says ::ffff:192.0.2.1; no zone."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or ipaddress.IPv6Address(int(address))
    return address


def _without_port(text: str) -> str:
    """Some proxies add the port: 192.0.2.1:5555, [2001:db8::1]:443."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def actor_of(request: HttpRequest, *, person: User | None = None, via: str = Via.WEB) -> Actor:
    """The person who is logged in, unless another one is meant (as in a log-in)."""
    if person is None and isinstance(getattr(request, "user", None), User):
        person = request.user  # type: ignore[assignment]
    return Actor(person=person, via=via, address=address_of(request))
