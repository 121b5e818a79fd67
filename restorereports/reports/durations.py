"""How long restores took: median, nearest-rank P95 and longest, found by the database (evidence rule 11)."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, F, Window
from django.db.models.functions import RowNumber

from restorereports.models.counts import durations_per_type
from restorereports.models.restore_session import RestoreSessionQuerySet

from .listed import UNFINISHED

FILE_LEVEL = "FileLevelRestore"
FEW = 5  # below this many the values themselves are printed, and no P95
MOST_TYPES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Durations:
    """Of the finished restore sessions of one type. `values` is filled where they are few, ascending."""

    job_type: str
    measured: int
    unusable: int
    median_ms: int | None = None
    p95_ms: int | None = None
    longest_ms: int | None = None
    values_ms: tuple[int, ...] = ()

    @property
    def completed(self) -> int:
        return self.measured + self.unusable

    @property
    def is_mount_time(self) -> bool:
        return self.job_type == FILE_LEVEL


@dataclass(frozen=True, kw_only=True, slots=True)
class Spread:
    """Of n durations; median and P95 from FEW values on, below that the values themselves, ascending."""

    n: int
    median_ms: int | None = None
    p95_ms: int | None = None
    longest_ms: int | None = None
    values_ms: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class DurationTable:
    """One entry a type; `rest_*` are finished restore sessions of further types, for which none was made."""

    types: tuple[Durations, ...]
    rest_types: int = 0
    rest: int = 0

    @property
    def total(self) -> int:
        return sum(one.completed for one in self.types) + self.rest

    @property
    def measured(self) -> int:
        return sum(one.measured for one in self.types)

    @property
    def unusable(self) -> int:
        return sum(one.unusable for one in self.types)


def durations(rows: RestoreSessionQuerySet) -> DurationTable:
    finished = rows.exclude(outcome__in=UNFINISHED)
    counted = durations_per_type(finished)
    types = []
    for one in counted[:MOST_TYPES]:
        spread = spread_of(finished.filter(job_type=one.job_type, duration_ms__gte=0), n=one.measured)
        types.append(
            Durations(
                job_type=one.job_type,
                measured=one.measured,
                unusable=one.unusable,
                longest_ms=one.longest_ms,
                values_ms=spread.values_ms,
                median_ms=spread.median_ms,
                p95_ms=spread.p95_ms,
            )
        )
    beyond = counted[MOST_TYPES:]
    return DurationTable(
        types=tuple(types),
        rest_types=len(beyond),
        rest=sum(one.measured + one.unusable for one in beyond),
    )


def spread_of(rows: RestoreSessionQuerySet, *, n: int) -> Spread:
    """Of n rows that all have a usable duration; the database sorts them once.

    The median of an even number is the mean of the two in the middle, milliseconds cut.
    """
    lower, upper, p95 = (n + 1) // 2, n // 2 + 1, nearest_rank(95, n)
    wanted = range(1, n + 1) if n < FEW else sorted({lower, upper, p95, n})
    ranked: Any = (
        rows.order_by().values("duration_ms").annotate(rank=Window(RowNumber(), order_by="duration_ms"))
    )
    at = dict(ranked.filter(rank__in=wanted).values_list("rank", "duration_ms"))
    if n < FEW:
        return Spread(n=n, longest_ms=at.get(n), values_ms=tuple(at[rank] for rank in wanted))
    return Spread(n=n, median_ms=(at[lower] + at[upper]) // 2, p95_ms=at[p95], longest_ms=at[n])


def nearest_rank(percentile: int, n: int) -> int:
    """The rank, from 1, of the smallest value that at least `percentile` % of the n values do not exceed."""
    return max(math.ceil(percentile * n / 100), 1)


def medians_per_virtual_machine(rows: RestoreSessionQuerySet, ids: Collection[int]) -> dict[int, int]:
    """Median duration by VM of what finished with a usable duration, sorted once by the database."""
    ranked: Any = (
        rows.exclude(outcome__in=UNFINISHED)
        .filter(virtual_machine__in=ids, duration_ms__gte=0)
        .order_by()
        .annotate(
            rank=Window(RowNumber(), partition_by="virtual_machine", order_by=["duration_ms", "pk"]),
            n=Window(Count("pk"), partition_by="virtual_machine"),
        )
        .filter(rank__gte=F("n") / 2.0, rank__lte=F("n") / 2.0 + 1)
        .values_list("virtual_machine", "duration_ms")
    )
    middle: dict[int, list[int]] = {}
    for machine, duration in ranked:
        middle.setdefault(machine, []).append(duration)
    return {machine: sum(values) // len(values) for machine, values in middle.items()}
