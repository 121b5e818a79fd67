"""Does Enterprise Manager itself collect? What its system sessions say, run by run."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.collecting import CollectionEntity
from restorereports.em.failures import Forbidden, ServerFailing, UnexpectedAnswer
from restorereports.models import BackupServerSource, CollectorOutage, SyncRun

COLLECT_JOB = "CollectJob"
TOLD = 500  # characters of EM's message that are kept


def read_collectors(run: SyncRun, client: EnterpriseManagerClient) -> None:
    """Note state and time of EM's last collection on the run; open and close outages. Not readable is a state."""
    try:
        collections = [one for one in client.collections() if one.kind == COLLECT_JOB and one.finished]
        newest = collections[0] if collections else None
        uncollected = _uncollected(run, client, newest) if newest and not newest.good else {}
    except Forbidden:
        run.collector = SyncRun.Collector.NOT_READABLE
        return
    except (ServerFailing, UnexpectedAnswer):
        run.collector = SyncRun.Collector.UNKNOWN
        return
    if newest is None:
        run.collector = SyncRun.Collector.UNKNOWN
        return
    worked = next((one for one in collections if one.good or one.partial), None)
    run.collected_at = worked.started_at if worked else None
    run.collector = _state(newest)
    whole = next((one.started_at for one in collections if one.good), None)
    with transaction.atomic():
        _record_outages(run, newest, uncollected, whole=whole or newest.started_at)


def _state(newest: CollectionEntity) -> str:
    if newest.good:
        return SyncRun.Collector.GOOD
    return SyncRun.Collector.PARTIAL if newest.partial else SyncRun.Collector.FAILED


def _uncollected(
    run: SyncRun, client: EnterpriseManagerClient, newest: CollectionEntity
) -> dict[int | None, str]:
    """Backup server's id -> EM's words about it. None: it concerns all, or EM does not say which."""
    if not newest.partial:
        return {None: newest.message}
    sources = BackupServerSource.objects.filter(enterprise_manager=run.enterprise_manager_id, removed_at=None)
    names = {source.backup_server_id: source.name for source in sources}
    told: dict[int | None, str] = {}
    for event in client.collection_events(newest.uid):
        if event.state.casefold() in ("success", "completedsuccessfully", "none", ""):
            continue
        for server, name in names.items():
            if name and name.casefold() in event.text.casefold():
                told.setdefault(server, event.text)
    return told or {None: newest.message}


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
