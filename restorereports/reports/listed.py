"""Restore sessions that a report lists one by one: not successful, not finished, carried in; each bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Subquery
from django.db.models.fields import DateTimeField

from restorereports.models import Outcome, Reader, RestoreSession, RestoreSessionScope
from restorereports.models.counts import OutcomeCounts, by_outcome
from restorereports.models.restore_session import RestoreSessionQuerySet

UNSUCCESSFUL = (Outcome.FAILED, Outcome.WARNING, Outcome.NO_RESULT, Outcome.OTHER)
UNFINISHED = (Outcome.RUNNING, Outcome.UNKNOWN)
MOST_UNSUCCESSFUL = 100
MOST_UNFINISHED = 25
MOST_CARRIED_IN = 25
RECOVERED_WITHIN = timedelta(hours=24)
STALE_AFTER = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One restore session as a report lists it. `recovered_at`: the next success of the same VM in 24 hours."""

    started_at: datetime
    ended_at: datetime | None
    vm_name: str
    backup_server: str
    job_type: str
    state: str
    result: str
    outcome: str
    duration_ms: int | None
    failure_message: str
    uid: str
    recovered_at: datetime | None = None
    stale: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """The first lines of `total`."""

    lines: tuple[Line, ...]
    total: int

    @property
    def rest(self) -> int:
        return self.total - len(self.lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class Unsuccessful:
    """What ended without success in the period, newest first, and how much of it a later success made good."""

    listing: Listing
    failed_recovered: int
    recovered: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Unfinished:
    """What was never seen stopped, oldest first; `earlier` started before the period and still runs."""

    listing: Listing
    running: int
    stale: int
    unknown: int
    earlier: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CarriedIn:
    """What started before the period and ended inside it, newest end first: listed, never counted."""

    listing: Listing
    counts: OutcomeCounts


def unsuccessful(rows: RestoreSessionQuerySet, *, reader: Reader) -> Unsuccessful:
    found = rows.filter(outcome__in=UNSUCCESSFUL)
    later = (
        RestoreSession.objects.visible_to(reader)
        .filter(
            virtual_machine=OuterRef("virtual_machine"),
            outcome=Outcome.SUCCESS,
            started_at__gt=OuterRef("started_at"),
            started_at__lte=ExpressionWrapper(
                OuterRef("started_at") + RECOVERED_WITHIN, output_field=DateTimeField()
            ),
        )
        .order_by("started_at", "id")
    )
    recovered = by_outcome(found.filter(Exists(later)))
    newest = found.annotate(recovered_at=Subquery(later.values("started_at")[:1]))
    return Unsuccessful(
        listing=Listing(
            lines=_lines(newest.order_by("-started_at", "-id"), MOST_UNSUCCESSFUL),
            total=by_outcome(found).total,
        ),
        failed_recovered=recovered.failed,
        recovered=recovered.total,
    )


def unfinished(
    rows: RestoreSessionQuerySet, scope: RestoreSessionScope, *, reader: Reader, as_of: datetime
) -> Unfinished:
    found = rows.filter(outcome__in=UNFINISHED)
    counts = by_outcome(found)
    stale_before = as_of - STALE_AFTER
    before = scope.narrow(RestoreSession.objects.visible_to(reader).started_in(None, scope.start))
    return Unfinished(
        listing=Listing(
            lines=_lines(found.order_by("started_at", "id"), MOST_UNFINISHED, stale_before=stale_before),
            total=counts.total,
        ),
        running=counts.running,
        stale=by_outcome(found.filter(outcome=Outcome.RUNNING, started_at__lte=stale_before)).total,
        unknown=counts.unknown,
        earlier=by_outcome(before.filter(outcome=Outcome.RUNNING)).total,
    )


def carried_in(scope: RestoreSessionScope, *, reader: Reader) -> CarriedIn:
    if scope.start is None or scope.end is None:
        raise ValueError("carried in is said of a period with both ends")
    rows = scope.narrow(RestoreSession.objects.visible_to(reader).carried_into(scope.start, scope.end))
    counts = by_outcome(rows)
    lines = _lines(rows.order_by("-ended_at", "-id"), MOST_CARRIED_IN)
    return CarriedIn(listing=Listing(lines=lines, total=counts.total), counts=counts)


def _lines(
    rows: RestoreSessionQuerySet, most: int, *, stale_before: datetime | None = None
) -> tuple[Line, ...]:
    found = rows.annotate(server_name=F("backup_server__name"))[:most]
    return tuple(
        Line(
            started_at=row.started_at,
            ended_at=row.ended_at,
            vm_name=row.vm_name,
            backup_server=row.server_name,
            job_type=row.job_type,
            state=row.state,
            result=row.result,
            outcome=row.outcome,
            duration_ms=row.duration_ms,
            failure_message=row.failure_message,
            uid=row.uid,
            recovered_at=getattr(row, "recovered_at", None),
            stale=bool(stale_before and row.outcome == Outcome.RUNNING and row.started_at <= stale_before),
        )
        for row in found
    )
