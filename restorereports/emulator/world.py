"""The world behind the stand-in EM: backup servers, what was restored on them, and what EM has collected of it.

Built from a seed, an epoch and a clock alone, so that a restart shows the same rows plus what has grown since.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from restorereports.emulator.changes import Changes, changed_session, new_restore_point, new_session
from restorereports.emulator.clock import Clock, utc_now
from restorereports.emulator.collected import CollectedCopy
from restorereports.emulator.collection import CollectionClock
from restorereports.emulator.estate import make_estate, make_server
from restorereports.emulator.history import History
from restorereports.emulator.nightly import Nightly
from restorereports.emulator.records import (
    BackupServerRecord,
    RestorePointRecord,
    RestoreSessionRecord,
    RunRecord,
)
from restorereports.emulator.stamps import DAY, SECOND, from_us, to_us
from restorereports.emulator.visible import VisibleSessions

RETENTION_DAYS = 91  # 13 weeks, EM's default event history


class World:
    """See the module. All public methods may be called from any thread; UIDs may be given as URN or bare GUID."""

    def __init__(
        self,
        *,
        seed: int = 1,
        sessions: int = 2500,
        servers: int = 5,
        epoch: datetime | None = None,
        now: Clock = utc_now,
        live_interval: float = 0,
        collect_interval: float = 900,
        retention_days: int = RETENTION_DAYS,
        vms: int | None = None,
        late_server: bool = True,
    ) -> None:
        """Draw a world.

        `epoch` (default: start of the current UTC day) ends the history of `sessions` rows; after it a new restore
        begins every `live_interval` seconds on average (0: none). EM collects every `collect_interval` seconds
        (0: it always knows everything). With three servers or more the last one is reached by every eighth
        collection only, unless `late_server` is False.
        """
        self.lock = threading.RLock()
        self.now = now
        self.epoch = (epoch or start_of_day(now())).astimezone(UTC)
        self.retention_days = retention_days
        vms = min(max(sessions // 8, 40), 1500) if vms is None else vms
        estate = make_estate(seed=seed, servers=servers, vms=vms)
        self._servers = {server.uid: server for server in estate.servers}
        self._late = {estate.servers[-1].guid} if late_server and servers > 2 else set()
        self.collection = CollectionClock(
            to_us(self.epoch), int(collect_interval * SECOND), late_guids=frozenset(self._late)
        )
        history = History(
            seed=seed,
            epoch_us=to_us(self.epoch),
            sessions=sessions,
            estate=estate,
            live_interval=live_interval,
        )
        self._changes = Changes()
        self._copy = CollectedCopy(history, self._changes)
        self._counter = 0
        self._lost_before_us = 0
        self.nightly = Nightly(estate, epoch_us=to_us(self.epoch))

    @classmethod
    def empty(
        cls, *, now: Clock = utc_now, servers: int = 1, collect_interval: float = 0, **options: Any
    ) -> World:
        """A world with backup servers but neither VMs nor restores; what is added is seen at once by default."""
        return cls(now=now, sessions=0, servers=servers, vms=0, collect_interval=collect_interval, **options)

    def backup_servers(self) -> list[BackupServerRecord]:
        """The backup servers EM has now."""
        with self.lock:
            return list(self._servers.values())

    def visible(self) -> VisibleSessions:
        """What EM holds now, in order of creation, built on demand."""
        with self.lock:
            now_us = self._now_us()
            self._copy.grow(now_us)
            return self._copy.snapshot(
                self._servers, known=self._known(now_us), cutoff_us=self._cutoff(now_us)
            )

    def visible_sessions(self) -> list[RestoreSessionRecord]:
        """What EM holds now, in order of creation: what a mirror must equal."""
        with self.lock:
            return list(self.visible())

    def find_session(self, guid: str) -> RestoreSessionRecord | None:
        """One restore session of EM's copy, or None if EM does not hold it (any more)."""
        with self.lock:
            now_us = self._now_us()
            self._copy.grow(now_us)
            return self._copy.find(
                guid, self._servers, known=self._known(now_us), cutoff_us=self._cutoff(now_us)
            )

    def restore_points(self) -> Sequence[RestorePointRecord]:
        """The restore points of VMs EM knows, in order of creation."""
        with self.lock:
            return self.nightly.points(self._servers, self._known(self._now_us()))

    def job_sessions(self) -> list[RunRecord]:
        """The backup job sessions of the last nights."""
        with self.lock:
            return self.nightly.jobs(self._servers, self.known_until())

    def task_sessions(self) -> list[RunRecord]:
        """The backup task sessions of the last nights."""
        with self.lock:
            return self.nightly.tasks(self._servers, self.known_until())

    def vm_names(self) -> list[str]:
        """The names of the protected VMs, each once."""
        with self.lock:
            return sorted({name for point in self.restore_points() if (name := _vm_name(point))})

    def protected_vms(self) -> int:
        """How many VMs have a restore point."""
        with self.lock:
            return len({(point.backup_server_uid, _vm_name(point)) for point in self.restore_points()})

    def collected_at(self, server: str) -> datetime:
        """Up to which moment EM knows what happened on a backup server (UTC)."""
        return from_us(self._known(self._now_us())[self._server(server).uid])

    def add_session(self, **fields: Any) -> RestoreSessionRecord:
        """Begin (or insert) a restore session on a backup server; EM sees it at its next collection.

        Fields are those of RestoreSessionRecord, none is needed. `backup_server_uid` chooses the server.
        """
        with self.lock:
            self._counter += 1
            server = self._server(fields.pop("backup_server_uid", None))
            record = new_session(fields, server=server, number=self._counter, now_us=self._now_us())
            self._put(record.uid, record)
            return record

    def change_session(self, uid: str, **fields: Any) -> RestoreSessionRecord:
        """Change a restore session on its backup server; EM sees it at its next collection. KeyError if gone."""
        with self.lock:
            record = changed_session(self._real(uid), fields)
            self._put(record.uid, record)
            return record

    def remove_session(self, uid: str) -> None:
        """Delete a restore session on its backup server; it leaves EM at the next collection. KeyError if gone."""
        with self.lock:
            record = self._real(uid)
            self._put(record.uid, None, server_uid=record.backup_server_uid)

    def add_restore_point(self, **fields: Any) -> RestorePointRecord:
        """Add a restore point, seen at once; fields are those of RestorePointRecord, none is needed."""
        with self.lock:
            self._counter += 1
            server = self._server(fields.pop("backup_server_uid", None))
            point = new_restore_point(fields, server=server, number=self._counter, now_us=self._now_us())
            self.nightly.add(point)
            return point

    def remove_restore_point(self, uid: str) -> None:
        """Remove a restore point, at once."""
        with self.lock:
            self.nightly.remove(uid)

    def add_server(self, name: str | None = None, **fields: Any) -> BackupServerRecord:
        """Add a backup server; it is collected right away."""
        with self.lock:
            number = len(self._servers)
            self._counter += 1
            server = replace(make_server(f"added server|{self._counter}", number=number, name=name), **fields)
            self._servers[server.uid] = server
            self.collection.collect(server.guid, self._now_us())
            self._copy.forget()
            return server

    def rename_server(self, server: str, name: str) -> BackupServerRecord:
        """Change the label of a backup server in EM, at once."""
        with self.lock:
            renamed = replace(self._server(server), name=name)
            self._servers[renamed.uid] = renamed
            self._changes.rename_server(renamed.uid, name)
            self.nightly.forget()
            self._copy.forget()
            return renamed

    def remove_server(self, server: str) -> None:
        """Remove a backup server from EM: its rows vanish at once."""
        with self.lock:
            del self._servers[self._server(server).uid]
            self.nightly.forget()
            self._copy.forget()

    def collect(self, server: str | None = None) -> None:
        """Collect one backup server, or all, now."""
        with self.lock:
            for found in self.backup_servers() if server is None else [self._server(server)]:
                self.collection.collect(found.guid, self._now_us())

    def fail_collection(self, server: str, *, seconds: float | None = None) -> None:
        """From now on (for so many seconds, or until healed) EM cannot reach this backup server."""
        with self.lock:
            now_us = self._now_us()
            until_us = None if seconds is None else now_us + int(seconds * SECOND)
            self.collection.fail(self._server(server).guid, now_us, until_us)

    def heal_collection(self, server: str) -> None:
        """From now on EM reaches this backup server again."""
        with self.lock:
            self.collection.heal(self._server(server).guid, self._now_us())

    def restore_backup(self, moment: datetime) -> None:
        """EM's database is put back to what it held at a moment (aware), until EM next collects a server.

        Rows and changes collected since are not shown, nor the collections themselves. A world that always
        knows everything (`collect_interval` 0) stays put back until `collect` is called. Backup servers and
        restore points added by hand stay.
        """
        with self.lock:
            guids = [server.guid for server in self._servers.values()]
            self.collection.put_back(guids, to_us=to_us(moment.astimezone(UTC)), now_us=self._now_us())

    def lose_history(self, before: datetime) -> None:
        """Restore sessions created before a moment (aware) are gone from EM for good, whatever is collected."""
        with self.lock:
            self._lost_before_us = max(self._lost_before_us, to_us(before.astimezone(UTC)))

    def rename_vm(self, hierarchy_ref: str, name: str) -> None:
        """Nightly restore points made from now on bear the new name; older ones, and restores, keep the old one."""
        with self.lock:
            self.nightly.rename(hierarchy_ref, name, from_us=self._now_us())

    def known_until(self) -> dict[str, int]:
        """Server UID -> microseconds UTC up to which EM knows it."""
        with self.lock:
            return self._known(self._now_us())

    def find_server(self, server: str) -> BackupServerRecord | None:
        """A backup server by URN or GUID, or None."""
        with self.lock:
            return self._servers.get(f"urn:veeam:BackupServer:{server.rpartition(':')[2].lower()}")

    def _server(self, server: str | None) -> BackupServerRecord:
        if server is None:
            return next(iter(self._servers.values()))
        found = self.find_server(server)
        if found is None:
            raise KeyError(server)
        return found

    def _real(self, uid: str) -> RestoreSessionRecord:
        uid = uid if uid.startswith("urn:") else f"urn:veeam:RestoreSession:{uid}"
        now_us = self._now_us()
        self._copy.grow(now_us)
        record = self._copy.real(uid, self._servers, now_us=now_us)
        if record is None:
            raise KeyError(uid)
        return record

    def _put(self, uid: str, record: RestoreSessionRecord | None, *, server_uid: str = "") -> None:
        home = server_uid if record is None else record.backup_server_uid
        self._changes.put(uid, record, server_uid=home, now_us=self._now_us())
        self._copy.touched(uid)

    def _known(self, now_us: int) -> dict[str, int]:
        return {
            uid: self.collection.known_until(server.guid, now_us) for uid, server in self._servers.items()
        }

    def _cutoff(self, now_us: int) -> int:
        """Retention runs at midnight UTC: what is older than so many whole days is purged; and what was lost."""
        return max(now_us - now_us % DAY - self.retention_days * DAY, self._lost_before_us)

    def _now_us(self) -> int:
        return to_us(self.now())


def _vm_name(point: RestorePointRecord) -> str:
    return point.vm_display_name or point.vm_name or point.name.rpartition("@")[0]


def start_of_day(moment: datetime) -> datetime:
    """The last midnight UTC before a moment (aware)."""
    moment = moment.astimezone(UTC)
    return moment - timedelta(
        hours=moment.hour, minutes=moment.minute, seconds=moment.second, microseconds=moment.microsecond
    )
