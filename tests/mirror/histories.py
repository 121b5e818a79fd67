"""Random histories of one or two Enterprise Managers: what happens, and what must hold after every sync of it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.db import transaction

from restorereports.em import retries
from restorereports.emulator.accounts import PORTAL_ADMINISTRATOR, PORTAL_USER, Account
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.records import RestoreSessionRecord
from restorereports.emulator.server import StandInServer
from restorereports.emulator.stamps import from_us, to_us
from restorereports.emulator.world import World
from restorereports.mirror import lock, missing, receive, reconcile, unfinished
from restorereports.mirror import sync as sync_module
from restorereports.mirror.lock import AlreadyRunning, Paused
from restorereports.mirror.sync import sync
from restorereports.models import (
    BackupServerSource,
    EnterpriseManager,
    Gap,
    Reconciliation,
    RestoreSession,
    RestoreSessionChange,
    RestoreSessionSource,
    SyncRun,
)
from restorereports.models.completeness import completeness, completeness_in
from restorereports.models.restore_session import Outcome
from tests.expected import row_of

from .history_model import Change, Columns, Fate, Key, Shown, Trace, Watch

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LISTED = timedelta(days=30)
EDGE = timedelta(hours=2)
COLLECTED_EVERY = 900
COLLECTING_US = 41_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAMES = ("payroll-db2", "web01", "wiki[old]", 'ä & <"q">', "vm@home;x", None)
RESULTS = ("Success", "Warning", "Failed", "None", "Exploded", None)
FAULTS = ("reset", "truncate", "garble", "html", "503", "401", "drop", "repeat", "bom", "error with 200")
FAULTY_PATHS = (
    "",
    "/sessionMngr",
    "/query?type=RestoreSession",
    "/restoreSessions",
    "/backupServers",
    "/api",
)


class Killed(BaseException):
    """The process of a sync ends without a word."""


@dataclass
class Place:
    """One Enterprise Manager: its world, the server before it, our row, and what is predicted of it."""

    name: str
    world: World
    server: StandInServer
    row: EnterpriseManager
    password: str = "mirror"
    watch: Watch = field(default_factory=Watch)
    trace: Trace = field(default_factory=Trace)
    begun: dict[str, RestoreSessionRecord] = field(default_factory=dict)  # what was really done, and when

    @property
    def pk(self) -> int:
        return self.row.pk

    @property
    def tells_collections(self) -> bool:
        """Whether the account may read when EM collected; else nobody can know what was still to come."""
        is_administrator = self.server.accounts[0].role == PORTAL_ADMINISTRATOR
        return is_administrator and self.world.collection.interval_us > 0


class History:
    """One history, drawn from its seed alone."""

    def __init__(self, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.patch = patch
        self.now = START + timedelta(seconds=self.random.randrange(86400))
        self.clock = ManualClock(self.now)
        self.places: list[Place] = []
        self.shown = Shown()
        self.told: list[str] = []
        self.syncs = 0
        self._changes, self._recorded = 0, 0  # the last record of a change that was looked at, and how many
        self._rows: dict[int, dict[str, Any]] = {}  # the mirror's rows after the last sync
        self._gone_servers: list[tuple[Place, Any]] = []
        self._collections_fail = False

    def say(self, text: str) -> None:
        self.told.append(f"{self.now:%m-%d %H:%M:%S} {text}")

    def play(self) -> None:
        """The whole history. AssertionError with the seed and what happened."""
        try:
            with ExitStack() as stack:
                stack.enter_context(rolled_back())
                self.traveller = stack.enter_context(time_machine.travel(self.now, tick=False))
                self._set_up(stack)
                self._sync(self._any())
                for _ in range(self.random.randint(8, 25)):
                    self._step()
                self._end()
        except Exception as failure:
            story = "\n".join(self.told)
            raise AssertionError(f"HISTORY_SEED={self.seed}\n{story}\n{failure}") from failure

    # --- what happens

    def _set_up(self, stack: ExitStack) -> None:
        draw = self.random
        self.patch.setattr(sync_module, "PAGE_SIZE", draw.choice((2, 3, 7, 500)))
        self.patch.setattr(retries, "pause", lambda *_a, **_k: None)
        self.patch.setattr(lock, "HEARTBEAT_SECONDS", 3600)
        for name in ("north", "south")[: 2 if draw.random() < 1 / 3 else 1]:
            world = World.empty(
                now=self.clock,
                servers=draw.choice((1, 2)),
                collect_interval=draw.choice((0, 0, COLLECTED_EVERY)),
                retention_days=draw.choice((9, 30, 91)),
            )
            role = draw.choice((PORTAL_USER, PORTAL_USER, PORTAL_ADMINISTRATOR))
            account = Account("mirror", "mirror", role)
            server = stack.enter_context(StandInServer(world, accounts=[account], tls=False))
            row = EnterpriseManager(
                name=f"em-{name}",
                url=server.url,
                username="mirror",
                allow_plain_http=True,
                full_sync_at=time(draw.randrange(24), draw.randrange(60)),
            )
            row.set_password("mirror", at=self.now)
            row.save()
            self.places.append(Place(name, world, server, row))
            every = world.collection.interval_us // 1_000_000
            self.say(f"{name}: {role}, keeps {world.retention_days} days, collects every {every} s")
        for _ in range(draw.randrange(6)):
            self._add(age=timedelta(days=draw.uniform(0, draw.choice((5, 40, 95)))))
        self._look()

    def _step(self) -> None:
        steps: list[tuple[int, Callable[[], None]]] = [
            (6, self._minutes_pass),
            (6, self._days_pass),
            (3, self._weeks_pass),
            (6, self._restores_begin),
            (3, self._late_ones_come),
            (6, self._something_changes),
            (2, self._one_is_deleted),
            (2, self._servers_change),
            (2, self._em_forgets),
            (1, self._clock_goes_back),
            (2, self._collections_change),
            (8, lambda: self._sync(self._any())),
            (5, lambda: self._sync(self._any(), full=True)),
            (5, self._faulty_sync),
            (2, self._rows_move_during_sync),
            (2, self._password_changes),
            (4, self._killed_sync),
        ]
        self.random.choices([step for _, step in steps], [weight for weight, _ in steps])[0]()

    def _end(self) -> None:
        """Everything works again; the day after, each Enterprise Manager is read in full, twice."""
        for place in self.places:
            place.server.faults.clear()
            for server in place.world.backup_servers():
                place.world.heal_collection(server.uid)
        self._collections_fail = False
        self._pass(DAY + HOUR)
        for place in self.places:
            self._sync(place, full=True)
            self._nothing_is_written_twice(place)

    def _any(self) -> Place:
        return self.random.choice(self.places)

    def _minutes_pass(self) -> None:
        self._pass(timedelta(minutes=self.random.randint(1, 120)))

    def _days_pass(self) -> None:
        self._busy_time(timedelta(hours=self.random.randint(3, 24 * 8)))

    def _weeks_pass(self) -> None:
        self._busy_time(timedelta(hours=self.random.randint(24 * 9, 24 * 40)))

    def _busy_time(self, length: timedelta) -> None:
        """Time passes while people restore, or nobody does."""
        restores = self.random.choice((0, 0, 2, 5))
        until = self.now + length
        moments = sorted(self.now + length * self.random.random() for _ in range(restores))
        for moment in moments:
            if moment - self.now >= 2 * MINUTE:
                self._pass(moment.replace(microsecond=0) - self.now)
            self._add(age=timedelta())
        self._pass(until - self.now)

    def _pass(self, length: timedelta) -> None:
        """The clocks go on; what EM collected meanwhile is looked at before it may be purged."""
        target = self.now + length
        if length > COLLECTED_EVERY * SECOND:
            self._set(self.now + COLLECTED_EVERY * SECOND)
        self._set(target)
        self.say(f"+{length}")

    def _set(self, moment: datetime) -> None:
        self.now = moment.replace(microsecond=0)
        self.clock.set(self.now)
        self.traveller.move_to(self.now)
        self._look()

    def _look(self) -> None:
        for place in self.places:
            place.trace.look(place.world, self.now, place.watch)

    def _add(self, *, age: timedelta, **fields: Any) -> None:
        """One restore session, on every Enterprise Manager that has its backup server, or on one of them alone."""
        draw = self.random
        place = self._any()
        home = draw.choice(place.world.backup_servers()).uid
        created_at = self.now - age
        state = draw.choice(("Stopped", "Stopped", "Working", "Starting", "Idle"))
        stopped = state == "Stopped"
        fields = {
            "uid": f"urn:veeam:RestoreSession:{uuid.UUID(int=draw.getrandbits(128), version=4)}",
            "created_at": created_at,
            "vm_name": draw.choice(NAMES),
            "job_type": draw.choice(("RestoreVm", "FileLevelRestore", "StartFailover")),
            "state": state,
            "result": draw.choice(RESULTS) if stopped else draw.choice(("None", None)),
            "progress": draw.choice((100, 0, None)) if stopped else draw.choice((3, 50, None)),
            "ended_at": created_at + timedelta(minutes=draw.randint(1, 90)) if stopped else None,
        } | fields
        if draw.random() < 0.3:
            fields |= self._restore_point()
        places = [one for one in self.places if one.world.find_server(home)]
        if len(places) > 1 and draw.random() < 0.3:
            places = [place]
        for one in places:
            record = one.world.add_session(backup_server_uid=home, **fields)
            if not age:
                one.begun[record.uid] = record
        self.say(f"{'/'.join(one.name for one in places)}: new {self._short(record)}")
        self._look()

    def _restore_point(self) -> dict[str, Any]:
        number = self.random.randrange(1000)
        return {
            "restore_point_uid": f"urn:veeam:VmRestorePoint:{uuid.UUID(int=number)}",
            "restore_point_name": f"vm@{number}",
        }

    def _short(self, record: RestoreSessionRecord) -> str:
        said = f"{record.state}/{record.result}/{record.progress}"
        return (
            f"{record.guid[:8]} of {record.created_at:%m-%d %H:%M} {said} on {record.backup_server_guid[:4]}"
        )

    def _restores_begin(self) -> None:
        for _ in range(self.random.randint(1, 4)):  # some of them at one moment
            self._add(age=timedelta())
            if self.random.random() < 0.6:
                self._pass(timedelta(seconds=self.random.randint(1, 600)))

    def _late_ones_come(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self._add(age=timedelta(hours=self.random.uniform(2, 24 * 60)))

    def _something_changes(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            place = self._any()
            records = place.world.visible_sessions()
            if not records:
                return
            record = self.random.choice(records)
            fields = self._change_of(record)
            places = [one for one in self.places if one.world.find_session(record.guid)]
            if len(places) > 1 and self.random.random() < 0.3:
                places = [place]
            for one in places:
                with suppress(KeyError):  # deleted, which EM has not collected yet
                    record = one.world.change_session(record.uid, **fields)
            self.say(f"{'/'.join(one.name for one in places)}: changed {self._short(record)} by {fields}")
        self._look()

    def _change_of(self, record: RestoreSessionRecord) -> dict[str, Any]:
        draw = self.random
        running = record.state != "Stopped"
        finish = {
            "state": "Stopped",
            "result": draw.choice(RESULTS),
            "progress": 100,
            "ended_at": max(self.now, record.created_at),
        }
        changes: list[dict[str, Any]] = [
            {"progress": draw.randrange(100)},
            finish if running else {"result": draw.choice(RESULTS)},
            {"name": f"renamed {draw.randrange(100)}", "vm_name": draw.choice(NAMES)},
            self._restore_point(),
            {"restore_point_uid": None, "restore_point_name": None},
            {"failure_message": draw.choice((None, "disk full", "no route"))},
            finish if running else {"state": "Working", "result": "None", "ended_at": None},
            {"state": draw.choice(("Starting", "Stopping", "Idle", None))},
            {"ended_text": "0001-01-01T00:00:00"},
        ]
        return draw.choice(changes)

    def _one_is_deleted(self) -> None:
        place = self._any()
        records = place.world.visible_sessions()
        if records:
            record = self.random.choice(records)
            self._delete(place, record)
            self.say(f"{place.name}: deleted {self._short(record)}")
            self._look()

    def _delete(self, place: Place, record: RestoreSessionRecord) -> None:
        with suppress(KeyError):
            place.world.remove_session(record.uid)
            place.trace.fates[record.uid].by_hand = True
            place.begun.pop(record.uid, None)

    def _servers_change(self) -> None:
        place, draw = self._any(), self.random
        servers = place.world.backup_servers()
        what = draw.choice(("add", "rename", "remove", "back", "back"))
        if what == "add" and len(servers) < 4:
            uid = f"urn:veeam:BackupServer:{uuid.UUID(int=draw.getrandbits(128), version=4)}"
            name = f"vbr-{draw.randrange(1000)}"
            for one in self.places if draw.random() < 0.5 else [place]:
                one.world.add_server(name, uid=uid)
            self.say(f"{place.name}: new backup server {uid[23:27]}")
        elif what == "rename":
            server = draw.choice(servers)
            place.world.rename_server(server.uid, f"vbr-{draw.randrange(1000)}")
            self.say(f"{place.name}: renamed {server.guid[:4]}")
        elif what == "remove" and len(servers) > 1:
            server = draw.choice(servers)
            place.world.remove_server(server.uid)
            self._gone_servers.append((place, server))
            self.say(f"{place.name}: removed backup server {server.guid[:4]}")
        elif what == "back" and self._gone_servers:
            place, server = self._gone_servers.pop()
            place.world.add_server(server.name, uid=server.uid)
            self.say(f"{place.name}: backup server {server.guid[:4]} is back")
        self._look()

    def _em_forgets(self) -> None:
        place = self._any()
        if self.random.random() < 0.5:
            days = self.random.choice((9, 30, 91))
            if days < place.world.retention_days:
                place.trace.forgot_at = (
                    place.trace.forgot_at if place.trace.forgot_at >= 0 else place.trace.moment
                )
            place.world.retention_days = days
            self.say(f"{place.name}: keeps {days} days")
        else:
            days = self.random.choice((0, 2, 8, 20))
            place.world.lose_history(self.now - days * DAY)
            place.trace.forgot_at = (
                place.trace.forgot_at if place.trace.forgot_at >= 0 else place.trace.moment
            )
            self.say(f"{place.name}: lost what is older than {days} days")
        self._look()

    def _clock_goes_back(self) -> None:
        length = self.random.choice((HOUR, DAY))
        self.say(f"the clocks are set back by {length}")
        self._set(self.now - length)

    def _collections_change(self) -> None:
        place = self._any()
        server = self.random.choice(place.world.backup_servers())
        self._collections_fail = True
        if self.random.random() < 0.6:
            place.world.fail_collection(server.uid)
            self.say(f"{place.name}: {server.guid[:4]} is not collected")
        else:
            place.world.heal_collection(server.uid)
            place.world.collect(server.uid)
            self.say(f"{place.name}: {server.guid[:4]} is collected")
        self._look()

    # --- syncs

    def _faulty_sync(self) -> None:
        place, draw = self._any(), self.random
        fault = draw.choice(FAULTS)
        when: dict[str, Any] = {
            "path": draw.choice(FAULTY_PATHS),
            "nth": draw.randint(1, 8),
            "count": draw.choice((1, 2, 4, None)),
        }
        faults = place.server.faults
        arm: dict[str, Callable[[], object]] = {
            "reset": lambda: faults.reset(**when),
            "truncate": lambda: faults.truncate(**when),
            "garble": lambda: faults.garble(**when),
            "html": lambda: faults.html(draw.choice((200, 502)), **when),
            "503": lambda: faults.answer(503, **when),
            "401": lambda: faults.answer(401, **when),
            "drop": lambda: faults.drop_logon_sessions(**when),
            "repeat": lambda: faults.repeat_rows(draw.randint(1, 3), **when),
            "bom": lambda: faults.bom(**when),
            "error with 200": lambda: faults.error_with_200(**when),
        }
        arm[fault]()
        self.say(f"{place.name}: {fault} {when}")
        self._sync(place, full=draw.random() < 0.5, faulty=True)
        faults.clear()
        self._resume(place)

    def _rows_move_during_sync(self) -> None:
        place, draw = self._any(), self.random
        visible = place.world.visible_sessions()
        home = draw.choice(place.world.backup_servers()).uid

        def move() -> None:
            if draw.random() < 0.7:
                first = min((record.created_at for record in visible), default=self.now)
                age = draw.choice((timedelta(), min(5 * HOUR, max(self.now - first, timedelta()))))
                uid = f"urn:veeam:RestoreSession:{uuid.UUID(int=draw.getrandbits(128), version=4)}"
                begun = {"uid": uid, "created_at": self.now - age, "state": "Working"}
                place.world.add_session(backup_server_uid=home, **begun)
            elif visible:
                self._delete(place, draw.choice(visible))

        when: dict[str, Any] = {"nth": draw.randint(1, 4), "count": draw.choice((1, 2))}
        place.server.faults.call(move, path="type=RestoreSession", **when)
        self.say(f"{place.name}: rows move {when}")
        self._sync(place, full=draw.random() < 0.6, moving=True)
        place.server.faults.clear()

    def _password_changes(self) -> None:
        place = self._any()
        role = place.server.accounts[0].role
        place.password = f"secret-{self.random.randrange(1000)}"
        place.server.accounts[:] = [Account("mirror", place.password, role)]
        self.say(f"{place.name}: another password")
        run = self._sync(place, faulty=True)
        assert run is None or run.error_kind == "logon_refused", run.error_kind
        place.row.refresh_from_db()
        assert place.row.paused_because == "logon_refused"
        if self.random.random() < 0.5:
            self._minutes_pass()
        before = SyncRun.objects.count()
        with pytest.raises(Paused):
            sync(place.row)
        assert SyncRun.objects.count() == before
        self._resume(place)

    def _resume(self, place: Place) -> None:
        """A person gives the right password."""
        place.row.refresh_from_db()
        if place.row.paused_at:
            place.row.set_password(place.password, at=self.now)
            place.row.resume()
            place.row.save()
            self.say(f"{place.name}: resumed")

    def _killed_sync(self) -> None:
        place, draw = self._any(), self.random
        left, before_it = draw.randint(1, 14), draw.random() < 0.5
        modules = (receive, missing, unfinished, reconcile, sync_module)
        real = lock.still_ours

        def dying(*args: Any, **counts: Any) -> None:
            nonlocal left
            left -= 1
            if left or not before_it:
                real(*args, **counts)
            if not left:
                raise Killed

        with pytest.MonkeyPatch.context() as patch:
            for module in modules:
                patch.setattr(module, "still_ours", dying)
            self.say(f"{place.name}: killed {'before' if before_it else 'behind'} mark {left}")
            self._sync(place, full=draw.random() < 0.5, killing=True)
        if SyncRun.objects.running().filter(enterprise_manager=place.pk).exists():
            if draw.random() < 0.3:
                with pytest.raises(AlreadyRunning):
                    sync(place.row)
            self._pass(MINUTE)

    def _sync(
        self,
        place: Place,
        *,
        full: bool = False,
        faulty: bool = False,
        moving: bool = False,
        killing: bool = False,
    ) -> SyncRun | None:
        """Sync, then hold everything that must be true against it. None when it was killed."""
        self._set(self.now + 2 * SECOND)
        begin = {record.uid: record for record in place.world.visible_sessions()}
        try:
            run: SyncRun | None = sync(place.row, full=full)
        except Killed:
            run = None
        self.syncs += 1
        self._look()
        last = run or SyncRun.objects.filter(enterprise_manager=place.pk).first()
        assert last is not None
        last.refresh_from_db()
        self.say(f"{place.name}: sync {last.kind} {last.status} {last.error_kind} {last.error_detail[:100]}")
        place.row.refresh_from_db()
        assert run is None or run.status in ("good", "failed"), run.status
        assert last.error_kind not in ("internal", "database"), last.error_detail
        if not faulty and run is not None:
            assert run.status == "good", (run.error_kind, run.error_detail)
        Check(self, place, last, begin, faulty=faulty, moving=moving).all()
        calm = not (faulty or moving or killing)
        if calm and last.kind == "full" and self.random.random() < 0.2:
            self._nothing_is_written_twice(place)
        return run

    def _nothing_is_written_twice(self, place: Place) -> None:
        """A second full sync at once finds nothing to write but what syncs say of themselves."""

        def tables() -> list[list[tuple[Any, ...]]]:
            models = (RestoreSession, RestoreSessionSource, RestoreSessionChange, Gap, BackupServerSource)
            return [list(model.objects.order_by("pk").values_list()) for model in models]

        before, shown = tables(), place.world.visible_sessions()
        self._set(self.now + SECOND)
        if place.world.visible_sessions() != shown:
            return  # EM collected, or purged, in this very second
        run = sync(place.row, full=True)
        self.syncs += 1
        assert run.status == "good", run.error_detail
        assert (run.new, run.changed) == (0, 0)
        for rows, again in zip(before, tables(), strict=True):
            assert rows == again
        Check(self, place, run, {record.uid: record for record in place.world.visible_sessions()}).all()


class Check:
    """What must hold after one run, whatever became of it."""

    def __init__(
        self,
        history: History,
        place: Place,
        run: SyncRun,
        begin: dict[str, RestoreSessionRecord],
        *,
        faulty: bool = False,
        moving: bool = False,
    ) -> None:
        self.history, self.place, self.run = history, place, run
        self.begin, self.faulty, self.moving = begin, faulty, moving
        self.end = {record.uid: record for record in place.world.visible_sessions()}
        self.good = run.status == "good"
        self.full = self.good and run.kind == "full"
        self.listed = {server.uid for server in place.world.backup_servers()}
        self.sources = {
            source.uid: source
            for source in RestoreSessionSource.objects.filter(enterprise_manager=place.pk).defer(
                "payload_zlib"
            )
        }
        self.now = history.now

    def all(self) -> None:
        self._changes_are_recorded(self._what_was_seen())
        self._rows_are_as_predicted()
        self._no_row_went_back()
        gone = self._servers_and_gone()
        self._gaps_are_as_predicted(gone)
        if self.full:
            self.place.trace.full_at = self.place.trace.moment
            if not self.faulty and not self.moving:
                self._fields_are_equal()
                self._counts_reconcile()
            self._sums_add_up()
            self._nothing_lost_is_called_complete()
            if self.place.tells_collections and not self.faulty:
                self._nothing_uncollected_is_called_complete()

    # --- rows

    def _what_was_seen(self) -> list[Change]:
        """Bring the prediction to what this run received; what it had to receive, it must have."""
        shown, pk = self.history.shown, self.place.pk
        throughout = self.begin.keys() & self.end.keys()
        since = self.run.window_from_at
        if self.good and self.run.kind == "incremental":
            self._window_is_wide_enough()
        asked = self._asked_by_id()
        changes, written = [], {uid for uid, source in self.sources.items() if self._wrote(source)}
        for uid, record in sorted((self.begin | self.end).items()):
            if not shown.is_news(pk, record):
                continue
            due = uid in throughout and (since is None or record.created_at >= since or uid in asked)
            if self.good and due:
                assert uid in written, f"EM showed {uid} to a good run and it was not taken over"
            if uid in written:
                written.discard(uid)
                change = shown.see(pk, record)
                changes += [change] if change else []
        assert not written, f"written without need: {written}"
        for uid, source in shown.of(pk):
            found = self.sources[uid]
            if found.missing_run_id == self.run.pk and not source.missing:
                assert uid not in throughout, f"{uid} is called missing while EM shows it"
                source.missing = True
            assert (found.missing_at is not None) == source.missing, f"{uid} {found.missing_at}"
        assert self.sources.keys() == {uid for uid, _ in shown.of(pk)}
        still_open = {
            uid
            for uid, source in shown.of(pk)
            if uid in asked and not source.missing and (since is None or source.record.created_at < since)
        }
        assert not self.good or still_open <= self.begin.keys() | self.end.keys(), (
            "asked, gone and not missing"
        )
        if self.full:
            still = {uid for uid, source in shown.of(pk) if not source.missing}
            assert still >= throughout
            if not self.run.unanswered and not self.moving:
                assert still == throughout, f"not marked as missing: {still - throughout}"
        return changes

    def _asked_by_id(self) -> set[str]:
        """What an incremental run asks after behind its window: not finished, or ended without result in a day."""
        since = self.run.window_from_at
        if self.run.unanswered or since is None:
            return set()
        found = set()
        for uid, source in self._known():
            row = self.history.shown.rows[source.key]
            ended_at = row["ended_at"]
            no_result = row["result"] == "None" and ended_at is not None and ended_at > self.now - DAY
            behind = row["started_at"] < since and not source.missing
            if behind and (row["state"] != "Stopped" or no_result):
                found.add(uid)
        return found

    def _wrote(self, source: RestoreSessionSource) -> bool:
        return self.run.pk in (source.first_seen_run_id, source.changed_run_id)

    def _window_is_wide_enough(self) -> None:
        good = self.place.watch.last_good
        assert good is not None
        assert self.run.window_from_at is not None
        assert self.run.window_from_at <= good.at - 48 * HOUR

    def _changes_are_recorded(self, expected: list[Change]) -> None:
        found = list(
            RestoreSessionChange.objects.filter(pk__gt=self.history._changes)
            .select_related("restore_session")
            .order_by("pk")
        )
        history = self.history
        history._recorded += len(found)
        history._changes = found[-1].pk if found else history._changes
        assert RestoreSessionChange.objects.count() == history._recorded, "a record of a change is gone"
        told = sorted(
            repr(
                (c.run_id, c.enterprise_manager_id, c.restore_session.uid, _sorted(c.fields), _sorted(c.kept))
            )
            for c in found
        )
        meant = sorted(
            repr((self.run.pk, one.manager, one.uid, _plain(one.fields), _plain(one.kept)))
            for one in expected
        )
        assert told == meant, f"records of changes {told}, expected {meant}"
        before = {one.uid: one.before for one in expected}
        for change in found:
            record = before[change.restore_session.uid]
            if record is None:
                assert change.payload == ""
            else:
                assert record.uid in change.payload
                assert record.state is None or f"<State>{record.state}</State>" in change.payload

    def _rows_are_as_predicted(self) -> None:
        shown = self.history.shown
        found = {}
        rows = RestoreSession.objects.select_related("backup_server").prefetch_related("sources")
        for row in rows:
            key = (row.backup_server.uid, row.uid)
            assert key not in found, f"{key} counts twice"
            found[key] = row
        assert found.keys() == shown.rows.keys()
        sources: dict[Key, set[int]] = {}
        alive: set[Key] = set()
        for (manager, _), source in shown.sources.items():
            sources.setdefault(source.key, set()).add(manager)
            if not source.missing:
                alive.add(source.key)
        for key, row in found.items():
            expected = shown.rows[key]
            told = {name: getattr(row, name) for name in expected}
            assert told == expected, f"{key}: {_difference(told, expected)}"
            assert {source.enterprise_manager_id for source in row.sources.all()} == sources[key]
            outcome = Outcome.of(state=row.state, result=row.result)
            if row.state != "Stopped" and key not in alive:
                outcome = Outcome.UNKNOWN
            assert row.outcome == outcome, f"{key}: {row.outcome}, not {outcome}"

    def _no_row_went_back(self) -> None:
        rows = {row["id"]: row for row in RestoreSession.objects.values()}
        for pk, before in self.history._rows.items():
            row = rows.get(pk)
            assert row is not None, f"row {pk} was deleted"
            assert row["first_seen_at"] == before["first_seen_at"]
            if before["state"] == "Stopped":
                assert row["state"] == "Stopped"
                assert row["result"] != "None" or before["result"] == "None"
                for name, value in before.items():
                    assert value in (None, "") or row[name] not in (None, ""), f"row {pk} lost {name}"
        self.history._rows = rows

    def _fields_are_equal(self) -> None:
        """Field by field as EM shows it, unless the row is finished and EM shows less than it did."""
        if len(self.history.places) > 1:
            return
        name = self.place.row.name
        rows = RestoreSession.objects.filter(uid__in=list(self.end)).select_related("backup_server")
        seen = 0
        for row in rows:
            record = self.end[row.uid]
            seen += 1
            told = _row_told(row, name) | {"backup_server": row.backup_server.name}
            for column, value in row_of(record, name).items():
                less = value in ("", "None") or record.state != "Stopped"
                kept = row.state == "Stopped" and less
                if column == "backup_server":
                    listed = self.place.world.find_server(record.backup_server_uid)
                    value = listed.name if listed else value
                if column == "duration_seconds" and kept:
                    continue
                assert told[column] == value or kept, (
                    f"{row.uid} {column}: {told[column]!r}, EM has {value!r}"
                )
        assert seen == len(self.end)

    # --- servers and gaps

    def _servers_and_gone(self) -> datetime | None:
        """Follow which backup servers are listed; gives the youngest that left EM at the old end."""
        watch = self.place.watch
        sources = {
            source.uid: source
            for source in BackupServerSource.objects.filter(enterprise_manager=self.place.pk).order_by("pk")
        }
        noticed = set()
        for uid, source in sources.items():
            if uid not in watch.removed and uid not in self.listed:
                if self.good and not self.faulty:  # else the list may have been unreadable
                    assert source.removed_at == self.now, f"{uid} is not marked as removed"
                if source.removed_at:
                    watch.server_removed(uid, source.removed_at)
            if uid in watch.removed:
                noticed.add(uid)
        if self.good and not self.faulty:
            assert self.listed <= sources.keys()
        if not self.full:
            for uid, source in sources.items():
                assert source.removed_at == watch.removed.get(uid)
            return None
        if self.faulty:
            self.listed = {
                uid for uid, source in sources.items() if uid in self.listed and not source.removed_at
            }
        for uid, source in sources.items():
            assert source.removed_at is None or uid not in self.listed
            assert source.removed_at or uid in self.listed or self.faulty
            assert source.covered_from_at is not None
        shown = [self.begin.get(uid, self.end.get(uid)) for uid, s in self._known() if not s.missing]
        oldest = min(
            (record.created_at for record in shown if record and record.state == "Stopped"), default=None
        )
        left = [
            source.record.created_at
            for uid, source in self._known()
            if self.sources[uid].missing_run_id == self.run.pk
            and source.key[0] not in noticed
            and (oldest is None or source.record.created_at < oldest)
        ]
        self._oldest = oldest
        return max(left, default=None)

    def _known(self) -> Iterator[tuple[str, Any]]:
        return self.history.shown.of(self.place.pk)

    def _gaps_are_as_predicted(self, gone: datetime | None) -> None:
        watch, run = self.place.watch, self.run
        at = run.started_at
        died = SyncRun.objects.filter(enterprise_manager=self.place.pk, status="died")
        if self.full:
            self._bury(died)
            watch.full(at, known_to=self._known_to(), oldest=self._oldest, gone=gone, listed=self.listed)
            self._judge()
        elif self.good:
            self._bury(died)
            watch.incremental(at, known_to=self._known_to())
        elif run.status == "failed":
            self._bury(died)
            watch.failed(at, run.error)
        found = [
            (
                gap.from_at,
                gap.to_at,
                gap.cause,
                gap.backup_server.uid if gap.backup_server else "",
                gap.detail,
                gap.is_growing,
            )
            for gap in Gap.objects.filter(enterprise_manager=self.place.pk)
            .select_related("backup_server")
            .order_by("pk")
        ]
        expected = [
            (gap.from_at, gap.to_at, gap.cause, gap.server, gap.detail, not gap.closed) for gap in watch.gaps
        ]
        assert found == expected, f"gaps\n{_lines(found)}\nexpected\n{_lines(expected)}"
        assert self.place.row.shown_window == watch.shown
        assert self.place.row.covered_from_at == watch.covered_from

    def _known_to(self) -> datetime:
        """Up to when EM had collected what this run read, as far as the account may know."""
        world, run = self.place.world, self.run
        finished: list[int] = []
        if self.place.tells_collections and world.collection.interval_us:
            now_us = to_us(self.now)
            newest = world.collection.ticks(now_us - to_us(EPOCH + LISTED), now_us, limit=200)
            finished = [tick for tick in newest if tick + COLLECTING_US <= now_us]
        guids = [server.guid for server in world.backup_servers()]
        worked = [tick for tick in finished if any(world.collection.reached(guid, tick) for guid in guids)]
        expected = from_us(worked[0]) if worked else None if finished else run.started_at
        if expected is None:  # that was seen to be right when the run before was judged
            before = SyncRun.objects.filter(enterprise_manager=self.place.pk, status="good", pk__lt=run.pk)
            expected = before.values_list("read_to_at", flat=True).first()
        if not self.faulty:
            assert run.read_to_at == expected, f"read to {run.read_to_at}, not {expected}"
        return run.read_to_at or run.started_at

    def _bury(self, died: Any) -> None:
        """Killed runs are known as such once the next one starts."""
        known = len([run for run in self.place.watch.runs if run.error.startswith("The process")])
        for run in died.order_by("pk")[known:]:
            self.place.watch.failed_silently(run.started_at, run.error)

    def _judge(self) -> None:
        """What EM forgot sooner than before, and nothing that was known went with it, nobody can notice."""
        trace, watch = self.place.trace, self.place.watch
        for fate in trace.fates.values():
            if fate.went is None or fate.went <= trace.full_at or fate.unprovable or watch.lost:
                continue
            forgotten = 0 <= trace.forgot_at <= fate.went
            age = fate.went_at - fate.created if fate.went_at else timedelta()
            fate.unprovable = forgotten and age < watch.relied_on

    # --- counts

    def _counts_reconcile(self) -> None:
        told = Reconciliation.objects.get(run=self.run)
        listed = {uid for uid, record in self.end.items() if record.created_at >= self.now - LISTED}
        only = [
            uid
            for uid, source in self._known()
            if uid not in listed
            and source.record.created_at >= self.now - LISTED + EDGE
            and source.key[0] not in self.place.watch.removed
        ]
        state = "different" if only else "equal"
        assert told.state == state, (
            f"{told.state}: {told.only_em} {told.only_mirror} {told.error}, expected {only}"
        )
        assert (told.listed, told.held) == (len(listed), len(listed) + len(only))
        assert (told.counted, told.mirrored) == (len(self.end), len(self.end))
        assert (told.only_em, sorted(told.only_mirror)) == ([], sorted(only))
        servers: dict[str, list[int]] = {}
        for uid in listed:
            servers.setdefault(self.end[uid].backup_server_uid, [0, 0])[0] += 1
        for uid in (*listed, *only):
            home = self.history.shown.sources[self.place.pk, uid].key[0]
            servers.setdefault(home, [0, 0])[1] += 1
        ids = dict(
            BackupServerSource.objects.filter(enterprise_manager=self.place.pk).values_list(
                "backup_server", "uid"
            )
        )
        assert {ids[server]: pair for server, *pair in told.servers} == servers

    def _sums_add_up(self) -> None:
        told = Reconciliation.objects.get(run=self.run)
        if told.state in ("equal", "different"):
            assert told.listed == sum(listed for _, listed, _ in told.servers)
            assert told.held == sum(held for _, _, held in told.servers)
            differs = told.only_em_count or told.only_mirror_count
            assert told.state == "different" or not differs
        else:
            assert self.faulty

    # --- soundness

    def _nothing_lost_is_called_complete(self) -> None:
        """Whatever ever was in EM is here, or a gap says that it may not be, or nobody could know."""
        place, draw = self.place, self.history.random
        servers = {
            source.uid: source
            for source in BackupServerSource.objects.filter(enterprise_manager=place.pk).select_related(
                "backup_server"
            )
        }
        gaps = list(Gap.objects.filter(enterprise_manager=place.pk))
        lost = []
        for uid, fate in place.trace.fates.items():
            if uid in self.sources or not self._must_be_told(fate, servers):
                continue
            lost.append(fate)
            server = servers[fate.server].backup_server
            told = [
                gap
                for gap in gaps
                if gap.backup_server_id in (None, server.pk)
                and gap.from_at <= fate.created
                and (gap.to_at is None or fate.created < gap.to_at)
            ]
            words = f"{uid} of {fate.created} (left EM before {fate.went_at}) is not here and"
            assert told, f"{words} in no gap"
            assert not self._complete(server, fate.created, fate.created + SECOND), f"{words} called complete"
        for source in servers.values():
            start = self.now - timedelta(days=draw.uniform(1, 60))
            end = start + (self.now - start) * draw.uniform(0.01, 1)
            if self._complete(source.backup_server, start, end):
                inside = [one for one in lost if one.server == source.uid and start <= one.created < end]
                assert not inside, f"{source.uid} is called complete in [{start}, {end}) without {inside}"
            elif self._ought_to_be_complete(source, gaps, start, end):
                found = completeness(source.backup_server, start, end)
                raise AssertionError(f"{source.uid} is not called complete in [{start}, {end}): {found}")

    def _nothing_uncollected_is_called_complete(self) -> None:
        """What EM has not collected since cannot be complete, where the account may read that."""
        known = self.place.world.known_until()
        for uid, record in self.place.begun.items():
            home = record.backup_server_uid
            if uid in self.sources or home not in known or known[home] >= to_us(record.created_at):
                continue
            source = BackupServerSource.objects.filter(enterprise_manager=self.place.pk, uid=home).first()
            if source is not None and record.created_at < self.run.started_at:
                found = self._complete(source.backup_server, record.created_at, record.created_at + SECOND)
                assert not found, f"{self.history._short(record)} is not collected and called complete"

    def _must_be_told(self, fate: Fate, servers: dict[str, BackupServerSource]) -> bool:
        """Not: deleted by a person, come late and left unread, come or created after the last full sync, and so on."""
        trace, watch, source = self.place.trace, self.place.watch, servers.get(fate.server)
        if fate.by_hand or not fate.punctual or fate.unprovable or fate.came > trace.full_at:
            return False
        if fate.behind and not self.place.tells_collections:
            return False
        if source is None or source.covered_from_at is None or watch.covered_from is None:
            return False
        removed_at = watch.removed.get(fate.server)
        if removed_at is not None and fate.created >= removed_at:
            return False
        return max(source.covered_from_at, watch.covered_from) <= fate.created < self.run.started_at

    def _complete(self, server: Any, start: datetime, end: datetime) -> bool:
        answers = completeness_in([self.place.pk], start, end, backup_servers=[server.pk])
        if len(self.history.places) == 1:
            assert completeness(server, start, end).complete == answers.overall.complete
        return answers.overall.complete

    def _ought_to_be_complete(
        self, source: BackupServerSource, gaps: list[Gap], start: datetime, end: datetime
    ) -> bool:
        """Read in full before and behind, without a gap: then it has to be called complete."""
        if self.faulty or self.moving or self.history._collections_fail or source.removed_at:
            return False
        if any(gap.from_at < end and (gap.to_at is None or start < gap.to_at) for gap in gaps):
            return False
        covered = max(at for at in (source.covered_from_at, self.place.watch.covered_from) if at)
        return covered <= start and self.run.read_to_at is not None and end <= self.run.read_to_at


def _sorted(words: dict[str, Any]) -> list[Any]:
    return sorted(
        (name, ["then", None] if name == "missing_at" and pair[0] else pair) for name, pair in words.items()
    )


def _plain(words: dict[str, tuple[Any, Any]]) -> list[Any]:
    return sorted(
        (name, [value.isoformat() if isinstance(value, datetime) else value for value in pair])
        for name, pair in words.items()
    )


def _difference(told: Columns, expected: Columns) -> dict[str, Any]:
    return {name: (told[name], value) for name, value in expected.items() if told[name] != value}


def _lines(rows: list[Any]) -> str:
    return "\n".join(" ".join(map(str, row)) for row in rows) or "none"


def _row_told(row: RestoreSession, enterprise_manager: str) -> dict[str, str]:
    """A row of the mirror as tests.expected has it of the stand-in's record."""
    record = RestoreSessionRecord(
        uid=row.uid,
        name=row.name,
        vm_name=row.vm_name,
        job_type=row.job_type,
        state=row.state,
        result=row.result,
        progress=row.progress,
        created_at=row.started_at,
        created_text="",
        ended_at=row.ended_at,
        ended_text=None,
        backup_server_uid=row.backup_server.uid,
        backup_server_name=row.backup_server.name,
        restore_point_name=row.restore_point_name,
    )
    return row_of(record, enterprise_manager)


@contextmanager
def rolled_back() -> Iterator[None]:
    """What is written is taken back at the end, whatever happened."""
    with transaction.atomic():
        try:
            yield
        finally:
            transaction.set_rollback(True)
