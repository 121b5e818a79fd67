"""What stands before every page: the end of a sign-in, a second factor that is owed, the reader's zone, no caches."""

import zoneinfo
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import logout
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, resolve_url
from django.utils import timezone
from django.utils.cache import add_never_cache_headers

from restorereports.audit import Action, record
from restorereports.sign_in import lasting
from restorereports.sign_in.actor import actor_of
from restorereports.sign_in.second_factor import owes_second_factor

# Ids of what asks by itself (`hx-trigger="every …"`): that somebody has left a page open is no sign of him.
POLLING: Final = frozenset({"progress", "report-status"})
# In the address that a page without JavaScript loads itself anew with (`http-equiv="refresh"`).
WAITING: Final = "waiting"
# What somebody may still do who must set up his second factor first.
OPEN_WITHOUT_SECOND_FACTOR: Final = frozenset({"second-factor", "logout"})


class SignInEndsMiddleware:
    """Ends a sign-in that was idle for too long, or is too old, and leads to the log-in, in htmx's way where it asks."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        login = resolve_url(settings.LOGIN_URL)
        if _htmx(request) and response.status_code == 302 and urlsplit(response["Location"]).path == login:
            whole_page = HttpResponse()  # a fragment of a page is no place for the log-in
            whole_page["HX-Redirect"] = _login_address(request)
            return whole_page
        return response

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        if not request.user.is_authenticated:
            return None
        at = timezone.now()
        if why := lasting.why_ended(request.session, at):
            with transaction.atomic():
                record(Action.SIGN_IN_ENDED, actor_of(request), details={"why": why.value})
            logout(request)
            if not getattr(view, "login_required", True):
                return None
            return _to_login(request, why)
        if not _asks_by_itself(request):
            lasting.seen(request.session, at)
        return None


class SecondFactorMiddleware:
    """Where a second factor is required, nothing else is shown until it is set up."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], _args: object, _kwargs: object
    ) -> HttpResponse | None:
        here = request.resolver_match.url_name if request.resolver_match else ""
        if not getattr(view, "login_required", True) or here in OPEN_WITHOUT_SECOND_FACTOR:
            return None
        if request.user.is_authenticated and owes_second_factor(request.user):
            return redirect("second-factor")
        return None


class UserTimeZoneMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.user.is_authenticated:
            with timezone.override(zoneinfo.ZoneInfo(request.user.zone)):
                return self.get_response(request)
        return self.get_response(request)


class PrivatePagesMiddleware:
    """Pages hold names and histories: no browser or proxy keeps them after the log-out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        add_never_cache_headers(response)
        return response


def _htmx(request: HttpRequest) -> Any:
    """What htmx says of its request; falsy when the browser itself asks."""
    return getattr(request, "htmx", None)


def _asks_by_itself(request: HttpRequest) -> bool:
    htmx = _htmx(request)
    waits = request.method in ("GET", "HEAD") and WAITING in request.GET
    return waits or bool(htmx and htmx.trigger in POLLING)


def _to_login(request: HttpRequest, why: lasting.Ended) -> HttpResponse:
    address = _login_address(request, ended=why.value)
    if _htmx(request):
        whole_page = HttpResponse()
        whole_page["HX-Redirect"] = address
        return whole_page
    return redirect(address)


def _login_address(request: HttpRequest, **more: str) -> str:
    """The log-in, and where to go on: to the page that is open, or that was asked for."""
    htmx = _htmx(request)
    if htmx:
        onwards = htmx.current_url_abs_path or ""
    else:
        onwards = request.get_full_path() if request.method in ("GET", "HEAD") else ""
    query = ({"next": onwards} if onwards else {}) | more
    return f"{resolve_url(settings.LOGIN_URL)}?{urlencode(query, safe='/')}"
