"""Restore sessions follow the restore point they were made from to its VM (evidence rule 9)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db import transaction
from django.db.models import Q

from restorereports.models import RestoreSession, SyncRun

from .identity import MachinesOfPoints
from .lock import still_ours

READ_AT_ONCE = 5_000
WRITTEN_AT_ONCE = 500

Linked = tuple[int, datetime, str, int]  # id, start, UID of the restore point, VM's id if there is one


def link_sessions(run: SyncRun, machines: MachinesOfPoints, *, since: datetime) -> int:
    """Give restore sessions the VM of their restore point, where it is among these; how many had another one.

    A restore session is younger than the restore point it was made from, so that only those started at or after
    `since`, when the oldest of these restore points was made, are looked at.
    """
    changed = 0
    for server, found in sorted(machines.items()):
        machine_of = {uid.lower(): machine for uid, machine in found.items()}
        for chunk in _sessions_with_points(server, since):
            other = {
                pk: machine_of[uid.lower()]
                for pk, _, uid, machine in chunk
                if machine_of.get(uid.lower(), machine) != machine
            }
            changed += _relink(run, other)
    return changed


def _sessions_with_points(server: int, since: datetime) -> Iterator[list[Linked]]:
    """Those that name a restore point, newest first, by keyset along the index of the server."""
    rows = (
        RestoreSession.objects.filter(backup_server=server, started_at__gte=since)
        .exclude(restore_point_uid="")
        .order_by("-started_at", "-pk")
        .values_list("pk", "started_at", "restore_point_uid", "virtual_machine")
    )
    chunk = list(rows[:READ_AT_ONCE])
    while chunk:
        yield chunk
        pk, started_at = chunk[-1][:2]
        behind = Q(started_at__lt=started_at) | Q(pk__lt=pk)
        chunk = list(rows.filter(behind, started_at__lte=started_at)[:READ_AT_ONCE])


def _relink(run: SyncRun, other: Mapping[int, int]) -> int:
    """In short transactions; the rows are held in the order of their ids, as a page of restore sessions holds them."""
    ids = sorted(other)
    for start in range(0, len(ids), WRITTEN_AT_ONCE):
        part = ids[start : start + WRITTEN_AT_ONCE]
        with transaction.atomic():
            held = RestoreSession.objects.select_for_update().filter(pk__in=part).order_by("pk")
            list(held.values_list("pk"))
            rows = [RestoreSession(pk=pk, virtual_machine_id=other[pk]) for pk in part]
            RestoreSession.objects.bulk_update(rows, ["virtual_machine"])
            still_ours(run)
    return len(ids)
