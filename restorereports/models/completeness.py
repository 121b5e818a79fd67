"""Is what we have of a backup server and a period complete? One answer for pages, reports and manifests.

Evidence rules 10 and 14: never from data we do not have. Reads what sync runs left behind (runs, gaps, outages,
since when a source is covered), never restore sessions, and computes nothing anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from .backup_server import BackupServer, BackupServerSource
from .gap import Gap
from .read_marks import ManagerMarks, Place, place_of, read_gaps, read_managers, read_outages


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
    NOT_RECONCILED = "not_reconciled", _("Enterprise Manager lists rows that full syncs since then lack")
    COLLECTOR = "collector", _("Enterprise Manager has not collected since then")


_NEVER = datetime.min.replace(tzinfo=UTC)
_WAITING = (Cause.NEVER_READ, Cause.NOT_CLOSED, Cause.NOT_RECONCILED, Cause.COLLECTOR)


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """[from_at, to_at): what one Enterprise Manager lacks. `gap` is the id of the gap, `detail` its sentence.

    `backup_server` names the one that it concerns; "" where it concerns whatever the Enterprise Manager shows.
    """

    from_at: datetime
    to_at: datetime
    verdict: Verdict
    cause: Cause
    enterprise_manager: str
    backup_server: str = ""
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
        """The worst of them; those of one reason that touch each other become one."""
        found = _joined(intervals)
        verdicts = {one.verdict for one in found}
        worst = [verdict for verdict in (Verdict.INCOMPLETE, Verdict.NOT_YET_KNOWN) if verdict in verdicts]
        return cls(verdict=worst[0] if worst else Verdict.COMPLETE, intervals=found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """By backup server what its Enterprise Managers have together, by Enterprise Manager what it has alone.

    `closed_to`: up to when a full sync has read all that an Enterprise Manager showed.
    """

    servers: Mapping[int, Completeness]
    enterprise_managers: Mapping[int, Completeness]
    closed_to: Mapping[int, datetime | None]
    overall: Completeness


def completeness(
    server: BackupServer, start: datetime, end: datetime, *, as_of: datetime | None = None
) -> Completeness:
    """Whether the restore sessions of this backup server created in [start, end) are all here.

    Incomplete with the intervals and their cause; not yet known where no full sync has closed the period; else
    complete. `as_of` leaves out what runs found later. Where several Enterprise Managers show the server, one that
    is complete suffices, at each moment anew. What it did while none of them listed it is not asked.
    """
    return completeness_of([server.pk], start, end, as_of=as_of)[server.pk]


def completeness_of(
    servers: Collection[int], start: datetime, end: datetime, *, as_of: datetime | None = None
) -> dict[int, Completeness]:
    """The same for many backup servers by their ids; the number of queries does not grow with them."""
    sources = BackupServerSource.objects.filter(backup_server__in=servers)
    facts = _Facts(sources, (), start, end, as_of)
    return {server: Completeness.of(facts.of_server(server)) for server in servers}


def completeness_in(
    enterprise_managers: Collection[int],
    start: datetime,
    end: datetime,
    *,
    backup_servers: Collection[int] = (),
    as_of: datetime | None = None,
) -> Answers:
    """Whether all is here that these Enterprise Managers show, of these backup servers alone where some are named.

    What other Enterprise Managers show does not count. One that shows no backup server is asked for itself.
    """
    sources = BackupServerSource.objects.filter(enterprise_manager__in=enterprise_managers)
    if backup_servers:
        sources = sources.filter(backup_server__in=backup_servers)
    facts = _Facts(sources, enterprise_managers, start, end, as_of)
    wanted = backup_servers or facts.servers
    servers = {server: Completeness.of(facts.of_server(server)) for server in wanted}
    alone = {manager: Completeness.of(facts.of_manager(manager)) for manager in enterprise_managers}
    parts = [*servers.values(), *(alone[manager] for manager in facts.without_servers)]
    return Answers(
        servers=servers,
        enterprise_managers=alone,
        closed_to=facts.closed_to,
        overall=Completeness.of(interval for part in parts for interval in part.intervals),
    )


def overall(parts: Mapping[int, Completeness]) -> Completeness:
    """Of several backup servers together: the worst verdict, each interval of an Enterprise Manager once."""
    return Completeness.of(interval for part in parts.values() for interval in part.intervals)


def _joined(intervals: Iterable[Interval]) -> tuple[Interval, ...]:
    alike: dict[Interval, list[Interval]] = {}
    for one in intervals:
        alike.setdefault(replace(one, from_at=_NEVER, to_at=_NEVER), []).append(one)
    found: list[Interval] = []
    for group in alike.values():
        last, *others = sorted(group, key=lambda one: one.from_at)
        for one in others:
            if one.from_at <= last.to_at:
                last = replace(last, to_at=max(last.to_at, one.to_at))
            else:
                found.append(last)
                last = one
        found.append(last)
    found.sort(key=lambda one: (one.from_at, one.to_at, one.enterprise_manager, one.backup_server, one.cause))
    return tuple(found)


class _Facts:
    """What runs left behind about these sources, read once."""

    def __init__(
        self,
        sources: models.QuerySet[BackupServerSource],
        enterprise_managers: Collection[int],
        start: datetime,
        end: datetime,
        as_of: datetime | None,
    ) -> None:
        if start >= end:
            raise ValueError("a period ends after its start")
        self._start, self._end = start, end
        self._places = [place_of(source, as_of) for source in sources.order_by("pk")]
        managers = {place.manager for place in self._places} | set(enterprise_managers)
        self._managers = {manager.pk: manager for manager in read_managers(managers, as_of)}
        self._gaps = read_gaps(managers, start, end, as_of)
        self._outages = read_outages(self._managers.values(), as_of)
        self.servers = list(dict.fromkeys(place.server for place in self._places if place.server is not None))
        self.closed_to = {manager.pk: manager.closed_to for manager in self._managers.values()}
        self.without_servers = sorted(managers - {place.manager for place in self._places})

    def of_server(self, server: int) -> Iterator[Interval]:
        """Where none of the places is complete: of each stretch what is lacking where it is nearest to it."""
        places = [place for place in self._places if place.server == server]
        if not places:
            return iter([self._interval(Cause.NEVER_READ, self._start, self._end)])
        return self._lacking(places)

    def of_manager(self, manager: int) -> Iterator[Interval]:
        """What this Enterprise Manager lacks of any of its backup servers, whatever others have."""
        places = [place for place in self._places if place.manager == manager]
        if not places:
            covered = self._managers[manager].covered_from_at
            places = [Place(manager=manager, covered_from_at=covered)]
        return itertools.chain.from_iterable(self._lacking([place]) for place in places)

    def _lacking(self, places: Collection[Place]) -> Iterator[Interval]:
        found = [(place.removed_at, list(self._lacking_in(place))) for place in places]
        cuts = {self._start, self._end}
        for removed_at, intervals in found:
            cuts |= {cut for one in intervals for cut in (one.from_at, one.to_at)}
            if removed_at and self._start < removed_at < self._end:
                cuts.add(removed_at)
        for from_at, to_at in itertools.pairwise(sorted(cuts)):
            here = [
                next((one for one in intervals if one.from_at <= from_at < one.to_at), None)
                for removed_at, intervals in found
                if removed_at is None or from_at < removed_at
            ]
            lacking = [one for one in here if one is not None]
            if len(lacking) == len(here):
                hopeful = [one for one in lacking if one.verdict == Verdict.NOT_YET_KNOWN]
                yield from (replace(one, from_at=from_at, to_at=to_at) for one in hopeful or lacking)

    def _lacking_in(self, place: Place) -> Iterator[Interval]:
        """What one place lacks while its Enterprise Manager had the backup server; the first that fits counts."""
        manager = self._managers[place.manager]
        end = min(self._end, place.removed_at) if place.removed_at else self._end
        came_later = place.name if place.covered_from_at != manager.covered_from_at else ""
        wanted: list[tuple[Cause, datetime, datetime | None, str, Gap | None]] = []
        if place.covered_from_at is None:
            wanted.append((Cause.NEVER_READ, self._start, end, came_later, None))
        else:
            wanted.append((Cause.BEFORE_FIRST, self._start, place.covered_from_at, came_later, None))
            wanted += [
                (Cause(gap.cause), gap.from_at, to_at, place.name if gap.backup_server_id else "", gap)
                for gap, to_at in ((gap, gap.to_at or manager.lost_to) for gap in self._gaps)
                if gap.enterprise_manager_id == place.manager and gap.backup_server_id in (None, place.server)
            ]
            cause, closed_to, name = self._closed(place, manager)
            wanted.append((cause, closed_to or self._start, end, name, None))
        for cause, from_at, to_at, name, gap in wanted:
            from_at, to_at = max(from_at, self._start), min(to_at or end, end)
            if from_at < to_at:
                yield self._interval(cause, from_at, to_at, manager=manager.name, server=name, gap=gap)

    def _closed(self, place: Place, manager: ManagerMarks) -> tuple[Cause, datetime | None, str]:
        """Up to when the place was read in full; what a collector's outage held back came after an outage closed."""
        stale = [
            outage
            for outage in self._outages
            if outage.enterprise_manager_id == place.manager
            and outage.backup_server_id in (None, place.server)
            and (outage.closed_run_id is None or outage.closed_run_id > manager.closed_by)
        ]
        oldest = min(stale, key=lambda outage: outage.from_at, default=None)
        if manager.closed_to is None or oldest is None or oldest.from_at >= manager.closed_to:
            cause = Cause.NOT_RECONCILED if manager.lacks_rows else Cause.NOT_CLOSED
            return cause, manager.closed_to, ""
        cause = Cause.COLLECTOR if oldest.closed_run_id is None else Cause.NOT_CLOSED
        return cause, oldest.from_at, place.name if oldest.backup_server_id else ""

    def _interval(
        self,
        cause: Cause,
        from_at: datetime,
        to_at: datetime,
        *,
        manager: str = "",
        server: str = "",
        gap: Gap | None = None,
    ) -> Interval:
        return Interval(
            from_at=from_at,
            to_at=to_at,
            verdict=Verdict.NOT_YET_KNOWN if cause in _WAITING else Verdict.INCOMPLETE,
            cause=cause,
            enterprise_manager=manager,
            backup_server=server,
            detail=gap.detail if gap else "",
            gap=gap.pk if gap else None,
        )
