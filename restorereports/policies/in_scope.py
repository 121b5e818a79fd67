"""Which VMs a policy is about at a moment: those with a restore point then, and the machine list (evidence rule 8)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import F, Min, OuterRef, Subquery

from restorereports.models import (
    BackupServer,
    BackupServerSource,
    EnterpriseManager,
    Inventory,
    Presence,
    Reader,
    RestoreSessionScope,
    VirtualMachine,
)
from restorereports.models.virtual_machine import name_key

from .terms import Machine, Terms
from .tiers import Place, placer

_CHUNK: Final = 5000  # names of one query


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One VM that the policy is about; without `id` a machine of the list that was never seen.

    `first_protected_at`: creation of its first restore point; None where it was protected already when its backup
    server was first read, since older restore points may be gone.
    """

    id: int | None
    name: str
    backup_server_id: int | None
    backup_server: str
    first_protected_at: datetime | None
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class InScope:
    """`protected`: VMs with a restore point; of these some are excluded by a rule or fit none.

    `read`: of how many Enterprise Managers the restore points had been read by then; of the `unread`, by name, the VMs
    are not known.
    """

    subjects: tuple[Subject, ...]
    protected: int
    excluded: int
    unplaced: int
    listed_only: int
    read: int
    unread: tuple[str, ...]


def in_scope(terms: Terms, *, at: datetime, scope: RestoreSessionScope, reader: Reader) -> InScope:
    """The VMs of the scope's backup servers; a filter for VM names narrows it as well."""
    place, beginnings = placer(terms), _Beginnings()
    protected = [
        _subject(row, place(row["name"], row["server"]), beginnings) for row in _protected(at, scope, reader)
    ]
    kept = [one for one in protected if one.place.tier]
    listed = _listed(terms, {one.id for one in protected if one.id}, beginnings, scope, reader)
    read, unread = _readings(at, scope, reader)
    return InScope(
        subjects=tuple(kept + listed),
        protected=len(protected),
        excluded=sum(1 for one in protected if one.place.excluded),
        unplaced=sum(1 for one in protected if not one.place.tier and not one.place.excluded),
        listed_only=len(listed),
        read=read,
        unread=unread,
    )


def _vms(scope: RestoreSessionScope, reader: Reader) -> Any:
    vms = VirtualMachine.objects.visible_to(reader)
    if servers := scope.servers_for(reader):
        vms = vms.filter(backup_server__in=servers)
    if scope.vm:
        vms = vms.filter(name__icontains=scope.vm)
    return vms.filter(name_key=name_key(scope.vm_exact)) if scope.vm_exact else vms


def _presences(scope: RestoreSessionScope) -> Any:
    presences = Presence.objects.all()
    managers = scope.enterprise_managers
    return presences.filter(enterprise_manager__in=managers) if managers else presences


def _protected(at: datetime, scope: RestoreSessionScope, reader: Reader) -> Any:
    then = _presences(scope).at(at).values("virtual_machine")
    return _with_first(_vms(scope, reader).filter(pk__in=then))


def _with_first(vms: Any) -> Any:
    """Plain rows with the server's name, and the VM's first presence: since when, in which Enterprise Manager."""
    first = Presence.objects.filter(virtual_machine=OuterRef("pk")).order_by("from_at", "pk")
    return (
        vms.annotate(
            server=F("backup_server__name"),
            first_at=Subquery(first.values("from_at")[:1]),
            first_in=Subquery(first.values("enterprise_manager")[:1]),
        )
        .order_by("name", "pk")
        .values("pk", "name", "backup_server_id", "server", "first_at", "first_in")
    )


class _Beginnings:
    """When reading began: what was there by then may have been there for long."""

    def __init__(self) -> None:
        good = Inventory.objects.filter(state=Inventory.State.GOOD).order_by()
        self._managers = dict(good.values_list("enterprise_manager").annotate(at=Min("at")))
        sources = BackupServerSource.objects.values_list(
            "backup_server", "enterprise_manager", "first_seen_at"
        )
        self._servers = {(server, manager): at for server, manager, at in sources}

    def protected_since(self, row: dict[str, Any]) -> datetime | None:
        begun = (
            self._managers.get(row["first_in"]),
            self._servers.get((row["backup_server_id"], row["first_in"])),
        )
        known = row["first_at"] is not None and all(at is not None and at < row["first_at"] for at in begun)
        return row["first_at"] if known else None


def _subject(row: dict[str, Any], place: Place, beginnings: _Beginnings) -> Subject:
    return Subject(
        id=row["pk"],
        name=row["name"],
        backup_server_id=row["backup_server_id"],
        backup_server=row["server"],
        first_protected_at=beginnings.protected_since(row),
        place=place,
    )


def _listed(
    terms: Terms,
    protected: Collection[int],
    beginnings: _Beginnings,
    scope: RestoreSessionScope,
    reader: Reader,
) -> list[Subject]:
    """Machines of the list without a restore point; of one that nobody has seen only who sees everything is told."""
    if not terms.machines:
        return []
    place = placer(terms)
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in _named([machine.name for machine in terms.machines], scope, reader):
        found.setdefault((row["name"], row["server"]), []).append(row)
        found.setdefault((row["name"], ""), []).append(row)
    whole = reader.granted.everything and scope == RestoreSessionScope(start=scope.start, end=scope.end)
    subjects: dict[object, Subject] = {}
    for machine in terms.machines:
        rows = found.get((machine.name, machine.backup_server), [])
        for row in rows:
            if row["pk"] not in protected:
                subjects[row["pk"]] = _subject(row, place(row["name"], row["server"]), beginnings)
        if not rows and whole:
            subjects[machine.name, machine.backup_server] = _unseen(machine, place)
    return [one for one in subjects.values() if one.place.tier]


def _named(names: Sequence[str], scope: RestoreSessionScope, reader: Reader) -> Iterator[dict[str, Any]]:
    keys = sorted({name_key(name) for name in names})
    for first in range(0, len(keys), _CHUNK):
        yield from _with_first(_vms(scope, reader).filter(name_key__in=keys[first : first + _CHUNK]))


def _unseen(machine: Machine, place: Any) -> Subject:
    return Subject(
        id=None,
        name=machine.name,
        backup_server_id=None,
        backup_server=machine.backup_server,
        first_protected_at=None,
        place=place(machine.name, machine.backup_server),
    )


def _readings(at: datetime, scope: RestoreSessionScope, reader: Reader) -> tuple[int, tuple[str, ...]]:
    """How many Enterprise Managers' restore points had been read by then, and the names of the others."""
    managers = EnterpriseManager.objects.visible_to(reader)
    if scope.enterprise_managers:
        managers = managers.filter(pk__in=scope.enterprise_managers)
    if servers := scope.servers_for(reader):
        shown = BackupServer.objects.filter(pk__in=servers).values("sources__enterprise_manager")
        managers = managers.filter(pk__in=shown)
    read = Inventory.objects.filter(state=Inventory.State.GOOD, at__lte=at).values("enterprise_manager")
    unread = tuple(managers.exclude(pk__in=read).order_by("name").values_list("name", flat=True))
    return managers.count() - len(unread), unread
