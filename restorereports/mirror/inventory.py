"""Which VMs are protected: EM's restore points, read once a day, become presences (evidence rule 8).

EM has no list of protected VMs. All restore points are read once, after that the recent ones: a VM that shows none
there is asked for by the restore point last seen. Who has none left ended its presence; its row stays for good.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import transaction

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.failures import (
    EnterpriseManagerError,
    Forbidden,
    ServerFailing,
    UnexpectedAnswer,
    Unreachable,
)
from restorereports.em.inventory import VmsOverview
from restorereports.models import Inventory, SyncRun

from .identity import MachinesOfPoints
from .links import link_sessions
from .lock import still_ours
from .plain_words import in_plain_words
from .presences import count_points, in_chunks, open_presences
from .reading import Reading, ShouldStop, record_points
from .vanished import ask_unseen, close_removed, close_unseen

logger = logging.getLogger(__name__)

PAGE_SIZE = 500
RECENT = timedelta(days=8)  # a little longer than the longest usual backup interval
OVERLAP = timedelta(days=1)  # what a late collector of EM brings behind the last reading
LINKED_AT_ONCE = 200_000  # restore points kept to be linked with restore sessions: about 40 MB


def read_inventory(
    run: SyncRun,
    client: EnterpriseManagerClient,
    *,
    at: datetime,
    should_stop: ShouldStop = lambda: False,
) -> Inventory:
    """Read the restore points of this Enterprise Manager into VMs and their presences; recorded last, once a run.

    What EM refuses or does not answer is a state of the inventory. Failures of the log-on or of the trust, a stop and
    RunTakenOver are raised: whole pages stay written, and the next reading makes up for the rest.
    """
    reading = Reading(run, client, at, _since(run.enterprise_manager_id, at), should_stop)
    overview: VmsOverview | None = None
    error, state = "", Inventory.State.GOOD
    try:
        _read(reading)
        overview = _overview(client)
    except Forbidden as failure:
        error, state = _in_words(failure), Inventory.State.NOT_READABLE
    except (ServerFailing, UnexpectedAnswer, Unreachable) as failure:
        error, state = _in_words(failure), Inventory.State.FAILED
    logger.info("inventory %s: %d restore points of %d VMs", state, reading.restore_points, len(reading.seen))
    with transaction.atomic():
        still_ours(run)
        return Inventory.objects.create(
            run=run,
            enterprise_manager_id=reading.em,
            at=at,
            state=state,
            since_at=reading.since,
            restore_points=reading.restore_points,
            vms=open_presences(reading.em).count(),
            appeared=reading.appeared,
            vanished=reading.vanished,
            overview_protected=overview.protected_vms if overview else None,
            overview_backed_up=overview.backed_up_vms if overview else None,
            overview_restore_points=overview.restore_points if overview else None,
            error=error,
        )


def _in_words(failure: EnterpriseManagerError) -> str:
    logger.warning("the inventory could not be read: %s", failure)
    words = in_plain_words(failure)
    return f"{words.cause} {words.remedy}"


def _since(enterprise_manager: int, at: datetime) -> datetime | None:
    """From which creation time on restore points are read; None = all, as long as there may be older ones unread.

    That is so until all were read once, and again when EM shows a backup server that it did not show by then.
    Nothing that was made since the last good reading is left out, however long ago that was.
    """
    good = Inventory.objects.filter(enterprise_manager=enterprise_manager, state=Inventory.State.GOOD)
    long = good.filter(since_at=None).first()
    last = good.first()
    if long is None or last is None:
        return None
    sources = long.enterprise_manager.backup_server_sources
    if sources.filter(first_seen_at__gt=long.at).exists():
        return None
    return min(at - RECENT, last.at - OVERLAP)


def _read(reading: Reading) -> None:
    """All that changes presences: first what is there, then what no longer is."""
    _read_pages(reading)
    if reading.since is not None and _shows_removed_servers(reading):
        reading.since = (
            None  # their VMs were closed when they were removed, also those without a recent point
        )
        _read_pages(reading)
    if reading.since is None and reading.is_exact:
        _count_points(reading)
    reading.vanished += close_removed(reading.run, reading.seen, at=reading.at)
    if reading.since is None:
        reading.vanished += close_unseen(reading.run, reading.seen, at=reading.at)
    else:
        ask_unseen(reading)


def _shows_removed_servers(reading: Reading) -> bool:
    removed = reading.run.enterprise_manager.backup_server_sources.exclude(removed_at=None)
    return removed.filter(uid__in=list(reading.servers)).exists()


def _read_pages(reading: Reading) -> None:
    """Page by page, each in one transaction; restore sessions follow their restore points in larger blocks."""
    reading.begin()
    waiting: MachinesOfPoints = {}
    oldest_at: datetime | None = None
    before: frozenset[str] = frozenset()
    for page in reading.client.vm_restore_point_pages(since=reading.since, page_size=PAGE_SIZE):
        reading.go_on()
        if page.restarted:
            reading.begin_again(from_the_start=page.number == 1)
            before = frozenset()
        points = [
            point for point in page.items if point.uid not in before
        ]  # of equal times some may come again
        before = frozenset(point.uid for point in page.items)
        machines = record_points(reading, points)
        for server, found in machines.items():
            for machine in found.values():
                reading.seen[machine] = reading.seen.get(machine, 0) + 1
            waiting.setdefault(server, {}).update(found)
            reading.restore_points += len(found)
        if points:
            oldest_at = min(oldest_at or points[0].created_at, *(point.created_at for point in points))
        if oldest_at and sum(map(len, waiting.values())) >= LINKED_AT_ONCE:
            link_sessions(reading.run, waiting, since=oldest_at)
            waiting, oldest_at = {}, None
    if oldest_at:
        link_sessions(reading.run, waiting, since=oldest_at)


def _count_points(reading: Reading) -> None:
    """All restore points were read: so the numbers are known, not only what came newly."""
    for machines in in_chunks(sorted(reading.seen)):
        with transaction.atomic():
            count_points(reading.em, reading.seen, machines)
            still_ours(reading.run)


def _overview(client: EnterpriseManagerClient) -> VmsOverview | None:
    """EM's own count, a control figure: without it the reading is as good as before."""
    try:
        return client.vms_overview()
    except (Forbidden, ServerFailing, UnexpectedAnswer, Unreachable) as failure:
        logger.info("no overview of VMs: %s", failure)
        return None
