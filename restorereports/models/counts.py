"""Every count of restore sessions comes from here, so that pages, CSV and PDF agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from .restore_session import Outcome, RestoreSessionQuerySet

LIST_LIMIT = 10_000  # lists say "over 10,000" beyond it, so that no page counts millions of rows


@dataclass(frozen=True, slots=True)
class BoundedCount:
    """How many rows, counted up to a limit."""

    value: int
    over: bool


def count_up_to(rows: RestoreSessionQuerySet, limit: int = LIST_LIMIT) -> BoundedCount:
    """Count at most `limit` rows; the work does not grow with the history behind it."""
    found = rows.order_by().values("pk")[: limit + 1].count()
    return BoundedCount(min(found, limit), found > limit)


@dataclass(frozen=True, kw_only=True, slots=True)
class OutcomeCounts:
    """Restore sessions by outcome. `completed` is the denominator of the success rate (rules 3 to 5)."""

    success: int = 0
    warning: int = 0
    failed: int = 0
    no_result: int = 0
    other: int = 0
    running: int = 0

    @property
    def total(self) -> int:
        return self.completed + self.running

    @property
    def completed(self) -> int:
        return self.success + self.warning + self.failed + self.no_result + self.other

    def __add__(self, more: OutcomeCounts) -> OutcomeCounts:
        return OutcomeCounts(**{name: getattr(self, name) + getattr(more, name) for name in self.__slots__})


_FIELD = {
    Outcome.SUCCESS: "success",
    Outcome.WARNING: "warning",
    Outcome.FAILED: "failed",
    Outcome.NO_RESULT: "no_result",
    Outcome.OTHER: "other",
    Outcome.RUNNING: "running",
}


def by_outcome(rows: RestoreSessionQuerySet) -> OutcomeCounts:
    """Counts of the rows by outcome; zero rows give zeros in every part."""
    found = rows.order_by().values("outcome").annotate(n=Count("pk")).values_list("outcome", "n")
    return OutcomeCounts(**{_FIELD[Outcome(outcome)]: n for outcome, n in found})


def by_outcome_per(rows: RestoreSessionQuerySet, *keys: str) -> dict[tuple[object, ...], OutcomeCounts]:
    """Counts by outcome for each combination of the key fields (model fields or annotations)."""
    found = (
        rows.order_by().values(*keys, "outcome").annotate(n=Count("pk")).values_list(*keys, "outcome", "n")
    )
    table: dict[tuple[object, ...], OutcomeCounts] = {}
    for *key, outcome, n in found:
        table[tuple(key)] = table.get(tuple(key), OutcomeCounts()) + OutcomeCounts(
            **{_FIELD[Outcome(outcome)]: n}
        )
    return table


def percent(part: int, whole: int) -> str | None:
    """Share with one decimal, half up, 100.0 only when whole; None for an empty whole (rule 5)."""
    if not whole:
        return None
    tenths = (part * 2000 + whole) // (whole * 2)
    if part < whole:
        tenths = min(tenths, 999)
    return f"{tenths // 10}.{tenths % 10}"


def distinct_values(rows: RestoreSessionQuerySet, field: str) -> Sequence[str]:
    """The values a field takes, found by hopping along its index (no scan of the history)."""
    values: list[str] = []
    following = rows.order_by(field).values_list(field, flat=True)
    while (
        value := following.first() if not values else following.filter(**{f"{field}__gt": values[-1]}).first()
    ) is not None:
        values.append(value)
    return values
