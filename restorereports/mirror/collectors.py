"""Does Enterprise Manager itself collect? What its system sessions say, run by run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.collecting import CollectionEntity, CollectionEvent
from restorereports.em.failures import Forbidden, ServerFailing, UnexpectedAnswer, Unreachable
from restorereports.models import BackupServerSource, CollectorOutage, SyncRun

COLLECT_JOB = "CollectJob"
TOLD = 500  # characters of EM's message that are kept


@dataclass(frozen=True, slots=True)
class Collecting:
    """EM's newest finished collection, what it says of each step, and the last one known to have reached everything."""

    newest: CollectionEntity
    events: tuple[CollectionEvent, ...]
    whole_at: datetime


def read_collectors(run: SyncRun, client: EnterpriseManagerClient) -> Collecting | None:
    """Note state and time of EM's last collection on the run, before the pages: they hold at least that much.

    None where nothing can be said; that this role may not look is a state of its own.
    """
    try:
        finished = [one for one in client.collections() if one.kind == COLLECT_JOB and one.finished]
        newest = finished[0] if finished else None
        events = client.collection_events(newest.uid) if newest and newest.partial else []
    except Forbidden:
        run.collector = SyncRun.Collector.NOT_READABLE
        return None
    except (ServerFailing, UnexpectedAnswer, Unreachable):
        finished, newest = [], None
    if newest is None:
        run.collector = SyncRun.Collector.UNKNOWN
        return None
    run.collector = _state(newest)
    run.collected_at = next((one.started_at for one in finished if one.good or one.partial), None)
    whole_at = next((one.started_at for one in finished if one.good), None)
    return Collecting(newest, tuple(events), whole_at or _whole_before(run) or finished[-1].started_at)


def _whole_before(run: SyncRun) -> datetime | None:
    """As an earlier run saw it: EM's list of collections reaches back no further than a few days."""
    runs = SyncRun.objects.filter(enterprise_manager=run.enterprise_manager_id, pk__lt=run.pk)
    return runs.filter(collector=SyncRun.Collector.GOOD).values_list("collected_at", flat=True).first()


def record_outages(run: SyncRun, collecting: Collecting) -> None:
    """Open and close outages; after the backup servers were recorded, whose names EM's events bear."""
    uncollected = {} if collecting.newest.good else _uncollected(run, collecting)
    with transaction.atomic():
        _record_outages(run, collecting.newest, uncollected, whole=collecting.whole_at)


def _state(newest: CollectionEntity) -> str:
    if newest.good:
        return SyncRun.Collector.GOOD
    return SyncRun.Collector.PARTIAL if newest.partial else SyncRun.Collector.FAILED


def _uncollected(run: SyncRun, collecting: Collecting) -> dict[int | None, str]:
    """Backup server's id -> EM's words about it. None: it concerns all, or EM does not say which."""
    sources = BackupServerSource.objects.filter(enterprise_manager=run.enterprise_manager_id, removed_at=None)
    names = {source.backup_server_id: source.name for source in sources}
    told: dict[int | None, str] = {}
    for event in collecting.events:
        if not event.failed:
            continue
        for server, name in names.items():
            if name and name.casefold() in event.text.casefold():
                told.setdefault(server, event.text)
    return told or {None: collecting.newest.message}


def _record_outages(
    run: SyncRun, newest: CollectionEntity, uncollected: dict[int | None, str], *, whole: datetime
) -> None:
    """What is collected again is closed, what is not is opened at the last collection that reached everything."""
    opened = CollectorOutage.objects.filter(enterprise_manager=run.enterprise_manager_id, closed_run=None)
    known = {outage.backup_server_id: outage for outage in opened}
    for server, outage in known.items():
        if server not in uncollected:
            ended_at = max(newest.started_at, outage.from_at + timedelta(microseconds=1))
            CollectorOutage.objects.filter(pk=outage.pk).update(to_at=ended_at, closed_run=run)
    for server, message in uncollected.items():
        if server not in known:
            CollectorOutage.objects.create(
                enterprise_manager=run.enterprise_manager,
                backup_server_id=server,
                from_at=whole,
                message=message[:TOLD],
                opened_run=run,
            )
