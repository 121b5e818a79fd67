"""The OpenAPI document: what every address takes and answers, out of the declarations themselves."""

from __future__ import annotations

import json
from typing import Any, Final

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET
from ninja import NinjaAPI

DESCRIPTION: Final = """\
Reads what Restore Reports holds; it changes nothing. Send `Authorization: Bearer rr_…` with a token that you made
under Account, API tokens. A token sees what its person may see, within the token's scope.
If that person logs in through the identity provider, the token rests (401) from 7 days after the last log-in until the
next one, since groups are read at a log-in.

Lists have pages: take `next_cursor` as `cursor` of the next request with the same filters, until it is null. Times
are ISO 8601; those given need an offset, those answered are UTC. At most 120 requests a minute for each token;
beyond it the answer is 429 with `Retry-After` in seconds.
"""


def document_of(api: NinjaAPI) -> dict[str, Any]:
    """OpenAPI 3.1. Each operation names the token's scope it needs, as 3.1 allows for bearer tokens."""
    found: dict[str, Any] = dict(api.get_openapi_schema())
    for operations in found["paths"].values():
        for operation in operations.values():
            scope = operation.pop("x-scope", None)
            operation["security"] = [{name: [scope] if scope else []} for name in _schemes(found)]
            operation["responses"] = {str(status): told for status, told in operation["responses"].items()}
            for parameter in operation["parameters"]:
                examples = parameter.pop("examples", None)  # a list in a schema, but a map in a parameter
                if examples:
                    parameter["example"] = examples[0]
    _drop_unused(found)
    return found


def _drop_unused(found: dict[str, Any]) -> None:
    """The parameters' own classes: what they say stands at each parameter."""
    schemas = found["components"]["schemas"]
    while True:
        told = json.dumps(found)
        unused = [name for name in schemas if f'"#/components/schemas/{name}"' not in told]
        if not unused:
            return
        for name in unused:
            del schemas[name]


def _schemes(found: dict[str, Any]) -> list[str]:
    return list(found["components"]["securitySchemes"])


def document_view(api: NinjaAPI) -> Any:
    @require_GET
    def document(request: HttpRequest) -> JsonResponse:
        return JsonResponse(document_of(api))

    return document
