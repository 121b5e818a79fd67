"""The collection clock: EM's data is a copy, made every 15 minutes from each backup server, if that succeeds.

Answers one question: up to which moment does EM know what happened on a backup server? Times are microseconds UTC.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

_LATE_EVERY = 8  # the late server is reached by every eighth collection only


@dataclass(slots=True)
class Outage:
    """Collections of one server fail after one moment and before another (None: until healed)."""

    from_us: int
    until_us: int | None = None

    def covers(self, moment_us: int) -> bool:
        return self.from_us < moment_us and (self.until_us is None or moment_us < self.until_us)


@dataclass(slots=True, frozen=True)
class PutBack:
    """EM's database was replaced at one moment by its state of another."""

    at_us: int
    to_us: int


@dataclass(slots=True)
class CollectionClock:
    """Ticks at the epoch plus multiples of the interval; an interval of 0 means: EM knows everything at once."""

    epoch_us: int
    interval_us: int
    late_guids: frozenset[str] = frozenset()
    _outages: dict[str, list[Outage]] = field(default_factory=dict)
    _extra: dict[str, list[int]] = field(default_factory=dict)  # collections on demand
    _put_back: dict[str, PutBack] = field(default_factory=dict)
    _erased: list[PutBack] = field(default_factory=list)

    def known_until(self, guid: str, now_us: int) -> int:
        """The last moment before now at which this server was collected with success, as far as EM remembers."""
        back = self._put_back.get(guid)
        if back is not None and (not self.interval_us or self._last_scheduled(guid, now_us) <= back.at_us):
            return self._collected_until(guid, back.to_us)
        return self._collected_until(guid, now_us)

    def put_back(self, guids: Iterable[str], *, to_us: int, now_us: int) -> None:
        """EM forgets what it has collected since a moment, until it next collects."""
        back = PutBack(now_us, to_us)
        self._erased.append(back)
        for guid in guids:
            # What was put back before and not collected since is as old as that.
            older = min(to_us, self.known_until(guid, now_us))
            self._put_back[guid] = PutBack(now_us, older)

    def _collected_until(self, guid: str, now_us: int) -> int:
        scheduled = self._last_scheduled(guid, now_us)
        on_demand = [moment for moment in self._extra.get(guid, ()) if moment <= now_us]
        return max([scheduled, *on_demand[-1:]])

    def collect(self, guid: str, now_us: int) -> bool:
        """Collect one server now; False if it cannot be reached."""
        if self._down(guid, now_us):
            return False
        self._extra.setdefault(guid, []).append(now_us)
        self._put_back.pop(guid, None)
        return True

    def fail(self, guid: str, now_us: int, until_us: int | None = None) -> None:
        """From now on (until a moment, or until healed) collections of this server fail."""
        self._outages.setdefault(guid, []).append(Outage(now_us, until_us))

    def heal(self, guid: str, now_us: int) -> None:
        """From now on collections of this server succeed again."""
        for outage in self._outages.get(guid, ()):
            outage.until_us = now_us if outage.until_us is None else min(outage.until_us, now_us)

    def ticks(self, from_us: int, now_us: int, *, limit: int) -> list[int]:
        """The scheduled collections from one moment to now, newest first, at most `limit`."""
        if not self.interval_us:
            return [now_us]
        newest = (now_us - self.epoch_us) // self.interval_us
        found = (self.epoch_us + (newest - back) * self.interval_us for back in range(limit))
        return [
            moment
            for moment in found
            if moment >= from_us and not any(back.to_us < moment <= back.at_us for back in self._erased)
        ]

    def reached(self, guid: str, tick_us: int) -> bool:
        """Whether the scheduled collection at this tick reached this server."""
        if self.interval_us and guid in self.late_guids:
            number = (tick_us - self.epoch_us) // self.interval_us
            if number % _LATE_EVERY:
                return False
        return not self._down(guid, tick_us)

    def _last_scheduled(self, guid: str, now_us: int) -> int:
        if not self.interval_us:
            down = [outage.from_us for outage in self._outages.get(guid, ()) if outage.covers(now_us)]
            return min([now_us, *down])
        tick_us = now_us - (now_us - self.epoch_us) % self.interval_us
        while not self.reached(guid, tick_us):
            begun = [outage.from_us for outage in self._outages.get(guid, ()) if outage.covers(tick_us)]
            before = min([tick_us - 1, *begun])
            tick_us = before - (before - self.epoch_us) % self.interval_us
        return tick_us

    def _down(self, guid: str, moment_us: int) -> bool:
        return any(outage.covers(moment_us) for outage in self._outages.get(guid, ()))
