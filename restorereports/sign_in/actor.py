"""Who acts in a request, and from where, for the audit trail and for slowing guesses down."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

from restorereports.audit import Actor, Via
from restorereports.models import User


def address_of(request: HttpRequest) -> str:
    """The browser's address. X-Forwarded-For counts only from TRUSTED_PROXY, and of it only what that one added."""
    peer = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXY and peer == settings.TRUSTED_PROXY:
        said = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
        peer = said or peer
    try:
        return str(ipaddress.ip_address(peer))
    except ValueError:
        return ""


def actor_of(request: HttpRequest, *, person: User | None = None, via: str = Via.WEB) -> Actor:
    """The person who is logged in, unless another one is meant (as in a log-in)."""
    if person is None and isinstance(getattr(request, "user", None), User):
        person = request.user  # type: ignore[assignment]
    return Actor(person=person, via=via, address=address_of(request))
