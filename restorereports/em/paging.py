"""Walks EM's numbered pages of rows of one type, one in memory at a time, to the true end and never for ever.

EM keeps no snapshot between pages and gives no total of rows; its `PagesCount` may be 0, absent or wrong.
EM's page: "Page Size and Page" (pagesize_and_page). Links are not followed: their host is what EM believes
its name to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from lxml import etree

from restorereports.em.failures import UnexpectedAnswer, safe_text
from restorereports.em.markup import attribute, child, children, local_name

MAX_PAGES = 100_000
MAX_RESTARTS = 3
MAX_EMPTY_PAGES = 10


class HasUid(Protocol):
    """All that the walk asks of a row."""

    @property
    def uid(self) -> str: ...


Item = TypeVar("Item", bound=HasUid)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page; `restarted`: the walk began again, and the rows of the pages before come again.

    `number` counts from 1; `pages_count` is the best that is known by now, and may change from page to page.
    `is_last`: EM announces no more, and the page is not full.
    """

    number: int
    pages_count: int
    items: tuple[Item, ...]
    restarted: bool
    is_last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet(Generic[Item]):
    """One answer of the query service; the numbers as EM gives them, None where it gives none."""

    items: tuple[Item, ...]
    number: int | None
    page_size: int | None
    pages_count: int | None


# Asks for one page; the flag says "beyond the announced end", where None may come back for "there is none".
Ask = Callable[[int, bool], Sheet[Item] | None]


def read_sheet(root: etree._Element, *, type_: str, read: Callable[[etree._Element], Item]) -> Sheet[Item]:
    """A `QueryResult` of entities of one type. Raises UnexpectedAnswer for any row it cannot place."""
    if local_name(root) != "QueryResult":
        raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of a query result.")
    entities = child(root, "Entities")
    lists = children(entities, f"{type_}s") if entities is not None else iter(())
    rows = [row for rows in lists for row in children(rows, type_)]
    paging = child(root, "PagingInfo")
    if len(rows) != _rows_of_any_kind(root, type_):
        raise UnexpectedAnswer("The query result holds rows of an unknown shape.")
    return Sheet(
        items=tuple(read(row) for row in rows),
        number=_count(paging, "PageNum"),
        page_size=_count(paging, "PageSize"),
        pages_count=_count(paging, "PagesCount"),
    )


def read_count(root: etree._Element) -> int | None:
    """The number of rows behind a `QueryResult` of page 1 that was to hold one row; None if it cannot be told.

    EM gives no total of rows, only of pages; it may say 0 or 1 where there are none.
    """
    if local_name(root) != "QueryResult":
        raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of a query result.")
    rows = _rows_of_any_kind(root, "")
    paging = child(root, "PagingInfo")
    pages, size = _count(paging, "PagesCount"), _count(paging, "PageSize")
    if pages is None or rows > 1 or size not in (1, None):
        return None
    if not rows:
        return 0 if pages <= 1 else None
    return pages or None


def walk(ask: Ask[Item], *, page_size: int) -> Iterator[Page[Item]]:
    """Every page in turn; begins again when PagesCount shrinks, since rows then moved to earlier pages.

    Where the last announced page is full, one more is asked for. Raises UnexpectedAnswer after 3 new
    beginnings, 10 empty pages in a row, or 100,000 pages.
    """
    number, announced, restarts, restarted, empty = 1, 0, 0, False, 0
    before: frozenset[str] = frozenset()
    for _ in range(MAX_PAGES):
        beyond = number > max(announced, 1)
        sheet = ask(number, beyond)
        if sheet is None or (beyond and _is_end(sheet, number, announced=announced, before=before)):
            return
        if not beyond and sheet.pages_count is not None and sheet.pages_count < announced:
            restarts += 1
            if restarts > MAX_RESTARTS:
                raise UnexpectedAnswer(f"The number of pages shrank {restarts} times while they were read.")
            number, announced, restarted = 1, 0, True
            continue
        if sheet.items and sheet.number not in (None, number):
            raise UnexpectedAnswer(f"Page {sheet.number} came instead of page {number}.")
        empty = 0 if sheet.items else empty + 1
        if empty > MAX_EMPTY_PAGES:
            raise UnexpectedAnswer(f"{announced} pages were announced, but pages up to {number} are empty.")
        announced = announced if sheet.pages_count is None else sheet.pages_count
        announced = max(announced, number) if beyond else announced
        is_last = number >= announced and not _is_full(sheet, page_size=page_size)
        yield Page(number, max(announced, number), sheet.items, restarted, is_last)
        if is_last:
            return
        before, restarted = frozenset(item.uid for item in sheet.items), False
        number += 1
    raise UnexpectedAnswer(f"More than {MAX_PAGES} pages came.")


def _is_full(sheet: Sheet[Item], *, page_size: int) -> bool:
    """As many rows as fit, by our measure or by the smaller one that EM says it uses."""
    return len(sheet.items) >= min(page_size, sheet.page_size or page_size)


def _is_end(sheet: Sheet[Item], number: int, *, announced: int, before: frozenset[str]) -> bool:
    """Whether what came for a page beyond the announced end is no page: empty, or the last one again.

    Without any announced number, the same page again means that the page number is ignored: UnexpectedAnswer.
    """
    if not sheet.items:
        return True
    again = sheet.number not in (None, number) or {item.uid for item in sheet.items} <= before
    if again and not announced:
        raise UnexpectedAnswer("The same page came twice, and no number of pages was given.")
    return again


def _rows_of_any_kind(root: etree._Element, type_: str) -> int:
    """Rows of whatever type, namespace and place: the wanted type anywhere, and anything inside a list."""
    listed = {
        row
        for container in ("Entities", "Refs", "Resources")
        for lists in children(root, container)
        for row in (lists if container != "Entities" else (row for rows in lists for row in rows))
    }
    anywhere = {row for row in root.iter() if etree.QName(row).localname == type_}
    return len(listed | anywhere)


def _count(paging: etree._Element | None, name: str) -> int | None:
    """A number of PagingInfo; absent, empty, negative or unreadable is None."""
    text = attribute(paging, name).strip() if paging is not None else ""
    return int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None
