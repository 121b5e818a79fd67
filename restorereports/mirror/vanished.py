"""VMs that showed no restore point: asked for by id, and their presence ended where none is left."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from datetime import datetime
from itertools import islice

from django.db import transaction
from django.db.models import QuerySet

from restorereports.em.failures import EnterpriseManagerError, ServerFailing, UnexpectedAnswer
from restorereports.em.inventory import VmRestorePointEntity
from restorereports.models import Presence, SyncRun, VirtualMachine

from .lock import still_ours
from .presences import close, in_chunks, open_presences
from .reading import Reading, record_points

logger = logging.getLogger(__name__)

ASK_LIMIT = 200  # a run; each costs a question to EM, a vanished one a second


def close_unseen(run: SyncRun, seen: Collection[int], *, at: datetime) -> int:
    """After all restore points were read: who showed none has none."""
    return _close(run, open_presences(run.enterprise_manager_id), seen, at=at)


def close_removed(run: SyncRun, seen: Collection[int], *, at: datetime) -> int:
    """EM no longer has the backup server, and with it none of its restore points."""
    sources = run.enterprise_manager.backup_server_sources
    shown = sources.filter(removed_at=None).values("backup_server")
    removed = sources.exclude(backup_server__in=shown).values("backup_server")
    rows = open_presences(run.enterprise_manager_id).filter(virtual_machine__backup_server__in=removed)
    return _close(run, rows, seen, at=at)


def _close(run: SyncRun, rows: QuerySet[Presence], seen: Collection[int], *, at: datetime) -> int:
    shown = rows.values_list("pk", "virtual_machine").iterator()
    gone = [pk for pk, machine in shown if machine not in seen]
    closed = 0
    for ids in in_chunks(sorted(gone)):
        with transaction.atomic():
            closed += close(ids, at=at)
            still_ours(run)
    return closed


def ask_unseen(reading: Reading) -> None:
    """After the recent restore points were read: ask for the last known one of who showed none.

    At most ASK_LIMIT a run, the longest unasked first. One that EM cannot tell keeps no other from being asked; the
    reading has then failed all the same: UnexpectedAnswer or ServerFailing is raised at the end, or at the second.
    """
    failed: EnterpriseManagerError | None = None
    for presence in list(islice(_unseen(reading), ASK_LIMIT)):
        reading.go_on()
        try:
            reading.vanished += _ask(reading, presence)
        except (ServerFailing, UnexpectedAnswer) as failure:
            if failed:
                raise
            logger.warning(
                "the restore points of VM %d could not be read: %s", presence.virtual_machine_id, failure
            )
            failed = failure
    if failed:
        raise failed


def _unseen(reading: Reading) -> Iterator[Presence]:
    rows = open_presences(reading.em).select_related("virtual_machine").order_by("checked_at", "pk")
    return (row for row in rows.iterator() if row.virtual_machine_id not in reading.seen)


def _ask(reading: Reading, presence: Presence) -> int:
    """1 when no restore point is left; the last known one, or the newest that is left, is noted otherwise."""
    newest = reading.client.vm_restore_point(presence.newest_point_uid)
    left = newest if newest is not None else _newest_left(reading, presence.virtual_machine)
    with transaction.atomic():
        closed = 0
        if left is None:
            closed = close([presence.pk], at=reading.at)
        else:
            Presence.objects.filter(pk=presence.pk).update(
                newest_point_at=left.created_at, newest_point_uid=left.uid, checked_at=reading.at
            )
        still_ours(reading.run)
    return closed


def _newest_left(reading: Reading, machine: VirtualMachine) -> VmRestorePointEntity | None:
    """Found by the names the VM bears and bore; what else bears them is recorded as it would be on any page."""
    uids = reading.run.enterprise_manager.backup_server_sources.filter(
        backup_server=machine.backup_server_id, removed_at=None
    )
    names = [machine.name, *machine.aliases.order_by("pk").values_list("name", flat=True)]
    newest: VmRestorePointEntity | None = None
    for uid in uids.order_by("pk").values_list("uid", flat=True):
        for name in dict.fromkeys(names):
            pages = reading.client.vm_restore_points_named(backup_server_uid=uid, vm_name=name)
            for points in (page.items for page in pages):
                machines = record_points(reading, points)
                own = {uid for found in machines.values() for uid, pk in found.items() if pk == machine.pk}
                mine = [point for point in points if point.uid in own]
                newest = max([*mine, *([newest] if newest else [])], key=lambda p: p.created_at, default=None)
    return newest
