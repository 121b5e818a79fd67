"""The list's place in its order: sort, page size and the signed cursor of the address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.core.signing import BadSignature, Signer
from django.http import QueryDict
from django.utils.translation import gettext as _

from restorereports.models import RestoreSession
from restorereports.models.keyset import Order, Page, Position, page_of, position_of
from restorereports.models.restore_session import RestoreSessionQuerySet

from .tables import SORTS

SIZES = (50, 100, 250)
DEFAULT_SORT = "-started_at"
_signer = Signer(salt="restore session list")


class AddressUnreadable(ValueError):
    """The address names no page of the list; the message is for people."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """A row's position, how many rows come before the page's edge, and which way the page lies."""

    at: Position
    offset: int
    backwards: bool

    def signed(self, sort: str) -> str:
        value = self.at.value
        return _signer.sign_object(
            {
                "o": sort,
                "v": value.isoformat() if isinstance(value, datetime) else value,
                "t": isinstance(value, datetime),
                "s": self.at.started_at.isoformat(),
                "i": self.at.id,
                "n": self.offset,
                "b": self.backwards,
            }
        )

    @classmethod
    def read(cls, text: str, sort: str) -> Self:
        """Raises AddressUnreadable for a cursor that this site did not make for this order."""
        try:
            plain: dict[str, Any] = _signer.unsign_object(text)
            if plain["o"] != sort:
                raise BadSignature("made for another order")
            value = datetime.fromisoformat(plain["v"]) if plain["t"] else plain["v"]
            at = Position(value=value, started_at=datetime.fromisoformat(plain["s"]), id=plain["i"])
            return cls(at=at, offset=plain["n"], backwards=plain["b"])
        except (BadSignature, ValueError, KeyError, TypeError):
            raise AddressUnreadable(
                _("The place in the list that this address names cannot be read.")
            ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class ListPage:
    """One page of the list with its neighbours' cursors, "" where there is none."""

    rows: list[RestoreSession]
    sort: str
    size: int
    first: int
    newer: str
    older: str

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1


def read_page(rows: RestoreSessionQuerySet, query: QueryDict) -> ListPage:
    """The page an address asks for. Raises AddressUnreadable."""
    sort = query.get("sort") or DEFAULT_SORT
    column = sort.removeprefix("-")
    if column not in SORTS:
        raise AddressUnreadable(_("The list has no order of this name."))
    order = Order(field=SORTS[column], descending=sort.startswith("-"))
    size = _size(query.get("rows") or str(SIZES[0]))
    text = query.get("cursor")
    cursor = Cursor.read(text, sort) if text else None
    if cursor is None:
        return _list_page(page_of(rows, order, size=size), order, sort, size, before=0)
    page = page_of(rows, order, size=size, at=cursor.at, backwards=cursor.backwards)
    if not page.rows or (cursor.backwards and not page.more):  # a full page one, whatever has come since
        return _list_page(page_of(rows, order, size=size), order, sort, size, before=0)
    if cursor.backwards:
        return _list_page(
            Page(rows=page.rows, more=True), order, sort, size, before=max(cursor.offset - len(page.rows), 1)
        )
    return _list_page(page, order, sort, size, before=cursor.offset)


def _size(text: str) -> int:
    if text not in {str(size) for size in SIZES}:
        raise AddressUnreadable(_("A page of the list has 50, 100 or 250 rows."))
    return int(text)


def _list_page(page: Page, order: Order, sort: str, size: int, *, before: int) -> ListPage:
    newer = older = ""
    if page.rows and before:
        newer = Cursor(at=position_of(page.rows[0], order), offset=before, backwards=True).signed(sort)
    if page.rows and page.more:
        edge = position_of(page.rows[-1], order)
        older = Cursor(at=edge, offset=before + len(page.rows), backwards=False).signed(sort)
    return ListPage(rows=page.rows, sort=sort, size=size, first=before + 1, newer=newer, older=older)
