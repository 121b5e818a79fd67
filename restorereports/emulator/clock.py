"""Clocks: what tells the stand-in the time, so that a test can turn it forward."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]  # aware, in UTC


def utc_now() -> datetime:
    """The real time, UTC."""
    return datetime.now(UTC)


class ManualClock:
    """A clock that stands still until it is advanced."""

    def __init__(self, at: datetime | None = None) -> None:
        """Start at `at` (aware), or at an arbitrary office hour of 2031."""
        self._lock = threading.Lock()
        self._now = (at or datetime(2031, 5, 6, 12, 0, tzinfo=UTC)).astimezone(UTC)

    def __call__(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Turn the clock on by `seconds` (negative turns it back) and return the new time."""
        with self._lock:
            self._now += timedelta(seconds=seconds)
            return self._now

    def set(self, at: datetime) -> None:
        """Set the clock to `at` (aware)."""
        with self._lock:
            self._now = at.astimezone(UTC)
