"""Lists by keyset: a page begins behind the row that a signed cursor names; no OFFSET, no COUNT."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

from django.core.signing import BadSignature, Signer
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _
from pydantic import Field

from restorereports.models.keyset import Order, Position, page_of, position_of
from restorereports.models.restore_session import RestoreSession, RestoreSessionQuerySet

from .errors import Unreadable
from .values import Parameters, Word

Row = TypeVar("Row", bound=Model)
_signer: Final = Signer(salt="restorereports.api.cursor")
Limit = Annotated[int, Field(ge=1, le=500, description="How many rows a page has at most.")]


class PageParameters(Parameters):
    """What every list takes."""

    cursor: Annotated[
        str,
        Field(
            max_length=1000,
            description="`next_cursor` of the page before, with the same filters; none for the first page.",
        ),
    ] = ""
    limit: Limit = 100

    def list_key(self, of: str) -> str:
        """Names the list that a cursor belongs to: the same filters and the same order."""
        filters = self.model_dump(mode="json", exclude={"cursor", "limit"})
        text = json.dumps([of, filters], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class NamedParameters(PageParameters):
    """Things that have a name."""

    name: Annotated[Word, Field(description="Part of the name; upper and lower case are the same.")] = ""


def sign_cursor(key: str, *place: Any) -> str:
    return _signer.sign_object([key, *place])


def read_cursor(key: str, text: str) -> list[Any]:
    """The place behind which to go on; Unreadable for a cursor that was not made here for this list."""
    try:
        found = _signer.unsign_object(text)
    except (BadSignature, ValueError):
        found = []
    if not isinstance(found, list) or len(found) < 2:
        raise Unreadable("cursor", _("This is no cursor of this API. Begin again without one."))
    if found[0] != key:
        raise Unreadable(
            "cursor",
            _("This cursor is of a list with other filters or another order. Begin again without one."),
        )
    return found[1:]


def page_by_id(
    rows: QuerySet[Row], asked: PageParameters, *, of: str, newest_first: bool = False
) -> tuple[Sequence[Row], str | None]:
    """One page in the order of ids, and the cursor of the next one."""
    key = asked.list_key(of)
    if asked.cursor:
        (after,) = read_cursor(key, asked.cursor)
        rows = rows.filter(**{"pk__lt" if newest_first else "pk__gt": after})
    found = list(rows.order_by("-pk" if newest_first else "pk")[: asked.limit + 1])
    page = found[: asked.limit]
    return page, sign_cursor(key, page[-1].pk) if len(found) > asked.limit else None


def page_by_start(
    rows: RestoreSessionQuerySet, asked: PageParameters, *, of: str, order: str
) -> tuple[list[RestoreSession], str | None]:
    """One page of restore sessions by start, and the cursor of the next one."""
    key = asked.list_key(of)
    at = None
    if asked.cursor:
        started_at, pk = read_cursor(key, asked.cursor)
        started = datetime.fromisoformat(started_at)
        at = Position(value=started, started_at=started, id=pk)
    by_start = Order(descending=order.startswith("-"))
    page = page_of(rows, by_start, size=asked.limit, at=at)
    if not page.more:
        return page.rows, None
    edge = position_of(page.rows[-1], by_start)
    return page.rows, sign_cursor(key, edge.started_at.isoformat(), edge.id)
