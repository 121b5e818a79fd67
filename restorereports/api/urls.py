"""All addresses of the API, each behind the gate, and one for every other below it."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, re_path
from ninja import NinjaAPI
from ninja.errors import ValidationError

from . import document, enterprise_managers, errors, estate, policies, reports, restore_sessions
from .gate import gated, nothing

api = NinjaAPI(
    title="Restore Reports",
    version="1",
    description=document.DESCRIPTION,
    openapi_url=None,  # behind the gate instead
    docs_url=None,  # its pages take their scripts from elsewhere
    urls_namespace="api",
)
for router in (
    restore_sessions.router,
    estate.router,
    enterprise_managers.router,
    policies.router,
    reports.router,
):
    api.add_router("", router)


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, missing: Any) -> HttpResponse:
    return errors.not_found()


@api.exception_handler(errors.Forbidden)
def _forbidden(request: HttpRequest, refused: Any) -> HttpResponse:
    return errors.forbidden(refused.needs)


@api.exception_handler(errors.Unreadable)
def _unreadable(request: HttpRequest, refused: Any) -> HttpResponse:
    return errors.unreadable([errors.BadParameter(name=refused.name, message=str(refused))])


@api.exception_handler(ValidationError)
def _not_valid(request: HttpRequest, refused: Any) -> HttpResponse:
    return errors.unreadable(errors.bad_parameters(refused.errors))


def _behind_the_gate(pattern: URLPattern) -> URLPattern:
    pattern.callback = gated(pattern.callback)
    return pattern


_operations, _app, _namespace = api.urls
urlpatterns = [
    path("openapi.json", gated(document.document_view(api), also_people=True), name="openapi"),
    *(
        _behind_the_gate(pattern)
        for pattern in _operations
        if isinstance(pattern, URLPattern) and pattern.name != "api-root"
    ),
    path("", gated(nothing), name="api-root"),
    re_path(r"^(?P<rest>[\s\S]+)$", gated(nothing), name="nothing"),
]
