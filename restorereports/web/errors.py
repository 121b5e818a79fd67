"""Error pages: what happened and what to do."""

import logging
import secrets

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.utils.translation import gettext as _

from .refused import record_refusal

logger = logging.getLogger(__name__)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return refusal(request, _("The address of this page is not one that this site made."))


def refusal(request: HttpRequest, sentence: str, *, back: str = "") -> HttpResponse:
    """400 with one sentence, and where to go on."""
    return render(request, "web/error_400.html", {"sentence": sentence, "back": back}, status=400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Goes on record: somebody was refused what his role does not allow."""
    record_refusal(request)
    return render(request, "web/error_403.html", status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "web/error_403_csrf.html", {"reason": reason}, status=403)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "web/error_404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """500 without database, session or context processors, any of which may be what failed."""
    error_id = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}"
    logger.error("error id %s: %s /%s", error_id, request.method, _route(request))
    return HttpResponse(render_to_string("web/error_500.html", {"error_id": error_id}), status=500)


def _route(request: HttpRequest) -> str:
    """The pattern of the address: the path itself may hold a token."""
    try:
        return resolve(request.path_info).route
    except Resolver404:
        return "?"
