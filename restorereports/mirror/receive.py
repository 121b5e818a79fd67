"""Rows and the run's counts in one transaction: a killed run leaves whole pages only."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone

from restorereports.em.entities import RestoreSessionEntity
from restorereports.models import SyncRun

from .lock import still_ours
from .rows import Stored, store


def receive(run: SyncRun, entities: Sequence[RestoreSessionEntity]) -> Stored:
    """Store what came and note it on the run; RunTakenOver when the run is no longer ours."""
    created = [entity.started_at for entity in entities]
    with transaction.atomic():
        stored = store(run, entities, at=timezone.now())
        counts = {
            "page": run.page,
            "pages": run.pages,
            "seen": run.seen + len(entities),
            "new": run.new + stored.new,
            "changed": run.changed + stored.changed,
            "unchanged": run.unchanged + stored.unchanged,
            "oldest_at": min([*created, *([run.oldest_at] if run.oldest_at else [])], default=None),
            "newest_at": max([*created, *([run.newest_at] if run.newest_at else [])], default=None),
        }
        still_ours(run, **counts)
    for name, value in counts.items():
        setattr(run, name, value)
    return stored
