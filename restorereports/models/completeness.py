"""Is what we have of a backup server and a period complete? One answer for pages, reports and manifests.

Evidence rules 10 and 14: never from data we do not have. Reads what sync runs left behind, computes nothing anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from .backup_server import BackupServer, BackupServerSource
from .collector import CollectorOutage
from .gap import Gap
from .sync_run import SyncRun


class Verdict(models.TextChoices):
    COMPLETE = "complete", _("Complete")
    INCOMPLETE = "incomplete", _("Incomplete")
    NOT_YET_KNOWN = "not_yet_known", _("Not yet known")


class Cause(models.TextChoices):
    """Why an interval is not complete: what a gap says, or where reading has not come to."""

    NOT_RUN = "not_run", _("No sync ran")
    FAILED = "failed", _("Syncs failed")
    HISTORY_LOST = "history_lost", _("Enterprise Manager lost its history")
    SERVER_AWAY = "server_away", _("Backup server was removed from Enterprise Manager")
    BEFORE_FIRST = "before_first", _("Before what Enterprise Manager showed at the first sync")
    NEVER_READ = "never_read", _("Never read in full")
    NOT_CLOSED = "not_closed", _("No full sync since then")
    COLLECTOR = "collector", _("Enterprise Manager has not collected since then")


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """[from_at, to_at) as one Enterprise Manager has it. `detail` is a sentence of the failing syncs, or ""."""

    from_at: datetime
    to_at: datetime
    verdict: Verdict
    cause: Cause
    enterprise_manager: str
    detail: str = ""
    gap: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Completeness:
    """`intervals`: where it is not complete, oldest first; none exactly when `verdict` is complete."""

    verdict: Verdict
    intervals: tuple[Interval, ...] = ()

    @property
    def complete(self) -> bool:
        return self.verdict == Verdict.COMPLETE

    @classmethod
    def of(cls, intervals: Iterable[Interval]) -> Completeness:
        found = tuple(sorted(intervals, key=lambda one: (one.from_at, one.enterprise_manager)))
        verdicts = {one.verdict for one in found}
        worst = [verdict for verdict in (Verdict.INCOMPLETE, Verdict.NOT_YET_KNOWN) if verdict in verdicts]
        return cls(verdict=worst[0] if worst else Verdict.COMPLETE, intervals=found)


def completeness(
    server: BackupServer, start: datetime, end: datetime, *, as_of: datetime | None = None
) -> Completeness:
    """Whether the restore sessions of this backup server created in [start, end) are all here.

    Incomplete with the intervals and their cause; not yet known where no full sync has closed the period; else
    complete. `as_of` leaves out what runs found later. Where several Enterprise Managers show the server, one that
    is complete suffices.
    """
    return completeness_of([server.pk], start, end, as_of=as_of)[server.pk]


def completeness_of(
    servers: Collection[int], start: datetime, end: datetime, *, as_of: datetime | None = None
) -> dict[int, Completeness]:
    """The same for many backup servers by their ids; the number of queries does not grow with them."""
    if start >= end:
        raise ValueError("a period ends after its start")
    facts = _Facts(servers, start, end, as_of)
    return {server: Completeness.of(facts.open_intervals(server)) for server in servers}


def overall(parts: Mapping[int, Completeness]) -> Completeness:
    """Of several backup servers together: the worst verdict, each interval of an Enterprise Manager once."""
    return Completeness.of({interval for part in parts.values() for interval in part.intervals})


class _Facts:
    """What runs left behind about these backup servers, read once."""

    def __init__(
        self, servers: Collection[int], start: datetime, end: datetime, as_of: datetime | None
    ) -> None:
        self._start, self._end = start, end
        sources = BackupServerSource.objects.filter(backup_server__in=servers).select_related(
            "enterprise_manager"
        )
        self._sources: dict[int, list[BackupServerSource]] = {}
        for source in sources.order_by("pk"):
            self._sources.setdefault(source.backup_server_id, []).append(source)
        managers = {source.enterprise_manager_id for source in sources}
        self._closed = {manager: closed_to(manager, as_of=as_of) for manager in managers}
        gaps = Gap.objects.filter(enterprise_manager__in=managers, from_at__lt=end).lost()
        outages = CollectorOutage.objects.filter(enterprise_manager__in=managers, closed_run=None)
        if as_of is not None:
            gaps = gaps.filter(opened_at__lte=as_of)
            outages = outages.filter(opened_run__started_at__lte=as_of)
        self._gaps = list(gaps.order_by("from_at", "pk"))
        self._outages = list(outages)

    def open_intervals(self, server: int) -> Iterator[Interval]:
        """Where no source of this server is complete: of each stretch the interval that is nearest to it."""
        sources = self._sources.get(server, [])
        found = [(source, list(self._intervals(source))) for source in sources]
        cuts = sorted(
            {self._start, self._end}
            | {cut for source, _ in found for cut in self._within(source.removed_at)}
            | {cut for _, intervals in found for one in intervals for cut in (one.from_at, one.to_at)}
        )
        wanted: dict[Interval, None] = {}
        for moment in cuts[:-1]:
            here = [
                next((one for one in intervals if one.from_at <= moment < one.to_at), None)
                for source, intervals in found
                if source.removed_at is None or moment < source.removed_at
            ]
            if here and None not in here:
                hopeful = [one for one in here if one and one.verdict == Verdict.NOT_YET_KNOWN]
                wanted |= dict.fromkeys(one for one in hopeful or here if one)
        return iter(wanted)

    def _within(self, moment: datetime | None) -> list[datetime]:
        return [moment] if moment is not None and self._start < moment < self._end else []

    def _intervals(self, source: BackupServerSource) -> Iterator[Interval]:
        """What this source alone lacks of the period while its Enterprise Manager had the server."""
        end = min(self._end, source.removed_at) if source.removed_at else self._end
        covered_from = source.covered_from_at
        if covered_from is None:
            yield from self._interval(source, self._start, end, Cause.NEVER_READ)
            return
        yield from self._interval(source, self._start, min(covered_from, end), Cause.BEFORE_FIRST)
        for gap in self._gaps:
            if gap.enterprise_manager_id == source.enterprise_manager_id and gap.backup_server_id in (
                None,
                source.backup_server_id,
            ):
                yield from self._interval(
                    source, gap.from_at, min(gap.to_at or end, end), Cause(gap.cause), gap=gap
                )
        closed_to, cause = self._closed_to(source)
        if closed_to is None or closed_to < end:
            yield from self._interval(source, closed_to or self._start, end, cause)

    def _closed_to(self, source: BackupServerSource) -> tuple[datetime | None, Cause]:
        closed = self._closed[source.enterprise_manager_id]
        stale = [
            outage.from_at
            for outage in self._outages
            if outage.enterprise_manager_id == source.enterprise_manager_id
            and outage.backup_server_id in (None, source.backup_server_id)
        ]
        if closed is not None and stale and min(stale) < closed:
            return min(stale), Cause.COLLECTOR
        return closed, Cause.NOT_CLOSED

    def _interval(
        self, source: BackupServerSource, start: datetime, end: datetime, cause: Cause, gap: Gap | None = None
    ) -> Iterator[Interval]:
        start = max(start, self._start)
        if start < end:
            waits = cause in (Cause.NEVER_READ, Cause.NOT_CLOSED, Cause.COLLECTOR)
            yield Interval(
                from_at=start,
                to_at=end,
                verdict=Verdict.NOT_YET_KNOWN if waits else Verdict.INCOMPLETE,
                cause=cause,
                enterprise_manager=source.enterprise_manager.name,
                detail=gap.detail if gap else "",
                gap=gap.pk if gap else None,
            )


def closed_to(enterprise_manager: int, *, as_of: datetime | None = None) -> datetime | None:
    """Up to when this Enterprise Manager's restore sessions were read by a full sync that lacked none of them."""
    full = SyncRun.objects.filter(
        enterprise_manager=enterprise_manager, status=SyncRun.Status.GOOD, kind=SyncRun.Kind.FULL
    ).exclude(reconciliation__only_em_count__gt=0)
    if as_of is not None:
        full = full.filter(started_at__lte=as_of)
    return full.order_by("-pk").values_list("read_to_at", flat=True).first()
