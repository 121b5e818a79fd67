"""The restore sessions EM holds at one moment, as a sequence in order of creation that builds records on demand.

A row of the invented history is a number until somebody looks at it, so that a million rows cost 16 MB.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import overload

from restorereports.emulator.records import RestoreSessionRecord
from restorereports.emulator.stamps import to_us

Key = int | RestoreSessionRecord  # a row of the history, or a row made by hand


class VisibleSessions(Sequence[RestoreSessionRecord]):
    """A snapshot; later changes of the world do not touch it."""

    def __init__(
        self, keys: Sequence[Key], *, times: Sequence[int], read: Callable[[int], RestoreSessionRecord]
    ) -> None:
        """`keys` in order of creation; `times` gives the creation time (microseconds) of a history row."""
        self._keys = keys
        self._times = times
        self._read = read

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, at: int) -> RestoreSessionRecord: ...

    @overload
    def __getitem__(self, at: slice) -> list[RestoreSessionRecord]: ...

    def __getitem__(self, at: int | slice) -> RestoreSessionRecord | list[RestoreSessionRecord]:
        if isinstance(at, slice):
            return [self._open(key) for key in self._keys[at]]
        return self._open(self._keys[at])

    def __iter__(self) -> Iterator[RestoreSessionRecord]:
        return map(self._open, self._keys)

    def first_from(self, moment_us: int) -> int:
        """Position of the first row created at or after a moment."""
        return bisect_left(self._keys, moment_us, key=self._time)

    def first_after(self, moment_us: int) -> int:
        """Position of the first row created after a moment."""
        return bisect_right(self._keys, moment_us, key=self._time)

    def _open(self, key: Key) -> RestoreSessionRecord:
        return self._read(key) if isinstance(key, int) else key

    def _time(self, key: Key) -> int:
        return self._times[key] if isinstance(key, int) else to_us(key.created_at)
