"""What sync runs left behind about how much of an Enterprise Manager was read: for `completeness` alone.

Four queries, whatever the number of Enterprise Managers and backup servers; none of them looks at restore sessions.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import F, OuterRef, Q, Subquery

from .backup_server import BackupServerSource
from .collector import CollectorOutage
from .enterprise_manager import EnterpriseManager
from .gap import Gap
from .sync_run import SyncRun, SyncRunQuerySet


@dataclass(frozen=True, kw_only=True, slots=True)
class ManagerMarks:
    """One Enterprise Manager. `closed_to`: up to then a full sync, `closed_by`, read all that it showed."""

    pk: int
    name: str
    covered_from_at: datetime | None
    closed_by: int
    closed_to: datetime | None
    lacks_rows: bool  # a full sync came since, and Enterprise Manager lists rows that it lacked
    lost_to: datetime | None  # what is older was out of its reach when a sync was last tried


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A backup server in an Enterprise Manager; without one: whatever the Enterprise Manager shows."""

    manager: int
    server: int | None = None
    name: str = ""
    covered_from_at: datetime | None
    removed_at: datetime | None = None


def place_of(source: BackupServerSource, as_of: datetime | None) -> Place:
    removed_at = source.removed_at
    return Place(
        manager=source.enterprise_manager_id,
        server=source.backup_server_id,
        name=source.name,
        covered_from_at=source.covered_from_at,
        removed_at=None if removed_at and as_of and removed_at > as_of else removed_at,
    )


def read_managers(ids: Collection[int], as_of: datetime | None) -> Iterator[ManagerMarks]:
    runs = SyncRun.objects.filter(enterprise_manager=OuterRef("pk")).order_by("-pk")
    if as_of is not None:
        runs = runs.filter(started_at__lte=as_of)
    full = full_runs(runs)
    closing = full.exclude(reconciliation__only_em_count__gt=0).exclude(
        reconciliation__counted__gt=F("reconciliation__mirrored")
    )
    found: Any = EnterpriseManager.objects.filter(pk__in=ids).annotate(
        read_by=Subquery(full.values("pk")[:1]),
        closed_by=Subquery(closing.values("pk")[:1]),
        closed_to=Subquery(closing.values("read_to_at")[:1]),
        tried_at=Subquery(runs.values("started_at")[:1]),
    )
    for manager in found:
        yield ManagerMarks(
            pk=manager.pk,
            name=manager.name,
            covered_from_at=manager.covered_from_at,
            closed_by=manager.closed_by or 0,
            closed_to=manager.closed_to,
            lacks_rows=(manager.read_by or 0) > (manager.closed_by or 0),
            lost_to=manager.tried_at - manager.window if manager.tried_at else None,
        )


def full_runs(runs: SyncRunQuerySet) -> SyncRunQuerySet:
    """Those that read everything, and could tell up to when. One of them closes what went before if it lacked nothing."""
    return runs.filter(status=SyncRun.Status.GOOD, kind=SyncRun.Kind.FULL).exclude(read_to_at=None)


def read_gaps(managers: Collection[int], start: datetime, end: datetime, as_of: datetime | None) -> list[Gap]:
    """Those that touch the period; one that was closed after `as_of` still grew then."""
    growing = Q(closed_run=None) if as_of is None else Q(closed_run=None) | Q(closed_at__gt=as_of)
    gaps = Gap.objects.filter(enterprise_manager__in=managers, from_at__lt=end)
    gaps = gaps.filter(growing | Q(to_at__gt=F("from_at")) & Q(to_at__gt=start))
    if as_of is None:
        return list(gaps.order_by("from_at", "pk"))
    found = list(gaps.filter(opened_at__lte=as_of).order_by("from_at", "pk"))
    for gap in found:
        if gap.closed_at and gap.closed_at > as_of:
            gap.to_at = None
    return found


def read_outages(managers: Collection[ManagerMarks], as_of: datetime | None) -> list[CollectorOutage]:
    """Open ones, and those that were closed since a full sync closed what went before."""
    closed_by = min((manager.closed_by for manager in managers), default=0)
    outages = CollectorOutage.objects.filter(
        Q(closed_run=None) | Q(closed_run__gt=closed_by),
        enterprise_manager__in=[manager.pk for manager in managers],
    )
    return list(outages if as_of is None else outages.filter(opened_run__started_at__lte=as_of))
