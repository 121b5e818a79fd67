"""What is due stands in the database; wake-ups only make somebody look."""

from __future__ import annotations

from datetime import datetime

from restorereports.models import EnterpriseManager

from .lock import bury_dead


def due_enterprise_managers(*, as_of: datetime) -> list[int]:
    """Ids of those whose sync should start now; runs whose process is gone are closed first."""
    bury_dead(at=as_of)
    return list(EnterpriseManager.objects.due(as_of).values_list("pk", flat=True))


def is_due(enterprise_manager_id: int, *, as_of: datetime) -> bool:
    """Still due: a second wake-up for the same sync finds nothing to do."""
    return EnterpriseManager.objects.due(as_of).filter(pk=enterprise_manager_id).exists()
