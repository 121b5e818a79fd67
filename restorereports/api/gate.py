"""The one way in: nothing under /api/ answers without a token that works, whatever the method or the address.

A cookie opens nothing here, so that no other site can make a browser ask; only the OpenAPI document, which holds no
data, is also for people who are logged in.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import TooManyFieldsSent
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from ninja.security.base import AuthBase

from restorereports.audit import Via
from restorereports.models import Act, ApiToken, User
from restorereports.sign_in.actor import actor_of, address_of
from restorereports.sign_in.tokens import find_token, note_bad_try, record_refusal, take_request

from . import errors

if TYPE_CHECKING:

    class ApiRequest(HttpRequest):
        """A request behind the gate."""

        user: User
        api_token: ApiToken
else:
    ApiRequest = HttpRequest

logger = logging.getLogger(__name__)
View = Callable[..., HttpResponseBase]


def gated(view: View, *, also_people: bool = False) -> View:
    """The view behind the gate. `also_people`: somebody who is logged in may read it without a token."""

    @csrf_exempt
    @login_not_required
    @functools.wraps(view)
    def gate(request: ApiRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            person_reads = also_people and "Authorization" not in request.headers
            if not (person_reads and request.user.is_authenticated):
                refused = _let_in(request)
                if refused:
                    return refused
            response = view(request, *args, **kwargs)
        except Http404:
            return errors.not_found()
        except TooManyFieldsSent:
            return errors.too_many_parameters()
        except Exception:
            error_id = f"{secrets.token_hex(2)}-{secrets.token_hex(2)}"
            logger.exception("error id %s: %s /%s", error_id, request.method, _route(request))
            got_request_exception.send(sender=None, request=request)
            return errors.broken(error_id)
        return errors.not_allowed(response["Allow"]) if response.status_code == 405 else response

    return gate


def _route(request: HttpRequest) -> str:
    """The pattern of the address: what was asked for in it is the asker's."""
    return request.resolver_match.route if request.resolver_match else "?"


def _let_in(request: ApiRequest) -> HttpResponse | None:
    """The refusal, or None: then `request.user` is the token's person."""
    scheme, _space, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        return errors.unauthorized()
    at = timezone.now()
    token = find_token(text.strip(), at=at)
    if token is None:
        wait = note_bad_try(address_of(request), at=at)
        return errors.too_many(wait) if wait else errors.unauthorized()
    if wait := take_request(token, at=at):
        return errors.too_many(wait)
    request.api_token, request.user = token, token.user
    return None


class BearerToken(AuthBase):
    """What a token must be good for; asked before parameters are read and anything is looked up.

    Its name is that of the security scheme in the OpenAPI document.
    """

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, scope: ApiToken.Scope | None) -> None:
        super().__init__()
        self.scope = scope

    def __call__(self, request: ApiRequest) -> ApiToken:  # type: ignore[override]
        if self.scope is None:
            return request.api_token
        may = self.scope != ApiToken.Scope.REPORTS or request.user.may(Act.REPORT)
        if self.scope not in request.api_token.scopes or not may:
            actor = actor_of(request, via=Via.API)
            path = request.path[:200]
            needs = self.scope.value
            record_refusal(request.api_token, actor=actor, path=path, needs=needs, at=timezone.now())
            raise errors.Forbidden(needs)
        return request.api_token


def nothing(request: HttpRequest, rest: str = "") -> HttpResponse:
    """Every address that is none of the API's."""
    raise Http404
