"""The period's restore sessions per backup server and per VM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from restorereports.models import BackupServer, Reader, RestoreSessionScope, VirtualMachine
from restorereports.models.counts import (
    OutcomeCounts,
    by_outcome,
    by_outcome_per,
    by_outcome_without,
    virtual_machines,
    virtual_machines_per_server,
    worst_virtual_machines,
)
from restorereports.models.restore_session import RestoreSessionQuerySet

from .durations import medians_per_virtual_machine
from .reads import how_read

MOST_SERVERS = 40
MOST_VIRTUAL_MACHINES = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLine:
    name: str
    uid: str
    ambiguous: bool  # another backup server bears the same name
    counts: OutcomeCounts
    virtual_machines: int
    last_sync_at: datetime | None = None
    reconciled: bool | None = None  # None: never compared
    collector_silent: bool = False  # whether an outage of EM's collector concerns it as of the report


@dataclass(frozen=True, kw_only=True, slots=True)
class Servers:
    """Lines by name; beyond the bound those with the most restore sessions, the others summed up in `rest`."""

    lines: tuple[ServerLine, ...]
    total: int
    rest: OutcomeCounts
    rest_machines: int

    @property
    def rest_total(self) -> int:
        return self.total - len(self.lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class VirtualMachineLine:
    name: str
    backup_server: str
    counts: OutcomeCounts
    last_success_at: datetime | None
    last_failed_at: datetime | None
    median_ms: int | None
    verdict: str = ""  # "" without a policy, and of a VM that is not in its scope


@dataclass(frozen=True, kw_only=True, slots=True)
class VirtualMachines:
    """Worst first; `rest` sums up the VMs beyond the bound, `unnamed` the rows in which EM names no VM."""

    lines: tuple[VirtualMachineLine, ...]
    total: int
    rest: OutcomeCounts
    unnamed: OutcomeCounts

    @property
    def rest_total(self) -> int:
        return self.total - len(self.lines)


def per_server(
    rows: RestoreSessionQuerySet, scope: RestoreSessionScope, *, reader: Reader, as_of: datetime
) -> Servers:
    """Every backup server in the scope, also those without a restore session."""
    counts = {key: n for (key,), n in by_outcome_per(rows, "backup_server").items()}
    machines = virtual_machines_per_server(rows)
    names = {pk: (name, uid) for pk, name, uid in _servers(scope, reader)}
    known = [name for name, _uid in names.values()]
    syncs = how_read(list(names), reader=reader, as_of=as_of)
    lines = [
        (
            pk,
            ServerLine(
                name=name,
                uid=uid,
                ambiguous=known.count(name) > 1,
                counts=counts.get(pk, OutcomeCounts()),
                virtual_machines=machines.get(pk, 0),
                **syncs.get(pk, {}),
            ),
        )
        for pk, (name, uid) in names.items()
    ]
    lines.sort(key=lambda line: (-line[1].counts.total, line[0]))
    shown = sorted(
        (line for _pk, line in lines[:MOST_SERVERS]), key=lambda line: (line.name.casefold(), line.uid)
    )
    beyond = [line for _pk, line in lines[MOST_SERVERS:]]
    return Servers(
        lines=tuple(shown),
        total=len(lines),
        rest=sum((line.counts for line in beyond), OutcomeCounts()),
        rest_machines=sum(line.virtual_machines for line in beyond),
    )


def _servers(scope: RestoreSessionScope, reader: Reader) -> list[tuple[int, str, str]]:
    servers = BackupServer.objects.visible_to(reader)
    if scope.backup_servers:
        servers = servers.filter(pk__in=scope.backup_servers)
    if scope.enterprise_managers:
        servers = servers.filter(sources__enterprise_manager__in=scope.enterprise_managers)
    return list(servers.order_by("pk").distinct().values_list("pk", "name", "uid"))


def per_virtual_machine(
    rows: RestoreSessionQuerySet, *, reader: Reader, verdicts: Mapping[int, str]
) -> VirtualMachines:
    worst = worst_virtual_machines(rows, MOST_VIRTUAL_MACHINES)
    ids = [found.virtual_machine_id for found in worst]
    known = VirtualMachine.objects.visible_to(reader).select_related("backup_server").in_bulk(ids)
    medians = medians_per_virtual_machine(rows, ids)
    total = virtual_machines(rows)
    lines = tuple(
        VirtualMachineLine(
            name=known[found.virtual_machine_id].name,
            backup_server=known[found.virtual_machine_id].backup_server.name,
            counts=found.counts,
            last_success_at=found.last_success_at,
            last_failed_at=found.last_failed_at,
            median_ms=medians.get(found.virtual_machine_id),
            verdict=verdicts.get(found.virtual_machine_id, ""),
        )
        for found in worst
    )
    return VirtualMachines(
        lines=lines,
        total=total,
        rest=by_outcome_without(rows, ids) if total > len(ids) else OutcomeCounts(),
        unnamed=by_outcome(rows.filter(virtual_machine=None)),
    )
