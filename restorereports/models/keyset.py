"""One page of restore sessions by keyset: no OFFSET, no COUNT, each query one range of one index.

An ascending order is (field, -started_at, -id), which is how the indexes lie; a descending one is its
exact mirror, so that the same index serves both. Rows without a value stand last in both directions,
newest first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from .restore_session import RestoreSession, RestoreSessionQuerySet

STARTED: Final = "started_at"
SORT_FIELDS: Final = (STARTED, "outcome", "job_type", "vm_sort", "ended_at", "duration_ms")
NULLABLE: Final = frozenset({"ended_at", "duration_ms"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """By which field, and which way round."""

    field: str = STARTED
    descending: bool = True

    def __post_init__(self) -> None:
        if self.field not in SORT_FIELDS:
            raise ValueError(f"restore sessions have no index for an order by {self.field}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """Where a row stands in an order: its value in the sorted field, its start, its id."""

    value: Any
    started_at: datetime
    id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Rows in the order asked for; `more` says whether others follow in the direction of the walk."""

    rows: list[RestoreSession]
    more: bool


def position_of(row: RestoreSession, order: Order) -> Position:
    """The place of a row, from which the page before or after it is found."""
    return Position(value=getattr(row, order.field), started_at=row.started_at, id=row.pk)


def page_of(
    rows: RestoreSessionQuerySet,
    order: Order,
    *,
    size: int,
    at: Position | None = None,
    backwards: bool = False,
) -> Page:
    """The `size` rows that follow `at` (or come before it, `backwards`); from the very end without `at`."""
    found: list[RestoreSession] = []
    for condition, ordering in _segments(order, at, backwards=backwards):
        found += rows.filter(**condition).order_by(*ordering)[: size + 1 - len(found)]
        if len(found) > size:
            break
    page = found[:size]
    return Page(rows=page[::-1] if backwards else page, more=len(found) > size)


Segment = tuple[dict[str, Any], list[str]]


def _segments(order: Order, at: Position | None, *, backwards: bool) -> Iterator[Segment]:
    """The ranges to read one after the other, nearest first."""
    if order.field == STARTED:
        yield from _tail({}, at, descending=order.descending != backwards)
        return
    parts = ["valued", "empty"] if order.field in NULLABLE else ["valued"]
    if backwards:
        parts.reverse()
    if at is not None:
        parts = parts[parts.index("empty" if at.value is None else "valued") :]
    for part in parts:
        if part == "empty":
            yield from _tail({f"{order.field}__isnull": True}, at, descending=not backwards)
        else:
            yield from _valued(order, at, backwards=backwards)
        at = None  # the parts that follow are read from their beginning


def _valued(order: Order, at: Position | None, *, backwards: bool) -> Iterator[Segment]:
    falling = order.descending != backwards
    ordering = [_signed(order.field, falling), _signed(STARTED, not falling), _signed("id", not falling)]
    if at is None:
        yield {f"{order.field}__isnull": False} if order.field in NULLABLE else {}, ordering
        return
    yield from _tail({order.field: at.value}, at, descending=not falling)
    yield {f"{order.field}__{'lt' if falling else 'gt'}": at.value}, ordering


def _tail(condition: dict[str, Any], at: Position | None, *, descending: bool) -> Iterator[Segment]:
    """Rows that share the condition's value, by start and id."""
    ordering = [_signed(STARTED, descending), _signed("id", descending)]
    if at is None:
        yield condition, ordering
        return
    beyond = "lt" if descending else "gt"
    yield condition | {STARTED: at.started_at, f"id__{beyond}": at.id}, ordering
    yield condition | {f"{STARTED}__{beyond}": at.started_at}, ordering


def _signed(field: str, descending: bool) -> str:
    return f"-{field}" if descending else field
