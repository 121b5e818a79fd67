"""Faults of processes and of what they stand on: each test brings its own processes and servers, on whichever
database it is about. To be run once: DATABASE_URL changes nothing here."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests import servers
from tests.expected import row_of
from tests.faults.conftest import MINUTE, PAGE_SIZE, ROWS, Shown, assert_same_rows
from tests.sizes import examples
from tests.walk.installation import ROOT, Installation

pytestmark = pytest.mark.processes

KILLS = examples(20)
MEMORY = 250  # megabytes, Django and all
DATABASE = "restorereports.sqlite3"
_MIGRATED: list[bytes] = []  # an empty SQLite database of this release, made once
DISTURBED = "The database could not be read or written. Look at its disk and its log; the next sync goes on."


class Driver:
    """A process of an installation, and the calls that it takes."""

    def __init__(self, installation: Installation) -> None:
        environment = installation.environment | {"TEST_PAGE_SIZE": str(PAGE_SIZE), "PYTHONPATH": str(ROOT)}
        with (installation.folder / "driver.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.driver"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                cwd=ROOT,
            )
        self.installation = installation
        self._log = installation.folder / "driver.log"

    def __call__(self, name: str, **arguments: Any) -> Any:
        self.process.stdin.write(json.dumps([name, arguments]).encode() + b"\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self._log.read_text()[-4000:]
        return json.loads(answer)

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        servers.end(self.process, sign=signal.SIGTERM)
        self.process.stdout.close()

    def assert_mirrored(self, shown: Shown) -> None:
        """As `Shown.assert_mirrored`, in the other process."""
        shown.look()
        assert_same_rows(self("rows"), [row_of(record, "em-north") for record in shown.records.values()])
        sources = self("sources")
        assert sorted(uid for uid, *_ in sources) == sorted(shown.records)
        assert {uid for uid, missing, _ in sources if missing} == shown.records.keys() - shown.now
        assert all(own for *_, own in sources)
        assert self("gaps") == 0


def small_world(**options: Any) -> World:
    now = ManualClock(datetime.now(UTC))
    return World(
        **{"sessions": 230, "servers": 2, "vms": 2, "seed": 3, "collect_interval": 0, "now": now} | options
    )


@contextlib.contextmanager
def installed(folder: Path, server: StandInServer, **environment: str) -> Iterator[Driver]:
    """An installation that knows this server, and a process of it. Without DATABASE_URL it is on SQLite."""
    installation = Installation(folder, **environment)
    (folder / "static").mkdir(exist_ok=True)
    if "DATABASE_URL" not in environment:
        installation.environment.pop("DATABASE_URL", None)
        if _MIGRATED:
            (folder / DATABASE).write_bytes(_MIGRATED[0])
    with Driver(installation) as driver:
        if not (folder / DATABASE).exists():
            driver("migrate")
        if not _MIGRATED and (folder / DATABASE).exists():
            with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            _MIGRATED.append((folder / DATABASE).read_bytes())
        driver("add_em", url=server.url, pin=server.fingerprint_sha256)
        yield driver


class Cluster:
    """A PostgreSQL that can be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port = folder, servers.free_port()
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        assert programs, "PostgreSQL's server is missing: apt-get install postgresql"
        self._bin, self._user = programs[-1], servers._as_postgres_user()
        if self._user:
            shutil.chown(folder, "postgres")
        options = ["-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"]
        self._run([self._bin / "initdb", "-D", folder / "data", *options])
        self.url = f"postgres://tests@127.0.0.1:{self._port}/postgres"
        self.start()

    def _run(self, command: list[Any]) -> None:
        subprocess.run([*self._user, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def start(self) -> None:
        settings = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        options = [f"--{name}={value}" for name, value in settings.items()]
        self._process = subprocess.Popen(
            [*self._user, self._bin / "postgres", "-D", self._folder / "data", *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        servers.wait_for_port(self._port, self._process)

    def stop(self) -> None:
        """At once, whoever is connected."""
        servers.end(self._process)

    def cut_all(self) -> int:
        """End every other connection; how many there were."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            others = "pid <> pg_backend_pid() AND usename = 'tests'"
            cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"
            return len(connection.execute(cut).fetchall())


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="rr-postgres-"))
    try:
        running = Cluster(folder)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_worker_killed_at_any_point_leaves_whole_rows_and_the_next_sync_the_rest(tmp_path: Path) -> None:
    """SIGKILL at random requests and random moments of full syncs, each with new and changed rows to read."""
    seed = int(os.environ.get("FAULTS_SEED", random.randrange(10**6)))
    print(f"FAULTS_SEED={seed}")
    draw = random.Random(seed)
    world = small_world(sessions=120)
    shown = Shown(world)
    victim: dict[str, int] = {}
    known = threading.Event()

    def kill() -> None:
        known.wait(20)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim["pid"], signal.SIGKILL)

    with StandInServer(world) as server, installed(tmp_path, server) as driver:
        requests, seconds, killed = 20, 1.0, 0
        for attempt in range(3 * KILLS):
            if killed == KILLS:
                break
            disturb(world, draw)
            known.clear()
            by_request = attempt % 2 == 0
            if by_request:
                server.faults.call(kill, nth=draw.randint(1, requests))
            victim["pid"] = driver("start_sync_in_child", full=True)
            known.set()
            if not by_request:
                time.sleep(draw.uniform(0, seconds))
                kill()
            ended = driver("wait_for_child", pid=victim["pid"])
            server.faults.clear()
            killed += ended == -signal.SIGKILL
            shown.look()
            expected = {record.uid: row_of(record, "em-north") for record in shown.records.values()}
            found = driver("rows")
            assert len({row["uid"] for row in found}) == len(found)
            assert {row["uid"] for row in found} <= expected.keys()
            died = driver("age_heartbeat")
            server.forget_requests()
            began = time.monotonic()
            run = driver("sync_now", full=True)
            assert (run["status"], run["compared"]) == ("good", "equal"), run
            requests, seconds = len(server.requests), time.monotonic() - began
            driver.assert_mirrored(shown)
            if died:
                status, sentence = driver("runs")[1]
                assert status == "died"
                assert sentence.startswith("The process that ran this sync ended without a word.")
        assert killed == KILLS
        assert "The process that ran this sync ended without a word." in driver("page")
        statuses = [status for status, _ in driver("runs")]
        assert statuses.count("running") == 0
        assert statuses.count("died") >= KILLS // 2


def disturb(world: World, draw: random.Random) -> None:
    """New rows of all ages, and some that change."""
    now = world.now()
    for n in range(25):
        state = "Working" if n % 5 == 0 else "Stopped"
        created = now - timedelta(hours=draw.uniform(0, 80 * 24))
        world.add_session(vm_name=f"vm-{draw.randrange(10**6)}", state=state, created_at=created)
    for record in [one for one in world.visible_sessions() if one.state == "Working"][:3]:
        world.change_session(record.uid, state="Stopped", result="Warning", ended_at=now)


def test_a_database_connection_lost_in_a_run_is_told_and_the_next_sync_goes_on(
    tmp_path: Path, cluster: Cluster
) -> None:
    world = small_world()
    shown = Shown(world)
    cut: list[int] = []
    with StandInServer(world) as server, installed(tmp_path, server, DATABASE_URL=cluster.url) as driver:
        for page in (1, 4):
            server.faults.call(lambda: cut.append(cluster.cut_all()), path=ROWS, nth=page)

            run = driver("sync_now")

            assert cut.pop() >= 1
            assert (run["status"], run["error_kind"], run["error"]) == ("failed", "database", DISTURBED)
            stored = len(driver("rows"))
            assert (stored == 0) == (page == 1)
            assert stored < 230
            assert DISTURBED in driver("page")
        again = driver("sync_now")
        assert (again["status"], again["compared"]) == ("good", "equal"), again
        driver.assert_mirrored(shown)


def test_a_postgresql_that_restarts_in_a_run_is_waited_for(tmp_path: Path, cluster: Cluster) -> None:
    world = small_world()
    shown = Shown(world)
    starting: list[threading.Timer] = []

    def restart() -> None:
        cluster.stop()
        timer = threading.Timer(2, cluster.start)
        timer.start()
        starting.append(timer)

    with StandInServer(world) as server, installed(tmp_path, server, DATABASE_URL=cluster.url) as driver:
        server.faults.call(restart, path=ROWS, nth=3)

        run = driver("sync_now")  # it ends although the database was away, and could write how

        starting[0].join()
        assert (run["status"], run["error_kind"], run["error"]) == ("failed", "database", DISTURBED)
        assert 0 < len(driver("rows")) < 230
        assert driver("runs") == [["failed", DISTURBED]]
        assert DISTURBED in driver("page")
        again = driver("sync_now")
        assert (again["status"], again["compared"]) == ("good", "equal"), again
        driver.assert_mirrored(shown)


def test_a_full_disk_is_told_and_once_there_is_room_nothing_is_missing(tmp_path: Path) -> None:
    world = small_world()
    shown = Shown(world)
    with StandInServer(world) as server, installed(tmp_path, server) as driver:
        driver("fill_disk", free_pages=40)

        run = driver("sync_now")

        assert (run["status"], run["error_kind"], run["error"]) == ("failed", "database", DISTURBED)
        assert run["error_detail"] == "database or disk is full"
        assert 0 < len(driver("rows")) < 230
        assert "database or disk is full" in (tmp_path / "driver.log").read_text()
        driver("fill_disk", free_pages=None)
        assert DISTURBED in driver("page")
        again = driver("sync_now")
        assert (again["status"], again["compared"]) == ("good", "equal"), again
        driver.assert_mirrored(shown)


def bombs(root: bytes) -> Iterator[tuple[str, bytes]]:
    """By name, what a hostile answer may be made of; one at a time, since the large ones have 100 MB."""
    head = b'<%s xmlns="http://www.veeam.com/ent/v1.0">' % root
    lol = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10 if n else b"lol") for n in range(10))
    yield "entities", b'<?xml version="1.0"?><!DOCTYPE a [%s]><a>&l9;</a>' % lol
    yield "a file", b'<!DOCTYPE a [<!ENTITY f SYSTEM "file:///etc/hostname">]><a>&f;</a>'
    yield "a late document type", b" " * 70_000 + b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'
    yield "15 MB of levels", head + b"<a>" * 5_000_000
    yield "15 MB of attributes", head + b"<a " + b"".join(b'a%d="" ' % n for n in range(1_300_000)) + b"/>"
    yield "15 MB of elements", head + b"<a/>" * 3_700_000
    yield "100 MB of levels", head + b"<a>" * 33_000_000
    yield "100 MB of one text", head + b"<a>" + b"x" * 100_000_000


def test_hostile_xml_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """As a page and as EM's list, which is read as it comes."""
    world = small_world()
    shown = Shown(world)
    with StandInServer(world) as server, installed(tmp_path, server) as driver:
        ordinary = driver("peak_megabytes")
        for name, body in bombs(b"QueryResult"):
            server.faults.body(body, path=ROWS, nth=2, count=None)
            run = driver("sync_now")
            assert (run["status"], run["error_kind"]) == ("failed", "unexpected_answer"), (name, run)
            assert run["error"].startswith("An answer of Enterprise Manager could not be used: The answer ")
            server.faults.clear()
            assert driver("peak_megabytes") < MEMORY, name
        assert "An answer of Enterprise Manager could not be used" in driver("page")

        for name, body in bombs(b"EntityReferences"):
            server.faults.body(body, path="/restoreSessions", count=None)
            run = driver("sync_now", full=True)
            assert (run["status"], run["compared"]) == ("good", "failed"), (name, run)
            assert run["not_compared"].startswith("An answer of Enterprise Manager could not be used"), name
            server.faults.clear()
            assert driver("peak_megabytes") < MEMORY, name
        assert "Could not be compared" in driver("page")
        run = driver("sync_now", full=True)
        assert (run["status"], run["compared"]) == ("good", "equal")
        driver.assert_mirrored(shown)
        print(f"peak memory {driver('peak_megabytes'):.0f} MB, {ordinary:.0f} MB before the first sync")


class Redis:
    """A Redis that can be killed and started again on its port, with nothing of what it held."""

    def __init__(self) -> None:
        self.port = servers.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.start()

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "Redis' server is missing: apt-get install redis-server"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            [program, *options], stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir()
        )
        servers.wait_for_port(self.port, self._process)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def wait_for(true: Any, what: str, *, seconds: float = 120) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"{what} did not happen within {seconds} s"
        time.sleep(0.2)


def test_a_redis_that_is_killed_with_tasks_in_flight_stops_no_sync_for_good(tmp_path: Path) -> None:
    world = small_world()
    shown = Shown(world)
    redis = Redis()
    try:
        with StandInServer(world) as server:
            settings = {
                "CELERY_BROKER_URL": redis.url,
                "PORT": str(servers.free_port()),
                "WAKE_UP_SECONDS": "1",
            }
            with installed(tmp_path, server, **settings) as driver:
                installation = driver.installation
            database = tmp_path / DATABASE
            server.faults.slow(2, path=ROWS, count=1)
            running = installation.start(*installation.command("run"), log="run")
            try:
                wait_for(lambda: any(ROWS in one.query for one in server.requests), "the first sync")
                redis.kill()  # the sync is under way, and wake-ups lie in its queues
                wait_for(lambda: statuses(database)[:1] == ["good"], "the end of the first sync")
                world.add_session(vm_name="while redis is down", created_at=world.now() - MINUTE)
                ask_for_sync(database)
                time.sleep(2)
                assert statuses(database) == ["good"]
                redis.start()
                wait_for(lambda: statuses(database)[:2] == ["good", "good"], "the sync after the restart")
                redis.kill()
                redis.start()
                world.add_session(vm_name="after the second kill", created_at=world.now() - MINUTE)
                ask_for_sync(database)
                wait_for(lambda: statuses(database) == ["good"] * 3, "the sync after the second kill")
            finally:
                servers.end(running, sign=signal.SIGTERM)
            assert running.returncode == 0, (tmp_path / "run.log").read_text()
            logs = "".join(log.read_text() for log in (tmp_path / "log").glob("*.log"))
            assert "Connection to broker lost" in logs or "Cannot connect to redis" in logs
            with Driver(installation) as driver:
                assert "Current" in driver("page")
                driver.assert_mirrored(shown)
    finally:
        redis.kill()


def statuses(database: Path) -> list[str]:
    """Of the runs, the latest first."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        found = connection.execute("SELECT status FROM restorereports_syncrun ORDER BY id DESC")
        return [status for (status,) in found]


def ask_for_sync(database: Path) -> None:
    """What the button does; its wake-up is lost with Redis."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.execute("UPDATE restorereports_enterprisemanager SET sync_requested_at = ?", [now])
