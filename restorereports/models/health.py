"""How an Enterprise Manager's sync is, in one word: for the pages' words and the API alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import models
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext_lazy as _

from .enterprise_manager import EnterpriseManager, EnterpriseManagerQuerySet
from .sync_run import SyncRun

STALE_AFTER: Final = timedelta(hours=24)
_NOT_GOOD = (SyncRun.Status.FAILED, SyncRun.Status.DIED, SyncRun.Status.STOPPED)


class HealthState(models.TextChoices):
    """The first that fits."""

    LOGON_REFUSED = EnterpriseManager.Pause.LOGON_REFUSED.value, EnterpriseManager.Pause.LOGON_REFUSED.label
    CERTIFICATE_CHANGED = (
        EnterpriseManager.Pause.CERTIFICATE_CHANGED.value,
        EnterpriseManager.Pause.CERTIFICATE_CHANGED.label,
    )
    SYNCING = "syncing", _("Syncing")
    FIRST_SYNC = "first_sync", _("First sync running")
    SWITCHED_OFF = "switched_off", _("Switched off")
    STALE = "stale", _("Stale, over 24 h")
    FAILED = "failed", _("Last sync failed")
    NEVER_SYNCED = "never_synced", _("Never synced")
    CURRENT = "current", _("Current")


def with_state(managers: EnterpriseManagerQuerySet) -> EnterpriseManagerQuerySet:
    """Adds what `state_of` asks: the last sync runs, and `is_syncing`."""
    running = SyncRun.objects.running().filter(enterprise_manager=OuterRef("pk"))
    return managers.with_health().annotate(is_syncing=Exists(running))


def age_of(em: Any, *, as_of: datetime) -> timedelta | None:
    """Since the last good sync; one that lies ahead, after a clock was set back, says as little as one long ago."""
    return abs(as_of - em.last_good_at) if em.last_good_at else None


def is_stale(em: Any, *, as_of: datetime) -> bool:
    age = age_of(em, as_of=as_of)
    return bool(em.is_active and (as_of - em.created_at if age is None else age) > STALE_AFTER)


def state_of(em: Any, *, as_of: datetime, running: bool) -> HealthState:
    """`em` comes from `with_health`."""
    if em.paused_at:
        return HealthState(em.paused_because)
    if running:
        return HealthState.SYNCING if em.last_good_at else HealthState.FIRST_SYNC
    if not em.is_active:
        return HealthState.SWITCHED_OFF
    if em.last_good_at and is_stale(em, as_of=as_of):
        return HealthState.STALE
    if em.last_status in _NOT_GOOD:
        return HealthState.FAILED
    return HealthState.CURRENT if em.last_good_at else HealthState.NEVER_SYNCED
