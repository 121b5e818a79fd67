"""Selects and orders rows. The common case, restore sessions from a creation time on, looks at no row it skips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from math import gcd
from typing import Any

from restorereports.emulator.fields import Field, date_value, field_named, test_of
from restorereports.emulator.filters import AllOf, Comparison, Condition
from restorereports.emulator.stamps import to_us
from restorereports.emulator.visible import VisibleSessions

Test = Callable[[Any], bool]
_GOLDEN = 0.6180339887


class Selection:
    """The positions of the selected rows, in the order asked for."""

    def __init__(self, rows: Sequence[Any], positions: Sequence[int]) -> None:
        self._rows = rows
        self._positions = positions

    def __len__(self) -> int:
        return len(self._positions)

    def __iter__(self) -> Iterator[Any]:
        """One by one, never all of them at once."""
        return (self._rows[position] for position in self._positions)

    def page(self, begin: int, end: int) -> list[Any]:
        """The rows from one rank to another."""
        return [self._rows[position] for position in self._positions[begin:end]]


class Shuffled(Sequence[int]):
    """The same numbers in an order that has nothing to do with time, the same each time, without a copy."""

    def __init__(self, numbers: Sequence[int]) -> None:
        self._numbers = numbers
        self._step = _coprime(len(numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self[rank] for rank in range(*at.indices(len(self)))]
        if at >= len(self._numbers):
            raise IndexError(at)
        return self._numbers[(at * self._step + 7) % len(self._numbers)]


def select(
    rows: Sequence[Any],
    *,
    fields: dict[str, Field],
    condition: Condition | None,
    sort_by: Field | None,
    descending: bool = False,
    allowed: Test | None = None,
    newer_than: datetime | None = None,
) -> Selection:
    """Rows that pass the condition and may be seen; without `sort_by` in no order. Raises BadFilter."""
    begin, end = 0, len(rows)
    tests = [] if condition is None else [test_of(condition, fields)]
    if isinstance(rows, VisibleSessions):
        begin, end, tests = _narrow(rows, condition, fields)
        if newer_than is not None:
            begin = max(begin, rows.first_from(to_us(newer_than)))
    if allowed is not None:
        tests.append(allowed)
    positions: Sequence[int] = range(begin, max(begin, end))
    if tests:
        positions = [at for at in positions if all(test(rows[at]) for test in tests)]
    return Selection(rows, _order(rows, positions, sort_by, descending))


def _order(
    rows: Sequence[Any], positions: Sequence[int], by: Field | None, descending: bool
) -> Sequence[int]:
    if by is None:
        return Shuffled(positions)
    if isinstance(rows, VisibleSessions) and by.name.startswith("CreationTime"):
        return positions[::-1] if descending else positions
    return sorted(positions, key=lambda at: by.key(rows[at]), reverse=descending)


def _narrow(
    rows: VisibleSessions, condition: Condition | None, fields: dict[str, Field]
) -> tuple[int, int, list[Test]]:
    """Turn conditions on the creation time into a range of positions; the rest stays to be tested row by row."""
    begin, end, tests = 0, len(rows), []
    terms = condition.terms if isinstance(condition, AllOf) else (condition,) if condition else ()
    for term in terms:
        test = test_of(term, fields)
        if not isinstance(term, Comparison) or not _on_creation(term, fields) or term.operator == "!=":
            tests.append(test)
            continue
        moment_us = to_us(date_value(term))
        if term.operator in {">=", ">", "=="}:
            begin = max(begin, (rows.first_after if term.operator == ">" else rows.first_from)(moment_us))
        if term.operator in {"<=", "<", "=="}:
            end = min(end, (rows.first_from if term.operator == "<" else rows.first_after)(moment_us))
    return begin, end, tests


def _on_creation(term: Comparison, fields: dict[str, Field]) -> bool:
    return field_named(term.field, fields).name.startswith("CreationTime")


def _coprime(count: int) -> int:
    """A step through `count` positions that visits each once."""
    step = max(1, int(count * _GOLDEN))
    while step > 1 and gcd(step, count) > 1:
        step -= 1
    return step
