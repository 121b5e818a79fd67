"""Why a list is empty: each reason asks for another sentence and another act."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from restorereports.models import RestoreSession, RestoreSessionScope, User
from restorereports.models.counts import BoundedCount, count_up_to

from .completeness import Shown
from .filters import Chip, RestoreSessionFilter
from .health import Health

# chip -> the scope's field that it fills
_SCOPE_FIELD = {
    "outcome": "outcomes",
    "backup_server": "backup_servers",
    "vm": "vm",
    "vm_exact": "vm_exact",
    "job_type": "job_types",
    "state": "states",
    "enterprise_manager": "enterprise_managers",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Without:
    """How many rows there would be without one filter."""

    chip: Chip
    count: BoundedCount


@dataclass(frozen=True, kw_only=True, slots=True)
class EmptyList:
    """`reason` is one of no-grant, no-source, first-sync, never-synced, filters, period."""

    reason: str
    known: list[Health]
    without: list[Without] = dataclasses.field(default_factory=list)
    period_only: BoundedCount | None = None
    completeness: Shown | None = None

    @property
    def blame(self) -> Without | None:
        """The filter whose removal brings back the most; None when none brings back any."""
        best = max(self.without, key=lambda w: (w.count.over, w.count.value), default=None)
        return best if best and best.count.value else None


def empty_list(
    filterset: RestoreSessionFilter, reader: User, known: list[Health], completeness: Shown | None
) -> EmptyList:
    """Leaves each filter out once; a handful of bounded counts, whatever the history holds."""
    chosen = filterset.scope.enterprise_managers
    known = [h for h in known if not chosen or h.enterprise_manager.pk in chosen]
    if not known:
        granted = reader.granted
        nothing = not granted.everything and not granted.managers
        return EmptyList(reason="no-grant" if nothing else "no-source", known=known)
    if not RestoreSession.objects.visible_to(reader).exists() and all(
        h.enterprise_manager.last_good_at is None for h in known
    ):
        syncing = any(h.icon == "running" for h in known)
        return EmptyList(reason="first-sync" if syncing else "never-synced", known=known)
    filters = [chip for chip in filterset.chips if chip.field != "period"]
    if not filters:
        return EmptyList(reason="period", known=known, completeness=completeness)
    scope = filterset.scope
    return EmptyList(
        reason="filters",
        known=known,
        without=[Without(chip=chip, count=_count(scope, reader, chip.field)) for chip in filters],
        period_only=_count(scope, reader, *_SCOPE_FIELD),
        completeness=completeness,
    )


def _count(scope: RestoreSessionScope, reader: User, *left_out: str) -> BoundedCount:
    blank = RestoreSessionScope()
    fields: dict[str, Any] = {_SCOPE_FIELD[name]: getattr(blank, _SCOPE_FIELD[name]) for name in left_out}
    return count_up_to(dataclasses.replace(scope, **fields).rows(reader))
