"""10,000 restore sessions with the awkward rows: after every sync the export equals what EM holds."""

from __future__ import annotations

import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.expected import rows_of
from tests.walk.installation import Installation, assert_equal

pytestmark = pytest.mark.processes
SESSIONS = 10_000


@pytest.fixture
def world() -> World:
    now = datetime.now(UTC)
    return World(sessions=SESSIONS, servers=5, seed=20261021, now=ManualClock(now), collect_interval=0)


@pytest.fixture
def server(world: World):
    with StandInServer(world) as running:
        yield running


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    made = Installation(tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/ten.sqlite3")
    made.manage("migrate", "-v", "0")
    return made


def test_first_then_nothing_new_then_fifty_new_and_ten_changed(installation, world, server) -> None:
    installation.add_em(server)

    first = installation.manage("sync")
    assert f"seen {SESSIONS}, new {SESSIONS}, changed 0" in first
    assert_equal(installation.export(), rows_of(world.visible_sessions(), "em-north"))

    nothing = installation.manage("sync")
    assert "new 0, changed 0" in nothing

    recent = sorted(world.visible_sessions(), key=lambda record: record.created_at)
    for record in [record for record in recent if record.state == "Stopped"][-10:]:
        world.change_session(record.uid, result="Failed" if record.result != "Failed" else "Warning")
    for n in range(50):
        world.add_session(vm_name=f"new & <{n}>", created_at=world.now() - timedelta(minutes=n))
    changed = installation.manage("sync")
    assert "new 50, changed 10" in changed
    assert_equal(installation.export(), rows_of(world.visible_sessions(), "em-north"))


def test_killed_in_the_middle_then_equal_again_without_a_person(installation, world, server) -> None:
    installation.add_em(server)
    server.faults.slow(0.3, path="format=Entities", nth=9, count=3)
    running = installation.start(*installation.command("sync"), log="sync")
    wait_for_page(server, 8, running)
    running.send_signal(signal.SIGKILL)
    running.wait()
    half = len(installation.export())
    assert 0 < half < SESSIONS

    second = installation.manage("sync")

    assert "waiting for it to end" in second
    assert "em-north: done" in second
    assert_equal(installation.export(), rows_of(world.visible_sessions(), "em-north"))


def wait_for_page(server: StandInServer, page: int, running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 240
    while sum("format=Entities" in str(request.query) for request in list(server.requests)) < page:
        assert time.monotonic() < end, "the sync did not get that far"
        assert running.poll() is None, "the sync ended too early"
        time.sleep(0.01)
