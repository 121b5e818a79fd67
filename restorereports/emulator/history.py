"""The real restores of the simulated backup servers: a pure function of seed, epoch and row number.

Rows 0..N-1 lie in the 13 weeks before the epoch. Rows from N on are live: they begin after the epoch, one in each
stretch of `live_interval` seconds, so that the history grows with the clock and is the same after a restart.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from restorereports.emulator.draws import draw, fraction, number_in, numbered_guid
from restorereports.emulator.estate import Estate
from restorereports.emulator.quirks import FRACTION_DIGITS, quirk_of, same_time_as
from restorereports.emulator.rhythm import Rhythm, in_bad_week
from restorereports.emulator.stamps import SECOND

_NEVER_RESTORED = 0.15  # share of VMs that have no restore session at all


@dataclass(slots=True, frozen=True)
class Fate:
    """All that will ever be true of one restore: when it begins and ends, and how."""

    number: int
    guid: str
    vm: int
    server: int
    whole_vm: bool
    created_us: int
    seventh_digit: str
    duration_us: int
    result: str
    quirk: str | None
    fraction_in_name: bool


class History:
    """Times of all rows (8 bytes each) and, on demand, the fate of one."""

    def __init__(
        self, *, seed: int, epoch_us: int, sessions: int, estate: Estate, live_interval: float
    ) -> None:
        self.estate = estate
        self.epoch_us = epoch_us
        self.live_interval_us = int(live_interval * SECOND)
        self._seed = f"{seed}|{epoch_us}|{sessions}"
        self._sessions = sessions if estate.vms else 0
        self._rhythm = Rhythm(epoch_us=epoch_us)
        self._restored_vms = max(1, int(len(estate.vms) * (1 - _NEVER_RESTORED)))
        self.times = array("q", (self._created_us(number) for number in range(self._sessions)))

    def grow(self, now_us: int) -> range:
        """Append the rows that have begun by now; returns their numbers."""
        before = len(self.times)
        if not self.live_interval_us or not self.estate.vms:
            return range(before, before)
        while True:
            begin_us = self._created_us(len(self.times))
            if begin_us > now_us:
                return range(before, len(self.times))
            self.times.append(begin_us)

    def number_of(self, guid: str) -> int | None:
        """The row that bears this GUID, if it has begun."""
        number = number_in(self._seed, guid)
        return number if number is not None and number < len(self.times) else None

    def server_of(self, number: int) -> int:
        """Index of the backup server of a row."""
        return self.estate.vms[self._vm(number, self._digest(number))].server

    def fate(self, number: int) -> Fate:
        """Everything about one row."""
        digest = self._digest(number)
        vm = self._vm(number, digest)
        created_us = self.times[number]
        whole_vm = digest[16] % 10 < 3
        shortest, longest = (600, 20_000) if whole_vm else (90, 2_600)
        quirk = self._quirk(number)
        return Fate(
            number=number,
            guid=numbered_guid(self._seed, number),
            vm=vm,
            server=self.estate.vms[vm].server,
            whole_vm=whole_vm,
            created_us=created_us,
            seventh_digit="7" if quirk == "digits_7" else "",
            duration_us=int((shortest + fraction(digest, 20) ** 3 * (longest - shortest)) * SECOND)
            + digest[24] * 1001,
            result=self._result(digest, created_us),
            quirk=quirk,
            fraction_in_name=bool(digest[25] & 1),
        )

    def _digest(self, number: int) -> bytes:
        return draw(f"{self._seed}|session|{number}")

    def _quirk(self, number: int) -> str | None:
        # Live rows are mostly ordinary, so that a demo left running stays readable.
        return (
            quirk_of(number, rows=self._sessions) if number < self._sessions else quirk_of(number, rows=10**6)
        )

    def _vm(self, number: int, digest: bytes) -> int:
        quirk = self._quirk(number)
        if quirk in self.estate.awkward:
            return self.estate.awkward[quirk]
        if quirk in {"twin_first", "twin_second"} and self.estate.twins is not None:
            return self.estate.twins[quirk == "twin_second"]
        return int(fraction(digest, 28) ** 1.6 * self._restored_vms)

    def _created_us(self, number: int) -> int:
        shared = same_time_as(number) if number < self._sessions else number
        shared = min(shared, self._sessions - 1) if number < self._sessions else shared
        digest = self._digest(shared)
        if number < self._sessions:
            moment_us = self._rhythm.moment_us((shared + fraction(digest, 32)) / self._sessions)
        else:
            spread = (number - self._sessions) + fraction(digest, 32)
            moment_us = self.epoch_us + int(spread * self.live_interval_us)
        quirk = self._quirk(shared)
        if quirk in FRACTION_DIGITS:
            return _with_digits(moment_us, FRACTION_DIGITS[quirk])
        server = self.estate.vms[self._vm(shared, digest)].server
        return _with_digits(moment_us, 6, fill=False) if server % 2 else moment_us - moment_us % 1000

    def _result(self, digest: bytes, created_us: int) -> str:
        chance = fraction(digest, 36)
        failed, warning = (0.45, 0.15) if in_bad_week(created_us, epoch_us=self.epoch_us) else (0.03, 0.06)
        if chance < failed:
            return "Failed"
        return "Warning" if chance < failed + warning else "Success"


def _with_digits(moment_us: int, digits: int, *, fill: bool = True) -> int:
    """The moment cut to so many digits of a second; filled, the last of them is not zero."""
    unit = 10 ** (6 - digits)
    moment_us -= moment_us % unit
    return moment_us + unit if fill and digits and moment_us // unit % 10 == 0 else moment_us
