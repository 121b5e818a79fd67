"""The backup servers of one Enterprise Manager, and what is protected on them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count

from restorereports.models import (
    BackupServer,
    BackupServerSource,
    CollectorOutage,
    EnterpriseManager,
    Inventory,
    Presence,
    RestoreSession,
    User,
)
from restorereports.models.completeness import Completeness, Interval, completeness_of
from restorereports.models.counts import by_outcome_per
from restorereports.models.period import preset_period

from .completeness import settled
from .filters import DEFAULT_PERIOD

SHOWN = 50
LACKING_SHOWN = 5
STALE_AFTER = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerRow:
    """One backup server as this Enterprise Manager shows it; `sessions` as the list of 30 days counts them."""

    source: BackupServerSource
    sessions: int
    vms: int | None
    completeness: Completeness
    outage: Outage | None

    @property
    def lacking(self) -> list[Interval]:
        """What is not said of all backup servers of this Enterprise Manager together."""
        return [one for one in self.completeness.intervals if not self.is_of_all(one)]

    def is_of_all(self, one: Interval) -> bool:
        return not one.backup_server and one.enterprise_manager == self.source.enterprise_manager.name

    @property
    def troubled(self) -> bool:
        return bool(not self.completeness.complete or self.outage or self.source.removed_at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outage:
    """EM's copy of a backup server (of all, without a name) stands still since `since`."""

    backup_server: int | None
    name: str
    since: datetime
    long: bool
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Servers:
    """`shown`: those with something to look at first, then by name; `count` has all."""

    shown: list[ServerRow]
    count: int
    sessions: int
    vms: int | None
    outages: list[Outage]
    names: dict[int, str]
    lacking: list[Interval]  # what concerns whatever the Enterprise Manager shows, said once


@dataclass(frozen=True, kw_only=True, slots=True)
class Protected:
    """The last reading of what is protected, and the last that was allowed, where that is another one."""

    latest: Inventory | None
    good: Inventory | None

    @property
    def difference(self) -> int | None:
        """Ours less EM's own overview; None where EM gives none."""
        if self.good is None or self.good.overview_protected is None:
            return None
        return self.good.vms - self.good.overview_protected


def servers_of(em: EnterpriseManager, reader: User, *, as_of: datetime, inventory: bool) -> Servers:
    """A fixed number of queries. `inventory`: whether protected VMs were ever read here."""
    visible = BackupServer.objects.visible_to(reader)
    shown = em.backup_server_sources.filter(backup_server__in=visible)
    sources = list(shown.select_related("backup_server").order_by("name", "pk"))
    ids = [source.backup_server_id for source in sources]
    names = {source.backup_server_id: source.name for source in sources}
    period = preset_period(DEFAULT_PERIOD, as_of=as_of, zone=reader.zone)
    start = period.start_at if period else as_of - timedelta(days=30)
    sessions = _sessions(ids, reader, start, period.end_at if period else as_of)
    vms = _protected_vms(em, ids) if inventory else None
    complete = completeness_of(ids, start, as_of) if ids else {}
    outages = _outages(em, reader, names, as_of)
    of_one = {outage.backup_server: outage for outage in outages}
    rows = [
        ServerRow(
            source=source,
            sessions=sessions.get(source.backup_server_id, 0),
            vms=None if vms is None else vms.get(source.backup_server_id, 0),
            completeness=settled(complete[source.backup_server_id], as_of=as_of),
            outage=of_one.get(source.backup_server_id) or of_one.get(None),
        )
        for source in sources
    ]
    rows.sort(key=lambda row: not row.troubled)
    return Servers(
        shown=rows[:SHOWN],
        count=len(rows),
        sessions=sum(sessions.values()),
        vms=None if vms is None else sum(vms.values()),
        outages=outages,
        names=names,
        lacking=list(dict.fromkeys(_of_all(rows)))[:LACKING_SHOWN],
    )


def _of_all(rows: list[ServerRow]) -> Iterator[Interval]:
    return (one for row in rows for one in row.completeness.intervals if row.is_of_all(one))


def protected(em: EnterpriseManager) -> Protected:
    latest = em.inventories.first()
    if latest is None or latest.state == Inventory.State.GOOD:
        return Protected(latest=latest, good=latest)
    return Protected(latest=latest, good=em.inventories.filter(state=Inventory.State.GOOD).first())


def _sessions(ids: Collection[int], reader: User, start: datetime, end: datetime) -> dict[int, int]:
    rows = RestoreSession.objects.visible_to(reader).started_in(start, end).filter(backup_server__in=ids)
    found: dict[int, int] = {}
    for (server,), counts in by_outcome_per(rows, "backup_server").items():
        found[server] = counts.total  # type: ignore[index]
    return found


def _protected_vms(em: EnterpriseManager, ids: Collection[int]) -> dict[int, int]:
    """VMs that have restore points now, by backup server."""
    open_now = Presence.objects.filter(
        enterprise_manager=em.pk, to_at=None, virtual_machine__backup_server__in=ids
    ).order_by()
    found = open_now.values("virtual_machine__backup_server").annotate(n=Count("pk"))
    return dict(found.values_list("virtual_machine__backup_server", "n"))


def _outages(em: EnterpriseManager, reader: User, names: dict[int, str], as_of: datetime) -> list[Outage]:
    """What EM's collector does not reach at present; the longest first."""
    visible = CollectorOutage.objects.visible_to(reader)
    found = visible.filter(enterprise_manager=em.pk, closed_run=None).order_by("from_at", "pk")
    return [
        Outage(
            backup_server=outage.backup_server_id,
            name=names.get(outage.backup_server_id, "") if outage.backup_server_id else "",
            since=outage.from_at,
            long=as_of - outage.from_at > STALE_AFTER,
            message=outage.message if reader.granted.of(em.pk, outage.backup_server_id) else "",
        )
        for outage in found
    ]
