"""How many VMs were protected at the period's end, beside Enterprise Manager's own figure (evidence rule 8)."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count
from django.utils.translation import gettext as _

from restorereports.models import Inventory, Presence


@dataclass(frozen=True, kw_only=True, slots=True)
class Protected:
    """One Enterprise Manager. `vms` at the period's end: None where its restore points were never read.

    `state`, `at`, `here` and `overview` are of the latest reading: ours and EM's figure of the same moment.
    `since_at`: the first reading; VMs whose last restore point went before it are not known.
    """

    enterprise_manager: str
    vms: int | None = None
    state: str = ""
    at: datetime | None = None
    since_at: datetime | None = None
    here: int | None = None
    overview: int | None = None
    whole: bool = True  # whether figures over all of its backup servers may be told

    @property
    def difference(self) -> int | None:
        """How many more VMs are here than in EM's own overview."""
        return None if self.here is None or self.overview is None else self.here - self.overview

    @property
    def label(self) -> str:
        if not self.whole:
            return _("of all its backup servers: not told here")
        return str(Inventory.State(self.state).label) if self.state else ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ProtectedVms:
    """`distinct`: a VM that several Enterprise Managers show counts once. None: nowhere read."""

    lines: tuple[Protected, ...] = ()
    distinct: int | None = None

    @property
    def total(self) -> int:
        return sum(line.vms or 0 for line in self.lines)


def protected_vms(
    names: Mapping[int, str],
    *,
    latest: Mapping[int, int | None],
    first_good: Mapping[int, datetime | None],
    backup_servers: Collection[int],
    whole: Container[int],
    at: datetime,
) -> ProtectedVms:
    """By Enterprise Manager (id -> name); `latest`: id -> its latest reading, `first_good`: when one was first good."""
    presences = Presence.objects.at(at).filter(enterprise_manager__in=names)
    if backup_servers:
        presences = presences.filter(virtual_machine__backup_server__in=backup_servers)
    vms = Count("virtual_machine", distinct=True)
    counts = dict(
        presences.order_by()
        .values("enterprise_manager")
        .annotate(n=vms)
        .values_list("enterprise_manager", "n")
    )
    found = Inventory.objects.in_bulk([pk for pk in latest.values() if pk])
    readings = {one.enterprise_manager_id: one for one in found.values()}
    lines = tuple(
        _line(name, readings.get(pk), first_good.get(pk), counts.get(pk, 0), whole=pk in whole)
        for pk, name in names.items()
    )
    read = any(line.vms is not None for line in lines)
    return ProtectedVms(lines=lines, distinct=presences.aggregate(n=vms)["n"] if read else None)


def _line(
    name: str, reading: Inventory | None, since_at: datetime | None, vms: int, *, whole: bool
) -> Protected:
    if reading is None:
        return Protected(enterprise_manager=name)
    good = reading.state == Inventory.State.GOOD and whole
    return Protected(
        enterprise_manager=name,
        vms=vms if since_at else None,
        state=reading.state,
        at=reading.at,
        since_at=since_at,
        here=reading.vms if good else None,
        overview=reading.overview_backed_up if good else None,
        whole=whole,
    )
