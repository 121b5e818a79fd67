"""How an Enterprise Manager's sync is: what the header, the banner, the list and its own page say about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Subquery
from django.utils.translation import gettext as _

from restorereports.models import Alert, EnterpriseManager, Gap, Reconciliation, SyncRun, User
from restorereports.reports.alerts import STALE_AFTER as ALERT_AFTER

STALE_AFTER = timedelta(hours=24)

if TYPE_CHECKING:

    class KnownEnterpriseManager(EnterpriseManager):
        """What `with_health` adds, and what the pages ask beyond it."""

        last_good_at: datetime | None
        last_attempt_at: datetime | None
        last_status: str | None
        last_error: str | None
        is_syncing: bool
        losing_since: datetime | None
        reconciled: str | None
        alert_error: str | None
else:
    KnownEnterpriseManager = EnterpriseManager


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """One Enterprise Manager as of a moment. `tone` and `icon` name classes of the stylesheet."""

    enterprise_manager: KnownEnterpriseManager
    state: str
    tone: str
    icon: str
    stale: bool
    age: timedelta | None
    days_left: timedelta | None
    whole: bool  # whether the reader may see figures over all of its backup servers

    @property
    def share_left(self) -> str:
        """Days left as a share of EM's window, for the meter; a third is where critical begins."""
        return f"{100 * (self.days_left or timedelta()) / self.enterprise_manager.window:.1f}%"

    @property
    def critical(self) -> bool:
        """Two thirds of EM's window are used up without a good sync."""
        return self.age is not None and 3 * self.age >= 2 * self.enterprise_manager.window

    @property
    def alert_after(self) -> timedelta:
        """The age of the last good sync at which administrators get mail."""
        return min(ALERT_AFTER, self.enterprise_manager.window / 3)

    @property
    def critical_after(self) -> timedelta:
        return self.enterprise_manager.window * 2 / 3


def health_of(
    enterprise_manager: KnownEnterpriseManager, reader: User, *, as_of: datetime, running: bool
) -> Health:
    """What is known about one; `enterprise_manager` comes from `with_health`."""
    em = enterprise_manager
    # a sync that lies ahead, after a clock was set back, says as little about now as one long ago
    age = abs(as_of - em.last_good_at) if em.last_good_at else None
    stale = em.is_active and (age > STALE_AFTER if age is not None else as_of - em.created_at > STALE_AFTER)
    state, tone, icon = _state(em, running=running, stale=stale)
    return Health(
        enterprise_manager=em,
        state=state,
        tone=tone,
        icon=icon,
        stale=stale,
        age=age,
        days_left=max(em.window - age, timedelta()) if age is not None else None,
        whole=reader.granted.whole(em.pk),
    )


def _state(em: KnownEnterpriseManager, *, running: bool, stale: bool) -> tuple[str, str, str]:
    if em.paused_at:
        return str(EnterpriseManager.Pause(em.paused_because).label), "bad", "lock"
    if running:
        return (_("Syncing") if em.last_good_at else _("First sync running")), "info", "running"
    if not em.is_active:
        return _("Switched off"), "none", "exempt"
    if stale and em.last_good_at:
        return _("Stale, over 24 h"), "warn", "warn"
    if em.last_status in (SyncRun.Status.FAILED, SyncRun.Status.DIED, SyncRun.Status.STOPPED):
        return _("Last sync failed"), "warn", "warn"
    if em.last_good_at is None:
        return _("Never synced"), "warn" if stale else "none", "never"
    return _("Current"), "good", "good"


def healths(reader: User, *, as_of: datetime) -> list[Health]:
    """All that the reader may see, by name; one query however many there are."""
    of_this = {"enterprise_manager": OuterRef("pk")}
    growing = Gap.objects.visible_to(reader).growing().filter(**of_this).order_by("from_at")
    compared = Reconciliation.objects.filter(**of_this).order_by("-pk")
    unsent = Alert.objects.failed().filter(**of_this).order_by("-pk")
    managers: Any = (
        EnterpriseManager.objects.visible_to(reader)
        .with_health()
        .annotate(
            is_syncing=Exists(SyncRun.objects.running().filter(**of_this)),
            losing_since=Subquery(growing.values("from_at")[:1]),
            reconciled=Subquery(compared.values("state")[:1]),
            alert_error=Subquery(unsent.values("error")[:1]),
        )
    )
    return [health_of(em, reader, as_of=as_of, running=em.is_syncing) for em in managers]
