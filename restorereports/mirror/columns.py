"""One restore session as Enterprise Manager words it -> the columns of a row."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from restorereports.em.entities import RestoreSessionEntity
from restorereports.models import Outcome
from restorereports.models.restore_session import FINAL_STATE, VM_SORT_LENGTH

SHORT = 255  # longest word of EM in a row of its own; the raw XML keeps it whole
DERIVED = frozenset({"vm_sort", "outcome", "duration_ms", "virtual_machine_id"})  # follow from other columns
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def fields_of(entity: RestoreSessionEntity) -> dict[str, Any]:
    """The columns an entity fills. `ended_at` stays empty until Stopped: a running one's can be nonsense."""
    finished = entity.state == FINAL_STATE
    ended_at = entity.ended_at if finished else None
    return {
        "name": entity.name,
        "vm_name": entity.vm_name,
        "vm_sort": entity.vm_name.casefold()[:VM_SORT_LENGTH],
        "job_type": entity.job_type[:SHORT],
        "state": entity.state[:SHORT],
        "result": entity.result[:SHORT],
        "outcome": Outcome.of(state=entity.state, result=entity.result),
        "progress": entity.progress,
        "started_at": entity.started_at,
        "ended_at": ended_at,
        "duration_ms": _milliseconds(ended_at) - _milliseconds(entity.started_at) if ended_at else None,
        "restore_point_uid": entity.restore_point_uid,
        "restore_point_name": entity.restore_point_name,
        "restored_object_ref": entity.restored_object_ref,
        "failure_message": entity.failure_message,
    }


def _milliseconds(at: datetime) -> int:
    """Cut, not rounded, as the times are shown: so that a duration equals the times beside it."""
    return (at - _EPOCH) // _MILLISECOND
