"""Every count of restore sessions comes from here, so that pages, CSV and PDF agree."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Q

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
    unknown: int = 0  # never seen stopped, and gone from EM: in no rate, never a success

    @property
    def total(self) -> int:
        return self.completed + self.running + self.unknown

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
    Outcome.UNKNOWN: "unknown",
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


@dataclass(frozen=True, kw_only=True, slots=True)
class VirtualMachineCounts:
    """The restore sessions of one VM, and when the last success and the last failure among them started."""

    virtual_machine_id: int
    counts: OutcomeCounts
    last_success_at: datetime | None
    last_failed_at: datetime | None


_WORST_FIRST = ("-failed", "-without", "-warning", "-n", "virtual_machine")


def worst_virtual_machines(rows: RestoreSessionQuerySet, limit: int) -> list[VirtualMachineCounts]:
    """The VMs with the most failures first, then without result, then with warnings, then with most rows."""
    parts: dict[str, Any] = {
        field: Count("pk", filter=Q(outcome=outcome)) for outcome, field in _FIELD.items()
    }
    found: Any = (
        rows.exclude(virtual_machine=None)
        .order_by()
        .values("virtual_machine")
        .annotate(
            **parts,
            n=Count("pk"),
            last_success_at=Max("started_at", filter=Q(outcome=Outcome.SUCCESS)),
            last_failed_at=Max("started_at", filter=Q(outcome=Outcome.FAILED)),
        )
        .annotate(without=F("no_result") + F("other"))
        .order_by(*_WORST_FIRST)[:limit]
    )
    return [
        VirtualMachineCounts(
            virtual_machine_id=row["virtual_machine"],
            counts=OutcomeCounts(**{field: row[field] for field in parts}),
            last_success_at=row["last_success_at"],
            last_failed_at=row["last_failed_at"],
        )
        for row in found
    ]


def by_outcome_without(rows: RestoreSessionQuerySet, virtual_machines: Collection[int]) -> OutcomeCounts:
    """Counts of the rows that name a VM, but none of these."""
    return by_outcome(rows.exclude(virtual_machine=None).exclude(virtual_machine__in=virtual_machines))


def virtual_machines(rows: RestoreSessionQuerySet) -> int:
    """How many VMs the rows name."""
    return rows.order_by().aggregate(n=Count("virtual_machine", distinct=True))["n"]


def virtual_machines_per_server(rows: RestoreSessionQuerySet) -> dict[int, int]:
    """How many VMs the rows name, by backup server."""
    found = rows.order_by().values("backup_server").annotate(n=Count("virtual_machine", distinct=True))
    return dict(found.values_list("backup_server", "n"))


@dataclass(frozen=True, kw_only=True, slots=True)
class DurationCounts:
    """Of the finished restore sessions of one type: how many have a duration, how many have none to use."""

    job_type: str
    measured: int
    unusable: int
    longest_ms: int | None


def durations_per_type(finished: RestoreSessionQuerySet) -> list[DurationCounts]:
    """By type, most frequent first. A missing or negative duration cannot be used."""
    usable = Q(duration_ms__gte=0)
    found = (
        finished.order_by()
        .values("job_type")
        .annotate(
            n=Count("pk"), measured=Count("pk", filter=usable), longest=Max("duration_ms", filter=usable)
        )
        .order_by("-n", "job_type")
    )
    return [
        DurationCounts(
            job_type=row["job_type"],
            measured=row["measured"],
            unusable=row["n"] - row["measured"],
            longest_ms=row["longest"],
        )
        for row in found
    ]


def per_enterprise_manager(rows: RestoreSessionQuerySet) -> dict[int, int]:
    """How many of the rows each Enterprise Manager shows; one that several show counts for each."""
    found = rows.order_by().values("sources__enterprise_manager").annotate(n=Count("pk"))
    return dict(
        found.exclude(sources__enterprise_manager=None).values_list("sources__enterprise_manager", "n")
    )


def shown_by_several(rows: RestoreSessionQuerySet) -> int:
    """How many of the rows more than one Enterprise Manager shows."""
    return rows.order_by().values("pk").annotate(n=Count("sources")).filter(n__gt=1).count()


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
