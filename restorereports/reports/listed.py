"""Restore sessions that a report lists one by one: not successful, not finished, carried in; each bounded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Subquery
from django.db.models.fields import DateTimeField
from django.utils.translation import gettext as _

from restorereports.models import (
    Outcome,
    Reader,
    RestoreSession,
    RestoreSessionNote,
    RestoreSessionScope,
)
from restorereports.models.counts import OutcomeCounts, by_outcome
from restorereports.models.restore_session import RestoreSessionQuerySet

from .exceptions import names_of

UNSUCCESSFUL = (Outcome.FAILED, Outcome.WARNING, Outcome.NO_RESULT, Outcome.OTHER)
UNFINISHED = (Outcome.RUNNING, Outcome.UNKNOWN)
MOST_UNSUCCESSFUL = 60
MOST_UNFINISHED = 15
MOST_CARRIED_IN = 15
MOST_SESSIONS = 500
RECOVERED_WITHIN = timedelta(hours=24)
STALE_AFTER = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One restore session as a report lists it. `recovered_at`: the next success of the same VM in 24 hours.

    `note` is the latest about it, `acknowledged_*` the first that acknowledges it.
    """

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
    session_class: str = ""
    recovered_at: datetime | None = None
    stale: bool = False
    note: str = ""
    noted_by: str = ""
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None


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
    newest = found.annotate(
        recovered_at=Subquery(later.values("started_at")[:1]), server_name=F("backup_server__name")
    )
    return Unsuccessful(
        listing=Listing(
            lines=_with_notes(newest.order_by("-started_at", "-id")[:MOST_UNSUCCESSFUL], reader),
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


def sessions(rows: RestoreSessionQuerySet, *, total: int) -> Listing:
    """The period's restore sessions, oldest first, as many as the appendix prints."""
    return Listing(lines=_lines(rows.order_by("started_at", "id"), MOST_SESSIONS), total=total)


def carried_in(scope: RestoreSessionScope, *, reader: Reader) -> CarriedIn:
    if scope.start is None or scope.end is None:
        raise ValueError("carried in is said of a period with both ends")
    rows = scope.narrow(RestoreSession.objects.visible_to(reader).carried_into(scope.start, scope.end))
    counts = by_outcome(rows)
    lines = _lines(rows.order_by("-ended_at", "-id"), MOST_CARRIED_IN)
    return CarriedIn(listing=Listing(lines=lines, total=counts.total), counts=counts)


def _with_notes(rows: Any, reader: Reader) -> tuple[Line, ...]:
    """What people wrote about each, by people whom the reader may know."""
    found = list(rows)
    notes: Any = RestoreSessionNote.objects.filter(restore_session__in=[row.pk for row in found])
    by_row: dict[int, list[RestoreSessionNote]] = {}
    for note in notes.order_by("pk"):
        by_row.setdefault(note.restore_session_id, []).append(note)
    names = names_of({note.author_id for said in by_row.values() for note in said}, reader)
    lines = []
    for row in found:
        said = by_row.get(row.pk, [])
        first = next((note for note in said if note.acknowledges), None)
        lines.append(
            replace(
                _line(row, row.server_name),
                note=said[-1].text if said else "",
                noted_by=names.get(said[-1].author_id, _("unknown")) if said else "",
                acknowledged_by=names.get(first.author_id, _("unknown")) if first else "",
                acknowledged_at=first.at if first else None,
            )
        )
    return tuple(lines)


def _lines(
    rows: RestoreSessionQuerySet, most: int, *, stale_before: datetime | None = None
) -> tuple[Line, ...]:
    found = rows.annotate(server_name=F("backup_server__name"))[:most]
    return tuple(_line(row, row.server_name, stale_before=stale_before) for row in found)


def _line(row: RestoreSession, server: str, *, stale_before: datetime | None = None) -> Line:
    return Line(
        started_at=row.started_at,
        ended_at=row.ended_at,
        vm_name=row.vm_name,
        backup_server=server,
        job_type=row.job_type,
        state=row.state,
        result=row.result,
        outcome=row.outcome,
        duration_ms=row.duration_ms,
        failure_message=row.failure_message,
        uid=row.uid,
        session_class=row.session_class,
        recovered_at=getattr(row, "recovered_at", None),
        stale=bool(stale_before and row.outcome == Outcome.RUNNING and row.started_at <= stale_before),
    )
