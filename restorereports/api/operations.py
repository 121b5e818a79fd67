"""How an address of the API is declared: what it needs, what it answers, which errors it knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

from ninja import Router

from restorereports.models import ApiToken

from .errors import Problem
from .gate import BearerToken

Read = TypeVar("Read", bound=Callable[..., Any])
_TEXT: Final = {"schema": {"type": "string"}}
_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"headers": {"WWW-Authenticate": _TEXT}, "description": "No token that works."},
    403: {"description": "The token's scope, or its person's role, does not reach that far."},
    404: {"description": "Not there, or not for this token's person: the same answer."},
    405: {"headers": {"Allow": _TEXT}, "description": "The API only reads."},
    422: {"description": "Parameters that cannot be read, each with a sentence."},
    429: {
        "headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}},
        "description": "More than 120 requests of the token in a minute, or 20 wrong tokens of an address.",
    },
}


def reads(
    router: Router,
    path: str,
    *,
    scope: ApiToken.Scope | None,
    answers: Any,
    name: str,
    not_found: bool = False,
    **documented: Any,
) -> Callable[[Read], Read]:
    """Declare a GET. `name` is its operation id and never changes; `not_found`: the path names one thing."""
    statuses = [401, 403, *([404] if not_found else []), 405, 422, 429]
    extra: dict[str, Any] = {"responses": {status: _HEADERS[status] for status in statuses}}
    if scope:
        extra["x-scope"] = scope.value
    extra |= {key: value for key, value in documented.items() if key != "content"}
    if "content" in documented:
        extra["responses"][200] = {"content": documented["content"]}
    return router.get(
        path,
        response={200: answers} | dict.fromkeys(statuses, Problem),
        auth=BearerToken(scope),
        operation_id=name,
        url_name=name,
        openapi_extra=extra,
    )
