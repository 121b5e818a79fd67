"""Where a log-in leads to: the page that was asked for, if it is one of ours."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from django.shortcuts import resolve_url
from django.utils.http import url_has_allowed_host_and_scheme

FIELD = "next"


def next_of(request: HttpRequest) -> str:
    """The `next` of the request when it is safe, else the first page."""
    return safe(request, request.POST.get(FIELD) or request.GET.get(FIELD) or "")


def safe(request: HttpRequest, address: str) -> str:
    """This address when it is a path of this site and no log-in again, else the first page."""
    here = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    path = address.startswith("/")  # a word without one would be looked up as the name of a page
    if not (here and path) or len(address) > 4000 or resolve_url(settings.LOGIN_URL) in address.split("?")[0]:
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    return address
