"""How an Enterprise Manager's sync is: what the header, the banner, the list and its own page say about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Exists, OuterRef, Subquery

from restorereports.models import Alert, EnterpriseManager, Gap, Reconciliation, SyncRun, User
from restorereports.models.health import HealthState, age_of, is_stale, state_of
from restorereports.reports.alerts import STALE_AFTER as ALERT_AFTER

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
    age, stale = age_of(em, as_of=as_of), is_stale(em, as_of=as_of)
    state = state_of(em, as_of=as_of, running=running)
    tone, icon = _tone_and_icon(state, stale=stale)
    return Health(
        enterprise_manager=em,
        state=str(state.label),
        tone=tone,
        icon=icon,
        stale=stale,
        age=age,
        days_left=max(em.window - age, timedelta()) if age is not None else None,
        whole=reader.granted.whole(em.pk),
    )


def _tone_and_icon(state: HealthState, *, stale: bool) -> tuple[str, str]:
    if state == HealthState.NEVER_SYNCED:
        return "warn" if stale else "none", "never"
    return _SHOWN.get(state, ("bad", "lock"))  # paused: a person has to act


_SHOWN = {
    HealthState.SYNCING: ("info", "running"),
    HealthState.FIRST_SYNC: ("info", "running"),
    HealthState.SWITCHED_OFF: ("none", "exempt"),
    HealthState.STALE: ("warn", "warn"),
    HealthState.FAILED: ("warn", "warn"),
    HealthState.CURRENT: ("good", "good"),
}


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
