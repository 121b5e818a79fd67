"""Walks rows by time: each page begins at the second at which the one before ended, and not at a position.

EM numbers its pages afresh for each request. A row that goes between two of them, by retention or with its
backup server, pulls the rows behind it forward, over the border of the page being read, and nothing says so:
the number of pages need not change. Rows of equal times, too, may change places over a border. A page that is
asked for as "created at or after" the last second read can lose nothing that way.

What is asked for must prove itself: the new page has to begin at that second and hold a row read before. Where
it does not, twice, or where rows are not in order of time, pages are walked by their numbers, as `paging` does;
so are the pages of one second that holds more rows than a page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Generic

from restorereports.em import paging
from restorereports.em.failures import UnexpectedAnswer
from restorereports.em.paging import Ask, Item, Page, walk

MAX_MISSES = 2

# What asks for the pages from a moment on (whole seconds, aware); None: from the beginning.
AskFrom = Callable[[datetime | None], Ask[Item]]


@dataclass(frozen=True, slots=True)
class _Stretch(Generic[Item]):
    """The pages of one filter: where it begins, the rows of that second already read, the pages done before."""

    begin: datetime | None
    known: frozenset[str]
    done: int


def walk_by_time(
    ask_from: AskFrom[Item], *, page_size: int, moment_of: Callable[[Item], datetime]
) -> Iterator[Page[Item]]:
    """Every row at least once, as far as it was there all the time; no page holds rows of the page before.

    Begins again, as `paging.walk` does, with `restarted`. Raises UnexpectedAnswer as that, too.
    """
    stretch: _Stretch[Item] = _Stretch(None, frozenset(), 0)
    misses, by_time, restarted = 0, True, False
    while True:
        start = stretch.begin
        for page in walk(ask_from(stretch.begin), page_size=page_size):
            if stretch.done + page.number > paging.MAX_PAGES:
                raise UnexpectedAnswer(f"More than {paging.MAX_PAGES} pages came.")
            if by_time and not _fits(page, stretch, moment_of):
                misses += 1
                by_time = stretch.begin is not None and misses < MAX_MISSES
                if stretch.begin is not None:
                    stretch, restarted = _Stretch(None, frozenset(), 0), True
                    break
            new = tuple(item for item in page.items if item.uid not in stretch.known)
            if new or not stretch.known:
                yield _numbered(page, new, stretch, restarted=restarted)
                restarted = False
            if not page.items:
                continue
            start = _second(moment_of(page.items[0])) if start is None else start
            last = _second(moment_of(page.items[-1]))
            if by_time and not page.is_last and last > start:
                known = frozenset(item.uid for item in page.items if _second(moment_of(item)) == last)
                stretch = _Stretch(last, known, stretch.done + page.number)
                break
        else:
            return


def _numbered(
    page: Page[Item], items: tuple[Item, ...], stretch: _Stretch[Item], *, restarted: bool
) -> Page[Item]:
    """The page as one of the whole walk."""
    return replace(
        page,
        number=stretch.done + page.number,
        pages_count=stretch.done + page.pages_count,
        items=items,
        restarted=restarted or page.restarted,
    )


def _fits(page: Page[Item], stretch: _Stretch[Item], moment_of: Callable[[Item], datetime]) -> bool:
    """Whether the rows are in order of time, and the first page of a stretch joins on to what was read before."""
    rows = {item.uid: item for item in page.items}  # a row that comes twice is no disorder
    moments = [moment_of(item) for item in rows.values()]
    if any(later < earlier for earlier, later in pairwise(moments)):
        return False
    if stretch.begin is None or page.number > 1:
        return True
    return bool(moments) and moments[0] >= stretch.begin and not stretch.known.isdisjoint(rows)


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
