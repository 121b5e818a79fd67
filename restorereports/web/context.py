"""What every page shows around its content."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from .banner import LINES_SHOWN, Line, banner_lines
from .health import Health, healths


@dataclass(frozen=True, slots=True)
class Freshness:
    """How fresh the mirror is as a whole: the header's sync state, the footer's and the banner's facts."""

    known: list[Health]
    lines: list[Line]

    @property
    def troubled(self) -> list[Health]:
        return [h for h in self.known if h.tone in ("bad", "warn")]

    @property
    def stale(self) -> list[Health]:
        return [h for h in self.known if h.stale]

    @property
    def worst(self) -> str:
        """The tone of the banner; its lines begin with the worst."""
        return self.lines[0].tone

    @property
    def lines_shown(self) -> list[Line]:
        return self.lines[:LINES_SHOWN]

    @property
    def lines_folded(self) -> list[Line]:
        return self.lines[LINES_SHOWN:]

    @property
    def halted(self) -> bool:
        return any(line.halts for line in self.lines)

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


def freshness_of(request: HttpRequest) -> Freshness:
    """Read once a request, by whoever asks first."""
    found: Freshness | None = getattr(request, "_freshness", None)
    if found is None:
        found = Freshness([], [])
        if request.user.is_authenticated:
            as_of = timezone.now()
            known = healths(request.user, as_of=as_of)
            found = Freshness(known, banner_lines(known, request.user, as_of=as_of))
        request._freshness = found  # type: ignore[attr-defined]
    return found


def shell(request: HttpRequest) -> dict[str, Any]:
    """Read only where a template asks, so that fragments and error pages cost nothing."""
    return {"version": VERSION, "freshness": SimpleLazyObject(lambda: freshness_of(request))}
