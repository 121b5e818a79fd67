"""Every error of the API: one JSON shape, one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.http import HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import Field


class BadParameter(Schema):
    """A parameter of the address, and what is wrong with it."""

    name: str
    message: str


class Problem(Schema):
    """What every answer but 200 holds."""

    error: str = Field(description="A word for programs; it never changes.", examples=["not_found"])
    message: str = Field(description="A sentence for people.", examples=["There is nothing here."])
    parameters: list[BadParameter] = Field(description="Which parameters are wrong; only with 422.")


class Unreadable(Exception):
    """One parameter is wrong; the message is for people. No ValueError: that would end inside pydantic."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class Forbidden(Exception):
    """The token's scope or its person's role does not reach that far."""

    def __init__(self, needs: str) -> None:
        super().__init__(needs)
        self.needs = needs


BEARER: Final = 'Bearer realm="restore-reports"'


def problem(
    status: int,
    error: str,
    message: str,
    *,
    parameters: Iterable[BadParameter] = (),
    headers: Mapping[str, str] | None = None,
) -> HttpResponse:
    told = [parameter.model_dump() for parameter in parameters]
    body = {"error": error, "message": message, "parameters": told}
    return JsonResponse(body, status=status, headers=dict(headers or {}))


def unauthorized() -> HttpResponse:
    """The same whether a token is missing, wrong, revoked or over."""
    sentence = _(
        "Send a token that works: “Authorization: Bearer rr_…”. You make one under Account, API tokens."
    )
    return problem(401, "unauthorized", sentence, headers={"WWW-Authenticate": BEARER})


def forbidden(needs: str) -> HttpResponse:
    sentence = _("This token may not do that: it needs the scope “%s”, and a role that allows it.") % needs
    return problem(403, "forbidden", sentence)


def not_found() -> HttpResponse:
    """The same for what is not there and for what the token's person may not see."""
    return problem(404, "not_found", _("There is nothing here that this token may see."))


def not_allowed(allowed: str) -> HttpResponse:
    sentence = _("This API only reads: use %s.") % allowed
    return problem(405, "method_not_allowed", sentence, headers={"Allow": allowed})


def unreadable(parameters: Iterable[BadParameter]) -> HttpResponse:
    return problem(422, "bad_parameters", _("The address cannot be read."), parameters=parameters)


def too_many_parameters() -> HttpResponse:
    sentence = _("The address has too many parameters: send fewer at once.")
    return problem(422, "bad_parameters", sentence)


def too_many(seconds: int) -> HttpResponse:
    sentence = _("Too many requests. Ask again in %d seconds.") % seconds
    return problem(429, "too_many_requests", sentence, headers={"Retry-After": str(seconds)})


def broken(error_id: str) -> HttpResponse:
    sentence = _("Something failed here. An administrator finds the error id %s in the log.") % error_id
    return problem(500, "server_error", sentence)


def bad_parameters(errors: Iterable[Mapping[str, Any]]) -> list[BadParameter]:
    """What the parameters' types found wrong, in sentences."""
    return [BadParameter(name=_name(error["loc"]), message=_sentence(error)) for error in errors]


def _name(place: tuple[Any, ...]) -> str:
    """The parameter's name out of ("query", "query", "outcome", 0); it is the last word of the place."""
    words = [str(part) for part in place if not isinstance(part, int)]
    return words[-1] if len(words) > 1 else ""


def _sentence(error: Mapping[str, Any]) -> str:
    given: Mapping[str, Any] = error.get("ctx", {})
    sentences = {
        "int_parsing": _("Write a whole number."),
        "int_parsing_size": _("This number is too large."),
        "bool_parsing": _("Write true or false."),
        "greater_than_equal": _("Write at least {ge}."),
        "less_than_equal": _("Write at most {le}."),
        "literal_error": _("Write one of {expected}."),
        "enum": _("Write one of {expected}."),
        "string_too_short": _("Write at least {min_length} characters."),
        "string_too_long": _("Write at most {max_length} characters."),
        "too_long": _("Give it at most {max_length} times."),
    }
    template = sentences.get(error["type"])
    return template.format(**given) if template else str(error["msg"])
