"""Which VM a restore session or a restore point is of (evidence rule 9).

A VM is a hierarchy object of a backup server where its restore points name one, else an exact name on it. Two VMs
of one name never merge silently: a bare name means an object only where no other object bears or bore that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from restorereports.models import VirtualMachine, VirtualMachineAlias
from restorereports.models.virtual_machine import name_key

Named = tuple[int, str]  # backup server's id, exact name
Key = tuple[int, str]  # backup server's id, key of the name


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
