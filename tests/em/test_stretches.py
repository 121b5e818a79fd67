"""The walk by time, against a store of rows that changes, misorders or misunderstands between two pages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.em import paging
from restorereports.em.failures import UnexpectedAnswer
from restorereports.em.paging import Page, Sheet
from restorereports.em.stretches import walk_by_time

START = datetime(2031, 5, 6, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Row:
    uid: str
    at: datetime


def row(number: int, *, seconds: float | None = None) -> Row:
    return Row(str(number), START + timedelta(seconds=number if seconds is None else seconds))


@dataclass
class Store:
    """Rows as an EM would show them; `before` may change them when a page is asked for, counted from 1."""

    rows: list[Row]
    before: dict[int, Callable[[], object]] = field(default_factory=dict)
    understood: Callable[[datetime], datetime | None] = lambda moment: moment
    in_order: bool = True
    asked: list[tuple[datetime | None, int]] = field(default_factory=list)

    def walked(self, *, page_size: int = 5) -> list[Page[Row]]:
        def ask_from(begin: datetime | None) -> Callable[[int, bool], Sheet[Row]]:
            return lambda number, beyond: self._sheet(begin, number, page_size)

        return list(walk_by_time(ask_from, page_size=page_size, moment_of=lambda one: one.at))

    def _sheet(self, begin: datetime | None, number: int, size: int) -> Sheet[Row]:
        self.asked.append((begin, number))
        self.before.get(len(self.asked), lambda: None)()
        begin = None if begin is None else self.understood(begin)
        found = [one for one in self.rows if begin is None or one.at >= begin]
        if self.in_order:
            found.sort(key=lambda one: one.at)
        page = tuple(found[(number - 1) * size : number * size])
        return Sheet(items=page, number=number, page_size=size, pages_count=-(-len(found) // size))

    def drop(self, *numbers: int) -> None:
        self.rows = [one for one in self.rows if int(one.uid) not in numbers]


def numbers(pages: list[Page[Row]]) -> list[int]:
    return [int(one.uid) for page in pages for one in page.items]


def test_each_page_is_asked_for_from_the_last_second_read_and_no_row_comes_twice() -> None:
    store = Store([row(number) for number in range(12)])

    pages = store.walked()

    assert numbers(pages) == list(range(12))
    assert store.asked == [(None, 1), (row(4).at, 1), (row(8).at, 1)]
    assert [(page.number, page.pages_count, page.restarted) for page in pages] == [
        (1, 3, False),
        (2, 3, False),
        (3, 3, False),
    ]


@pytest.mark.parametrize("count", [0, 1, 4, 5, 6, 9, 10, 11])
def test_any_number_of_rows_is_read_to_its_end(count: int) -> None:
    store = Store([row(number) for number in range(count)])

    assert numbers(store.walked()) == list(range(count))


def test_rows_that_go_before_the_border_pull_none_over_it() -> None:
    store = Store([row(number) for number in range(30)])
    store.before = {2: lambda: store.drop(0, 1, 2), 4: lambda: store.drop(9, 10, 11)}

    pages = store.walked()

    assert numbers(pages) == list(range(30))
    assert not any(page.restarted for page in pages)


def test_rows_that_come_at_any_place_push_none_out() -> None:
    store = Store([row(number) for number in range(30)])
    for asked in range(1, 9):
        store.before[asked] = lambda asked=asked: store.rows.extend(  # type: ignore[misc]
            row(1000 + asked * 100 + late, seconds=late * 1.3) for late in range(25)
        )

    found = numbers(store.walked())

    assert set(range(30)) <= set(found)


def test_equal_times_over_a_border_may_change_places() -> None:
    store = Store([row(number, seconds=number // 3) for number in range(12)])
    store.before = {asked: lambda: store.rows.reverse() for asked in range(2, 9)}

    assert set(numbers(store.walked(page_size=4))) == set(range(12))


def test_a_second_with_more_rows_than_a_page_is_read_by_page_numbers() -> None:
    times = [0, 1, *[2 + number / 100 for number in range(13)], 3, 4, 5]
    store = Store([row(number, seconds=seconds) for number, seconds in enumerate(times)])

    pages = store.walked()

    second = START + timedelta(seconds=2)
    assert numbers(pages) == list(range(18))
    assert store.asked == [
        (None, 1),
        (second, 1),
        (second, 2),
        (second, 3),
        (START + timedelta(seconds=4), 1),
    ]


def test_all_rows_of_one_second_are_plain_pages() -> None:
    store = Store([row(number, seconds=0.5) for number in range(12)])

    assert numbers(store.walked()) == list(range(12))
    assert store.asked == [(None, 1), (None, 2), (None, 3)]


def test_where_the_last_second_read_has_gone_the_walk_begins_again_once() -> None:
    store = Store([row(number) for number in range(30)])
    store.before = {3: lambda: store.drop(*range(6, 12))}

    pages = store.walked()

    assert set(range(12, 30)) <= set(numbers(pages))
    assert [page.number for page in pages if page.restarted] == [1]


@pytest.mark.parametrize(
    "understood",
    [
        lambda moment: None,
        lambda moment: moment + timedelta(hours=2),
        lambda moment: moment - timedelta(hours=2),
        lambda moment: moment + timedelta(seconds=1),
    ],
    ids=["ignored", "later", "earlier", "a second later"],
)
def test_a_server_that_misunderstands_the_time_is_walked_by_page_numbers(
    understood: Callable[[datetime], datetime | None],
) -> None:
    store = Store([row(number) for number in range(22)], understood=understood)

    pages = store.walked()

    assert set(numbers(pages)) == set(range(22))
    assert [begin for begin, _ in store.asked[-5:]] == [None] * 5


def test_rows_in_no_order_of_time_are_walked_by_page_numbers() -> None:
    store = Store([row(number * 7 % 22) for number in range(22)], in_order=False)

    pages = store.walked()

    assert sorted(numbers(pages)) == list(range(22))
    assert [begin for begin, _ in store.asked] == [None] * 5
    assert not any(page.restarted for page in pages)


def test_a_row_that_comes_twice_is_no_disorder() -> None:
    rows = [row(number) for number in range(12)]
    store = Store([*rows[:2], *rows[:2], *rows[2:]], in_order=False)

    assert set(numbers(store.walked())) == set(range(12))
    assert store.asked[1][0] == row(2).at


def test_pages_without_end_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 5)
    store = Store([row(number) for number in range(100)])

    with pytest.raises(UnexpectedAnswer, match="More than 5 pages"):
        store.walked()
