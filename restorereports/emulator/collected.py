"""EM's copy: which rows of the history, and of those made by hand, the last collections have brought in."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right, insort

from restorereports.emulator.changes import Changes
from restorereports.emulator.history import History
from restorereports.emulator.records import BackupServerRecord, RestoreSessionRecord
from restorereports.emulator.sightings import see, settled_us
from restorereports.emulator.stamps import to_us
from restorereports.emulator.visible import Key, VisibleSessions

_KEPT_RECORDS = 20_000  # rows that cannot change any more are built once, up to so many
_Settled = dict[int, tuple[int, RestoreSessionRecord]]  # number -> from when on it is like this
_State = tuple[tuple[tuple[str, int], ...], int, int, int]


class CollectedCopy:
    """Answers what EM holds, given how far each backup server was collected. Not thread-safe: the world locks."""

    def __init__(self, history: History, changes: Changes) -> None:
        self.history = history
        self.changes = changes
        self._order = array("l", sorted(range(len(history.times)), key=history.times.__getitem__))
        self._touched: dict[int, str] = {}  # history rows that were changed by hand
        self._settled: _Settled = {}
        self._version = 0
        self._taken: tuple[_State, VisibleSessions] | None = None

    def grow(self, now_us: int) -> None:
        """Take in the live rows that have begun."""
        for number in self.history.grow(now_us):
            insort(self._order, number, key=self.history.times.__getitem__)

    def touched(self, uid: str) -> None:
        """A row was added, changed or removed by hand."""
        number = self.history.number_of(uid.rpartition(":")[2])
        if number is not None:
            self._touched[number] = uid
        self._version += 1

    def forget(self) -> None:
        """A server was renamed, added or removed: what was built before is void."""
        self._settled = {}  # older snapshots keep theirs, with the names of then
        self._version += 1

    def snapshot(
        self, servers: dict[str, BackupServerRecord], *, known: dict[str, int], cutoff_us: int
    ) -> VisibleSessions:
        """All rows of these servers, as far as each is known, without those created before the cut-off."""
        state = (tuple(sorted(known.items())), cutoff_us, len(self._order), self._version)
        if self._taken is None or self._taken[0] != state:
            self._taken = (state, self._take(dict(servers), dict(known), cutoff_us))
        return self._taken[1]

    def real(
        self, uid: str, servers: dict[str, BackupServerRecord], *, now_us: int
    ) -> RestoreSessionRecord | None:
        """The row as it is on its backup server now, whether collected or not."""
        if uid in self.changes.versions:
            return self.changes.latest(uid)
        number = self.history.number_of(uid.rpartition(":")[2])
        return None if number is None else self._read(number, servers, {}, self._settled, as_of_us=now_us)

    def find(
        self, guid: str, servers: dict[str, BackupServerRecord], *, known: dict[str, int], cutoff_us: int
    ) -> RestoreSessionRecord | None:
        """One row of EM's copy."""
        uid = f"urn:veeam:RestoreSession:{guid}"
        if uid in self.changes.versions:
            rows = self._by_hand(servers, known, cutoff_us)
            found = rows.get(uid)
            if found is not None or self._as_of(uid, known) is not None:
                return found
        number = self.history.number_of(guid)
        if number is None or self.history.times[number] < cutoff_us:
            return None
        horizon = known.get(self._server_uid(number))
        if horizon is None or self.history.times[number] > horizon:
            return None
        return self._read(number, servers, known, self._settled)

    def _take(
        self, servers: dict[str, BackupServerRecord], known: dict[str, int], cutoff_us: int
    ) -> VisibleSessions:
        times = self.history.times
        horizons = [*known.values(), 0][: max(1, len(known))]
        begin, certain, end = (
            bisect_left(self._order, cutoff_us, key=times.__getitem__),
            bisect_right(self._order, min(horizons), key=times.__getitem__),
            bisect_right(self._order, max(horizons), key=times.__getitem__),
        )
        rows = self._order[begin : max(begin, certain)]
        if len(known) < len(self.history.estate.servers):
            rows = array("l", [number for number in rows if self._server_uid(number) in known])
        late = self._order[max(begin, certain) : end]
        rows.extend(n for n in late if times[n] <= known.get(self._server_uid(n), -1))
        keys: list[Key] | array[int] = rows
        if self.changes.versions:
            keys = self._with_changes(rows, servers, known, cutoff_us)
        settled = self._settled
        return VisibleSessions(
            keys, times=times, read=lambda number: self._read(number, servers, known, settled)
        )

    def _with_changes(
        self, rows: array[int], servers: dict[str, BackupServerRecord], known: dict[str, int], cutoff_us: int
    ) -> list[Key]:
        by_hand = self._by_hand(servers, known, cutoff_us)
        replaced = {number for number, uid in self._touched.items() if self._as_of(uid, known) is not None}
        keys: list[Key] = [number for number in rows if number not in replaced]
        keys.extend(by_hand.values())
        times = self.history.times
        keys.sort(key=lambda key: times[key] if isinstance(key, int) else to_us(key.created_at))
        return keys

    def _by_hand(
        self, servers: dict[str, BackupServerRecord], known: dict[str, int], cutoff_us: int
    ) -> dict[str, RestoreSessionRecord]:
        """The rows made or changed by hand that EM has in its copy."""
        rows = {}
        for uid in self.changes.versions:
            version = self._as_of(uid, known)
            record = None if version is None else version[1]
            if (
                record is not None
                and record.backup_server_uid in servers
                and to_us(record.created_at) >= cutoff_us
            ):
                rows[uid] = record
        return rows

    def _as_of(self, uid: str, known: dict[str, int]) -> tuple[int, RestoreSessionRecord | None] | None:
        return self.changes.as_of(uid, known.get(self.changes.server_uid(uid), -1))

    def _server_uid(self, number: int) -> str:
        return self.history.estate.servers[self.history.server_of(number)].uid

    def _read(
        self,
        number: int,
        servers: dict[str, BackupServerRecord],
        known: dict[str, int],
        settled: _Settled,
        *,
        as_of_us: int | None = None,
    ) -> RestoreSessionRecord:
        """Build a row, or find it among those built before that will not change any more."""
        if number in settled:
            since_us, record = settled[number]
            if since_us <= (known[record.backup_server_uid] if as_of_us is None else as_of_us):
                return record
        fate = self.history.fate(number)
        estate = self.history.estate
        server = estate.servers[fate.server]
        moment_us = known[server.uid] if as_of_us is None else as_of_us
        record = see(fate, vm=estate.vms[fate.vm], server=servers.get(server.uid, server), as_of_us=moment_us)
        holds_from = settled_us(fate)
        if holds_from is not None and holds_from <= moment_us and len(settled) < _KEPT_RECORDS:
            settled[number] = (holds_from, record)
        return record
