"""What a mirror must hold after a history: predicted from what the stand-in EM showed, by rules of its own.

Knows nothing of restorereports.mirror. `Shown` predicts rows and the record of changes, `Watch` gaps and servers,
`Trace` what ever was in EM, whether or not anybody read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from restorereports.emulator.records import RestoreSessionRecord
from restorereports.emulator.world import World

DAY = timedelta(days=1)
WEEK = 7 * DAY  # the shortest history that EM can be set to
PURGED_EVERY = DAY  # just after midnight EM shows a day less than just before
PURGED_BY = 2 * DAY  # how much sooner than measured EM may purge without having lost its history
NOTED = timedelta(hours=1)  # by how much a window has to grow to be written again
PUNCTUAL = timedelta(hours=1)  # later than so after its creation a restore session is a late one
EMPTY = (None, "")

Key = tuple[str, str]  # UID of the backup server, UID of the restore session
Columns = dict[str, Any]


def columns(record: RestoreSessionRecord) -> Columns:
    """The facts of a row, read from the stand-in's record and not from its XML."""
    ended = record.ended_at if record.state == "Stopped" else None
    return {
        "name": record.name,
        "vm_name": record.vm_name or "",
        "job_type": record.job_type or "",
        "state": record.state or "",
        "result": record.result or "None",
        "progress": record.progress,
        "started_at": record.created_at,
        "ended_at": ended,
        "restore_point_uid": record.restore_point_uid or "",
        "restore_point_name": record.restore_point_name or "",
        "failure_message": record.failure_message or "",
    }


def wire(record: RestoreSessionRecord, *, with_progress: bool = True) -> tuple[Any, ...]:
    """All that EM says of it; equal tuples are equal XML."""
    return astuple(record if with_progress else replace(record, progress=None))


@dataclass(frozen=True)
class Change:
    """An expected record of a change. `fields` and `kept` map a column to (before, after)."""

    manager: int
    uid: str
    fields: dict[str, tuple[Any, Any]]
    kept: dict[str, tuple[Any, Any]]
    before: RestoreSessionRecord | None


@dataclass
class Source:
    """How one Enterprise Manager last worded a restore session."""

    key: Key
    record: RestoreSessionRecord
    missing: bool = False


@dataclass
class Shown:
    """The rows of the mirror, and how each Enterprise Manager worded them."""

    rows: dict[Key, Columns] = field(default_factory=dict)
    sources: dict[tuple[int, str], Source] = field(default_factory=dict)  # (Enterprise Manager, UID)

    def of(self, manager: int) -> Iterator[tuple[str, Source]]:
        return ((uid, source) for (owner, uid), source in self.sources.items() if owner == manager)

    def is_news(self, manager: int, record: RestoreSessionRecord) -> bool:
        """Whether seeing it writes anything."""
        source = self.sources.get((manager, record.uid))
        return source is None or source.missing or wire(source.record) != wire(record)

    def see(self, manager: int, record: RestoreSessionRecord) -> Change | None:
        """A run received this; gives the record of a change that it must have left."""
        if not self.is_news(manager, record):
            return None
        source = self.sources.get((manager, record.uid))
        key = (record.backup_server_uid, record.uid)
        said = columns(record)
        if source is None:
            self.sources[manager, record.uid] = Source(key, record)
            taken = self._take(key, said)
            if not set(taken) - {"progress"}:
                return None
            return Change(manager, record.uid, taken, {}, None)
        before, source.record, was_missing, source.missing = source.record, record, source.missing, False
        self._take(source.key, said)
        if not was_missing and wire(before, with_progress=False) == wire(record, with_progress=False):
            return None
        fields: dict[str, tuple[Any, Any]] = {"missing_at": ("then", None)} if was_missing else {}
        fields |= {
            name: (value, said[name]) for name, value in columns(before).items() if value != said[name]
        }
        row = self.rows[source.key]
        kept = {
            name: (row[name], value)
            for name, value in said.items()
            if name != "progress" and row[name] != value
        }
        return Change(manager, record.uid, fields, kept, before)

    def _take(self, key: Key, said: Columns) -> dict[str, tuple[Any, Any]]:
        """Into the row; a finished one never goes back and loses nothing."""
        row = self.rows.get(key)
        if row is None:
            self.rows[key] = dict(said)
            return {}
        taken = {}
        for name, value in said.items():
            if row["state"] == "Stopped":
                if said["state"] != "Stopped" or value in EMPTY:
                    continue
                if name == "result" and value == "None":
                    continue
            if row[name] != value:
                taken[name] = (row[name], value)
        row.update({name: after for name, (_, after) in taken.items()})
        return taken


@dataclass
class GapSeen:
    """An expected gap; `server` is the UID of the backup server that it concerns alone."""

    from_at: datetime
    to_at: datetime | None
    cause: str
    server: str = ""
    detail: str = ""
    closed: bool = True


@dataclass
class RunSeen:
    """A run as the watch remembers it."""

    at: datetime
    known_to: datetime  # what EM collected after that, the run cannot have read
    good: bool
    full: bool
    error: str


@dataclass
class Watch:
    """The log of one Enterprise Manager's runs, and the gaps that follow from it (evidence rule 14)."""

    runs: list[RunSeen] = field(default_factory=list)
    gaps: list[GapSeen] = field(default_factory=list)
    shown: timedelta | None = None
    covered_from: datetime | None = None
    removed: dict[str, datetime] = field(default_factory=dict)  # backup server -> noticed at
    lost: bool = False  # what the last full run found
    relied_on: timedelta = WEEK  # so far back the last full run relied on EM before it looked

    @property
    def last_full(self) -> RunSeen | None:
        return next((run for run in reversed(self.runs) if run.good and run.full), None)

    @property
    def last_good(self) -> RunSeen | None:
        return next((run for run in reversed(self.runs) if run.good), None)

    def failed(self, at: datetime, error: str) -> None:
        """A run failed; once more time has passed than EM answers back, rows are being lost."""
        last = self.last_good
        growing = any(not gap.closed for gap in self.gaps)
        if last and not growing and at - max(self.shown or WEEK, WEEK) > last.known_to:
            self.gaps.append(GapSeen(last.known_to, None, "failed", detail=error, closed=False))
        self.runs.append(RunSeen(at, at, good=False, full=False, error=error))

    def failed_silently(self, at: datetime, error: str) -> None:
        """A run whose process ended: known by the next one, which makes up for it."""
        self.runs.append(RunSeen(at, at, good=False, full=False, error=error))

    def incremental(self, at: datetime, *, known_to: datetime) -> None:
        self.runs.append(RunSeen(at, known_to, good=True, full=False, error=""))

    def server_removed(self, server: str, at: datetime) -> None:
        """A run noticed it; what was done there since the last good run cannot be read any more."""
        self.removed[server] = at
        last = self.last_good
        if last and last.known_to < at:
            self.gaps.append(GapSeen(last.known_to, at, "server_away", server=server))

    def full(
        self,
        at: datetime,
        *,
        known_to: datetime,
        oldest: datetime | None,
        gone: datetime | None,
        listed: Iterable[str],
    ) -> None:
        """A good full run: what it showed at the old end, what left there, which backup servers are listed."""
        covers = self._measure(at, oldest, gone)
        growing = next((gap for gap in self.gaps if not gap.closed), None)
        last = self.last_full if self.lost else self.last_good
        if growing is not None:
            growing.to_at, growing.closed = max(growing.from_at, covers), True
        elif last is not None and covers > self._told_to(last.known_to):
            behind = self.runs[self.runs.index(last) + 1 :]
            error = next((run.error for run in reversed(behind) if run.error), "")
            cause = "history_lost" if self.lost else "failed" if error else "not_run"
            self.gaps.append(
                GapSeen(self._told_to(last.known_to), covers, cause, detail="" if self.lost else error)
            )
        for server in sorted(set(listed) & self.removed.keys()):
            removed_at = self.removed.pop(server)
            if covers > removed_at:
                self.gaps.append(GapSeen(removed_at, covers, "server_away", server=server))
        self.covered_from = self.covered_from or covers
        self.runs.append(RunSeen(at, known_to, good=True, full=True, error=""))

    def _told_to(self, from_at: datetime) -> datetime:
        """The end of the gaps that begin there already: an EM that collects nothing loses more with each full run."""
        told = [gap.to_at for gap in self.gaps if gap.closed and not gap.server and gap.from_at >= from_at]
        return max([from_at, *(to_at for to_at in told if to_at)])

    def _note(self, shown: timedelta | None) -> None:
        """What merely grew with the minutes is not written again."""
        before = self.shown
        if before is None or shown is None or not timedelta() <= shown - before < NOTED:
            self.shown = shown

    def _measure(self, at: datetime, oldest: datetime | None, gone: datetime | None) -> datetime:
        """From when on this run misses nothing. EM proves how far back it answers by what it shows and forgets."""
        reach = max(at - oldest, timedelta()) if oldest else timedelta()
        self.relied_on = relied_on = max(self.shown or WEEK, WEEK)
        self.lost = gone is not None and at - gone < relied_on - PURGED_BY
        if self.lost:
            self._note(reach if oldest else None)
            return at - reach
        forgot = [at - gone] if gone else []
        known = [min([self.shown, *forgot])] if self.shown is not None else []
        known += [reach] if oldest else []
        self._note(max(known, default=None))
        certain = max(relied_on - PURGED_EVERY, WEEK)
        return at - max(min([certain, *forgot]), reach)


@dataclass
class Fate:
    """When one restore session was in EM; moments are counted, since clocks may be set back."""

    created: datetime
    server: str
    came: int
    punctual: bool
    behind: bool  # created before the last good run, and collected only after it
    went: int | None = None
    went_at: datetime | None = None
    by_hand: bool = False  # deleted by a person: nobody can know of it
    unprovable: bool = False  # EM forgot it sooner than before, and nothing that we knew with it


@dataclass
class Trace:
    """Everything that ever was in one EM, looked at whenever something may have changed."""

    fates: dict[str, Fate] = field(default_factory=dict)
    moment: int = 0
    full_at: int = -1  # the moment of the last good full run
    forgot_at: int = -1  # when EM's history was shortened

    def look(self, world: World, at: datetime, watch: Watch) -> None:
        self.moment += 1
        there = {record.uid: record for record in world.visible_sessions()}
        for uid, record in there.items():
            fate = self.fates.get(uid)
            if fate is None:
                last = watch.last_good
                self.fates[uid] = Fate(
                    created=record.created_at,
                    server=record.backup_server_uid,
                    came=self.moment,
                    punctual=at - record.created_at <= PUNCTUAL,
                    behind=last is not None and record.created_at <= last.at,
                )
            else:
                fate.went = fate.went_at = None
        for uid, fate in self.fates.items():
            if uid not in there and fate.went is None:
                fate.went, fate.went_at = self.moment, at
