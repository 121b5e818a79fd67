"""What is due stands in the database; wake-ups only make somebody look."""

from __future__ import annotations

from datetime import datetime

from restorereports.models import EnterpriseManager, SyncRun

from .lock import bury_dead


def due_enterprise_managers(*, as_of: datetime) -> list[int]:
    """Ids of those whose sync should start now; runs whose process is gone are closed first."""
    bury_dead(at=as_of)
    candidates = EnterpriseManager.objects.filter(is_active=True, paused_at=None).with_health()
    busy = set(SyncRun.objects.running().values_list("enterprise_manager", flat=True))
    return [one.pk for one in candidates if one.pk not in busy and _due(one, as_of)]


def is_due(enterprise_manager_id: int, *, as_of: datetime) -> bool:
    """Still due: a second wake-up for the same sync finds nothing to do."""
    return enterprise_manager_id in due_enterprise_managers(as_of=as_of)


def _due(enterprise_manager: EnterpriseManager, as_of: datetime) -> bool:
    """Asked for by a person, never synced, died in the middle, or the interval is over."""
    if enterprise_manager.sync_requested_at or enterprise_manager.last_status == SyncRun.Status.DIED:  # type: ignore[attr-defined]
        return True
    last: datetime | None = enterprise_manager.last_attempt_at  # type: ignore[attr-defined]
    starts_at = enterprise_manager.next_sync_at
    clock_was_set_back = last is not None and last > as_of
    return starts_at is None or starts_at <= as_of or clock_was_set_back
