"""Restore points seen -> since when until when a VM was protected, as one Enterprise Manager shows it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice

from django.db.models import Max, QuerySet

from restorereports.em.inventory import VmRestorePointEntity
from restorereports.models import Presence

AT_ONCE = 500

PointsByMachine = Mapping[int, Sequence[VmRestorePointEntity]]  # VM's id -> its restore points, oldest first


def open_presences(enterprise_manager: int) -> QuerySet[Presence]:
    return Presence.objects.filter(enterprise_manager=enterprise_manager, to_at=None)


def record_seen(enterprise_manager: int, seen: PointsByMachine, *, at: datetime) -> int:
    """Open or extend the presence of each VM; how many were opened. Nothing is written without a newer point."""
    known = {
        row.virtual_machine_id: row
        for row in open_presences(enterprise_manager).filter(virtual_machine__in=list(seen))
    }
    early = [vm for vm, points in seen.items() if vm not in known or points[0].created_at < known[vm].from_at]
    ended = _last_ends(enterprise_manager, early)
    begun = {vm: _beginning(seen[vm], ended.get(vm), at=at) for vm in early}
    fresh = [
        Presence(
            virtual_machine_id=vm,
            enterprise_manager_id=enterprise_manager,
            from_at=begun[vm],
            restore_points=len(seen[vm]),
            newest_point_at=seen[vm][-1].created_at,
            newest_point_uid=seen[vm][-1].uid,
            checked_at=at,
        )
        for vm in sorted(seen.keys() - known.keys())
    ]
    Presence.objects.bulk_create(fresh)
    grown = [row for vm, row in sorted(known.items()) if _extend(row, seen[vm], begun.get(vm), at=at)]
    _write(grown, ["from_at", "newest_point_at", "newest_point_uid", "restore_points", "checked_at"])
    return len(fresh)


def _write(rows: list[Presence], fields: list[str]) -> None:
    """As an upsert by id: some times faster than an update with a case for each row, and this is most of the work."""
    Presence.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=fields)


def _last_ends(enterprise_manager: int, machines: Collection[int]) -> dict[int, datetime]:
    """When the presence before this one ended, by VM."""
    if not machines:
        return {}
    ended = Presence.objects.filter(enterprise_manager=enterprise_manager, virtual_machine__in=machines)
    return dict(ended.exclude(to_at=None).values_list("virtual_machine").annotate(Max("to_at")))


def _beginning(
    points: Sequence[VmRestorePointEntity], ended_at: datetime | None, *, at: datetime
) -> datetime:
    """The creation of the oldest restore point, but never within a time in which the VM was found to have none.

    Old points that are shown again do not say when they came back: then it is the moment they are seen.
    """
    since = (point.created_at for point in points if ended_at is None or point.created_at >= ended_at)
    return next(since, at)


def _extend(
    row: Presence, points: Sequence[VmRestorePointEntity], begun_at: datetime | None, *, at: datetime
) -> bool:
    """Whether there was anything new."""
    newer = [point for point in points if point.created_at > row.newest_point_at]
    if newer:
        row.newest_point_at, row.newest_point_uid = newer[-1].created_at, newer[-1].uid
        row.restore_points += len(newer)
        row.checked_at = at
    earlier = begun_at is not None and begun_at < row.from_at
    if begun_at is not None and earlier:
        row.from_at = begun_at
    return bool(newer) or earlier


def count_points(enterprise_manager: int, counts: Mapping[int, int], machines: Collection[int]) -> None:
    """Set how many restore points each of these VMs has, after all of them were read."""
    rows = list(open_presences(enterprise_manager).filter(virtual_machine__in=machines).order_by("pk"))
    wrong = [row for row in rows if row.restore_points != counts[row.virtual_machine_id]]
    for row in wrong:
        row.restore_points = counts[row.virtual_machine_id]
    _write(wrong, ["restore_points"])


def close(ids: Collection[int], *, at: datetime) -> int:
    """These presences ended: no restore point is left. The VMs themselves stay for good."""
    return Presence.objects.filter(pk__in=ids, to_at=None).update(to_at=at, checked_at=at)


def in_chunks(items: Iterable[int]) -> Iterator[list[int]]:
    rest = iter(items)
    while chunk := list(islice(rest, AT_ONCE)):
        yield chunk
