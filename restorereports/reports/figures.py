"""All figures of a report, gathered at one moment; what a document prints comes from here alone.

Call `gather` inside `models.snapshot.snapshot()`, so that every query sees the same rows. Counting is done by
the database; no more rows come over than a page can list, however many the period has.
"""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass, replace
from datetime import datetime

from restorereports.models import (
    Outcome,
    PolicyVersion,
    Reader,
    RestoreSession,
    RestoreSessionScope,
    SessionClass,
)
from restorereports.models import counts as counted
from restorereports.models.counts import OutcomeCounts
from restorereports.models.period import Period
from restorereports.models.restore_session import RestoreSessionQuerySet
from restorereports.policies.coverage import Coverage

from . import durations, listed, places, trend
from .cross_foot import cross_foot
from .durations import MOST_TYPES, DurationTable
from .exceptions import Exceptions, exceptions
from .policy_figures import PolicyFigures, policy_figures, verdicts_of
from .provenance import Provenance, provenance
from .scope_words import Filter, filters_of
from .trend import Trend


@dataclass(frozen=True, kw_only=True, slots=True)
class Previous:
    """The period of the same length before this one; `no_data` when it ended before the first row received."""

    start: datetime
    end: datetime
    counts: OutcomeCounts
    no_data: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeLine:
    """The restore sessions of one type in EM's word; None sums up the types beyond the bound."""

    job_type: str | None
    counts: OutcomeCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassLine:
    """The restore sessions of one class: test, real, or "" for unset."""

    session_class: str
    counts: OutcomeCounts


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """[start, end) in UTC, days counted in `zone`, everything as of `as_of`."""

    start: datetime
    end: datetime
    zone: str
    as_of: datetime
    filters: tuple[Filter, ...]
    scope: RestoreSessionScope
    counts: OutcomeCounts
    types: tuple[TypeLine, ...]
    machines_restored: int
    machines_succeeded: int
    previous: Previous
    sessions: listed.Listing
    unsuccessful: listed.Unsuccessful
    unfinished: listed.Unfinished
    carried_in: listed.CarriedIn
    durations: DurationTable
    servers: places.Servers
    virtual_machines: places.VirtualMachines
    trend: Trend
    provenance: Provenance
    classes: tuple[ClassLine, ...]
    exceptions: Exceptions
    policy: PolicyFigures | None


def gather(
    *,
    scope: RestoreSessionScope,
    zone: zoneinfo.ZoneInfo,
    as_of: datetime,
    reader: Reader,
    policy_version: PolicyVersion | None = None,
) -> Figures:
    """The figures of a period with both ends; CrossFootError when they contradict each other."""
    figures, _covered = gather_with_coverage(
        scope=scope, zone=zone, as_of=as_of, reader=reader, policy_version=policy_version
    )
    return figures


def gather_with_coverage(
    *,
    scope: RestoreSessionScope,
    zone: zoneinfo.ZoneInfo,
    as_of: datetime,
    reader: Reader,
    policy_version: PolicyVersion | None = None,
) -> tuple[Figures, Coverage | None]:
    """The same, and with a policy every VM's verdict, which coverage.csv lists whole."""
    if scope.start is None or scope.end is None:
        raise ValueError("figures are of a period with both ends")
    rows = scope.rows(reader)
    counts = counted.by_outcome(rows)
    origin = _provenance(scope, as_of=as_of, reader=reader)
    before = previous_period(scope.start, scope.end, zone)
    judged: PolicyFigures | None = None
    covered: Coverage | None = None
    if policy_version:
        judged, covered = policy_figures(
            policy_version,
            scope=scope,
            previous=before,
            zone=zone,
            as_of=as_of,
            reader=reader,
            origin=origin,
        )
    figures = Figures(
        start=scope.start,
        end=scope.end,
        zone=zone.key,
        as_of=as_of,
        filters=filters_of(scope, reader=reader),
        scope=scope,
        counts=counts,
        types=_types(rows),
        machines_restored=counted.virtual_machines(rows),
        machines_succeeded=counted.virtual_machines(rows.filter(outcome=Outcome.SUCCESS)),
        previous=_previous(
            scope,
            before,
            reader=reader,
            since=origin.first_data_at,
        ),
        sessions=listed.sessions(rows, total=counts.total),
        unsuccessful=listed.unsuccessful(rows, reader=reader),
        unfinished=listed.unfinished(rows, scope, reader=reader, as_of=as_of),
        carried_in=listed.carried_in(scope, reader=reader),
        durations=durations.durations(rows),
        servers=places.per_server(rows, scope, reader=reader, as_of=as_of),
        virtual_machines=places.per_virtual_machine(rows, reader=reader, verdicts=verdicts_of(covered)),
        trend=trend.trend(scope, zone=zone, as_of=as_of, reader=reader, first_data_at=origin.first_data_at),
        provenance=origin,
        classes=_classes(rows),
        exceptions=exceptions(rows, reader=reader),
        policy=judged,
    )
    cross_foot(figures)
    return figures, covered


def _provenance(scope: RestoreSessionScope, *, as_of: datetime, reader: Reader) -> Provenance:
    rows = scope.rows(reader)
    per_manager = counted.per_enterprise_manager(rows)
    several = counted.shown_by_several(rows) if len(per_manager) > 1 else 0
    oldest = RestoreSession.objects.visible_to(reader).order_by("started_at", "id")
    return provenance(
        scope,
        as_of=as_of,
        reader=reader,
        rows_per_manager=per_manager,
        shown_by_several=several,
        oldest_row_at=oldest.values_list("started_at", flat=True).first(),
    )


def _types(rows: RestoreSessionQuerySet) -> tuple[TypeLine, ...]:
    """Most frequent first."""
    found = [(str(job_type), n) for (job_type,), n in counted.by_outcome_per(rows, "job_type").items()]
    found.sort(key=lambda pair: (-pair[1].total, pair[0]))
    lines = [TypeLine(job_type=job_type, counts=n) for job_type, n in found[:MOST_TYPES]]
    if beyond := found[MOST_TYPES:]:
        lines.append(TypeLine(job_type=None, counts=sum((n for _type, n in beyond), OutcomeCounts())))
    return tuple(lines)


def _classes(rows: RestoreSessionQuerySet) -> tuple[ClassLine, ...]:
    """Test, real and unset, each also with nothing in it."""
    found = {str(key): n for (key,), n in counted.by_outcome_per(rows, "session_class").items()}
    order = (SessionClass.TEST, SessionClass.REAL, SessionClass.UNSET)
    return tuple(
        ClassLine(session_class=one.value, counts=found.get(one.value, OutcomeCounts())) for one in order
    )


def _previous(
    scope: RestoreSessionScope, bounds: tuple[datetime, datetime], *, reader: Reader, since: datetime | None
) -> Previous:
    """The figures of these bounds; data are there `since` then."""
    start, end = bounds
    return Previous(
        start=start,
        end=end,
        counts=counted.by_outcome(replace(scope, start=start, end=end).rows(reader)),
        no_data=since is None or end <= since,
    )


def previous_period(start: datetime, end: datetime, zone: zoneinfo.ZoneInfo) -> tuple[datetime, datetime]:
    """Whole months before whole months, as many days before whole days, else as much time before."""
    first, last = start.astimezone(zone), end.astimezone(zone)
    if _is_midnight(first) and _is_midnight(last) and first.date() < last.date():
        before = Period(first.date(), last.date(), zone.key).previous()
        return before.start_at, before.end_at
    return start - (end - start), start


def _is_midnight(at: datetime) -> bool:
    return (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)
