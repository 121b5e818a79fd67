"""Which VM a restore session or a restore point is of (evidence rule 9).

A VM is a hierarchy object of a backup server where its restore points name one, else an exact name on it. Two VMs
of one name never merge silently: a bare name means an object only where no other object bears or bore that name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from django.db.models import Max

from restorereports.em.inventory import VmRestorePointEntity
from restorereports.models import BackupServer, Presence, VirtualMachine, VirtualMachineAlias
from restorereports.models.virtual_machine import name_key

Named = tuple[int, str]  # backup server's id, exact name
Key = tuple[int, str]  # backup server's id, key of the name
Object = tuple[int, str]  # backup server's id, its reference of a VM in the virtual infrastructure
PointsByServer = Mapping[int, Sequence[VmRestorePointEntity]]  # backup server's id -> its restore points
MachinesOfPoints = dict[int, dict[str, int]]  # backup server's id -> UID of a restore point -> VM's id

_LONGEST_REF = VirtualMachine._meta.get_field("object_ref").max_length or 0


def machine_ids(wanted: Iterable[Named], *, at: datetime) -> dict[Named, int]:
    """The VM that a bare name means, by backup server; names that nobody bears are added.

    The one hierarchy object of that server which bears or bore the name; where there is none, or several, the VM
    that is known by its name alone.
    """
    names = {(server, name_key(name)): name for server, name in wanted}
    found = {key: next(iter(ids)) for key, ids in _bearers(names).items() if len(ids) == 1}
    found |= _by_name_alone({key: name for key, name in names.items() if key not in found}, at=at)
    return {(server, name): found[server, key] for (server, key), name in names.items()}


def _bearers(keys: Iterable[Key]) -> dict[Key, set[int]]:
    """Ids of the hierarchy objects that bear or bore a name."""
    wanted = set(keys)
    servers, hashes = {server for server, _ in wanted}, {key for _, key in wanted}
    machines = VirtualMachine.objects.filter(backup_server__in=servers, name_key__in=hashes)
    former = VirtualMachineAlias.objects.filter(
        virtual_machine__backup_server__in=servers, name_key__in=hashes
    )
    rows = [
        *machines.exclude(object_ref="").values_list("backup_server", "name_key", "pk"),
        *former.values_list("virtual_machine__backup_server", "name_key", "virtual_machine"),
    ]
    bearers: dict[Key, set[int]] = {}
    for server, key, pk in rows:
        if (server, key) in wanted:
            bearers.setdefault((server, key), set()).add(pk)
    return bearers


def _by_name_alone(names: Mapping[Key, str], *, at: datetime) -> dict[Key, int]:
    """Ids of the VMs that are known by name alone; missing ones are added, in the order of their keys.

    The order is the same in every worker, so that two of them cannot deadlock; another one may be the faster.
    """
    known = _known_by_name_alone(names)
    if missing := sorted(names.keys() - known.keys()):
        VirtualMachine.objects.bulk_create(
            (
                VirtualMachine(
                    backup_server_id=server, name=names[server, key], name_key=key, first_seen_at=at
                )
                for server, key in missing
            ),
            ignore_conflicts=True,
        )
        known |= _known_by_name_alone(missing)
    return known


def _known_by_name_alone(keys: Iterable[Key]) -> dict[Key, int]:
    wanted = set(keys)
    rows = VirtualMachine.objects.filter(
        object_ref="",
        backup_server__in={server for server, _ in wanted},
        name_key__in={key for _, key in wanted},
    ).values_list("backup_server", "name_key", "pk")
    return {(server, key): pk for server, key, pk in rows if (server, key) in wanted}


def machines_of_points(points: PointsByServer, *, at: datetime) -> MachinesOfPoints:
    """The VM of each restore point; unknown ones are added, renamed ones are renamed. Call inside a transaction.

    What is known is only read. Else the backup servers' rows are held until the transaction ends, so that another
    worker, who reads the same servers through another Enterprise Manager, neither adds nor renames meanwhile.
    """
    objects = _by_object(points)
    known = _known_objects(objects)
    if any(key not in known or _is_renamed(known[key], objects[key]) for key in objects):
        _hold(points)
        known = _known_objects(objects)
        if missing := {key: objects[key] for key in objects.keys() - known.keys()}:
            _add_objects(missing, at=at)
            known = _known_objects(objects)
        _take_names({known[key]: found for key, found in objects.items() if _is_renamed(known[key], found)})
    bare = [
        (server, point.vm_name) for server in points for point in points[server] if not point.hierarchy_ref
    ]
    named = machine_ids(bare, at=at) if bare else {}
    return {
        server: {
            point.uid: known[server, _ref(point)].pk if point.hierarchy_ref else named[server, point.vm_name]
            for point in found
        }
        for server, found in points.items()
    }


def _ref(point: VmRestorePointEntity) -> str:
    ref = point.hierarchy_ref
    return ref if len(ref) <= _LONGEST_REF else f"sha256:{name_key(ref)}"


def _by_object(points: PointsByServer) -> dict[Object, list[VmRestorePointEntity]]:
    """The restore points of each object, oldest first."""
    objects: dict[Object, list[VmRestorePointEntity]] = {}
    for server, found in points.items():
        for point in sorted(found, key=lambda point: (point.created_at, point.uid)):
            if point.hierarchy_ref:
                objects.setdefault((server, _ref(point)), []).append(point)
    return objects


def _known_objects(keys: Iterable[Object]) -> dict[Object, VirtualMachine]:
    wanted = set(keys)
    rows = VirtualMachine.objects.exclude(object_ref="").filter(
        backup_server__in={server for server, _ in wanted}, object_ref__in={ref for _, ref in wanted}
    )
    found = {(row.backup_server_id, row.object_ref): row for row in rows}
    return {key: row for key, row in found.items() if key in wanted}


def _is_renamed(machine: VirtualMachine, points: Iterable[VmRestorePointEntity]) -> bool:
    """Whether a restore point bears another name than the VM: an older name, or a new one."""
    return any(point.vm_name not in ("", machine.name) for point in points)


def _hold(servers: Iterable[int]) -> None:
    """In the order in which servers are recorded; rows that point at these servers may still be added by others."""
    rows = BackupServer.objects.select_for_update(no_key=True).filter(pk__in=list(servers)).order_by("uid")
    list(rows.values_list("pk"))


def _add_objects(missing: Mapping[Object, list[VmRestorePointEntity]], *, at: datetime) -> None:
    """A VM known by name alone becomes the object where only one could be meant; the others are added."""
    names = {
        (key[0], name_key(point.vm_name)): point.vm_name
        for key, points in missing.items()
        for point in points
    }
    bearers = _bearers(names)
    free = {key: pk for key, pk in _known_by_name_alone(names).items() if key not in bearers}
    called = {
        key: list(dict.fromkeys((key[0], name_key(point.vm_name)) for point in points))
        for key, points in missing.items()
    }
    claims = Counter(name for wanted in called.values() for name in wanted)
    adopting, added = [], []
    for key in sorted(missing):
        server, ref = key
        name = next((name for name in called[key] if name in free and claims[name] == 1), called[key][0])
        row = VirtualMachine(
            backup_server_id=server, name=names[name], name_key=name[1], object_ref=ref, first_seen_at=at
        )
        if name in free and claims[name] == 1:
            row.pk = free[name]
            adopting.append(row)
        else:
            added.append(row)
    VirtualMachine.objects.bulk_update(adopting, ["object_ref"])
    VirtualMachine.objects.bulk_create(added, ignore_conflicts=True)


def _take_names(renamed: Mapping[VirtualMachine, list[VmRestorePointEntity]]) -> None:
    """The name of the newest restore point counts; every other one that a restore point bears is a former name."""
    if not renamed:
        return
    newest = dict(
        Presence.objects.filter(virtual_machine__in=list(renamed))
        .values_list("virtual_machine")
        .annotate(Max("newest_point_at"))
    )
    kept = set(
        VirtualMachineAlias.objects.filter(virtual_machine__in=list(renamed)).values_list(
            "virtual_machine", "name_key"
        )
    )
    changed, former = [], []
    for machine, points in sorted(renamed.items(), key=lambda pair: pair[0].pk):
        name, until = _names_of(machine.name, points, newest.get(machine.pk))
        if name != machine.name:
            machine.name, machine.name_key = name, name_key(name)
            changed.append(machine)
        former += [
            VirtualMachineAlias(virtual_machine=machine, name=old, name_key=name_key(old), until_at=until_at)
            for old, until_at in sorted(until.items())
            if (machine.pk, name_key(old)) not in kept
        ]
    VirtualMachine.objects.bulk_update(changed, ["name", "name_key"])
    VirtualMachineAlias.objects.bulk_create(former, ignore_conflicts=True)


def _names_of(
    name: str, points: Iterable[VmRestorePointEntity], newest_at: datetime | None
) -> tuple[str, dict[str, datetime]]:
    """The present name and, by former name, when it was last known to be borne.

    Restore points come oldest first; those not newer than `newest_at` say nothing about the present name.
    """
    former: dict[str, datetime] = {}
    for point in points:
        newer = newest_at is None or point.created_at > newest_at
        if point.vm_name not in ("", name):
            former[name if newer else point.vm_name] = point.created_at
            name = point.vm_name if newer else name
        newest_at = point.created_at if newer else newest_at
    return name, {old: until_at for old, until_at in former.items() if old not in ("", name)}
