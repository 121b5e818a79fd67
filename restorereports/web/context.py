"""What every page shows around its content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from .health import Health, healths


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh the mirror is as a whole: the header's sync state, the footer's and the banner's facts."""

    known: list[Health]

    @property
    def troubled(self) -> list[Health]:
        return [h for h in self.known if h.tone in ("bad", "warn")]

    @property
    def stale(self) -> list[Health]:
        return [h for h in self.known if h.stale]

    @property
    def alarm(self) -> bool:
        return any(h.alarm for h in self.stale)

    @property
    def syncing(self) -> bool:
        return any(h.icon == "running" for h in self.known)

    @property
    def as_of(self) -> datetime | None:
        """Up to when the mirror is complete: the oldest last good sync of those that are not stale."""
        fresh = [h.enterprise_manager.last_good_at for h in self.known if not h.stale]
        return min((at for at in fresh if at), default=None)


def _version() -> str:
    try:
        return version("restore-reports")
    except PackageNotFoundError:
        return "1.0.0"


VERSION = _version()


def shell(request: HttpRequest) -> dict[str, Any]:
    """Read only where a template asks, so that fragments and error pages cost nothing."""

    def freshness() -> Freshness:
        known = healths(request.user, as_of=timezone.now()) if request.user.is_authenticated else []
        return Freshness(known)

    return {"version": VERSION, "freshness": SimpleLazyObject(freshness)}
