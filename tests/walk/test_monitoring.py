"""`manage.py run` as monitoring sees it: pulses of both kinds of worker, and that a stuck one is found out."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from tests import servers
from tests.walk.installation import Installation
from tests.walk.test_processes import family, wait_for

pytestmark = pytest.mark.processes

TOKEN = "a-token-of-more-than-20-characters"


def pulses(folder: Path) -> dict[str, str]:
    """By kind of worker: its last sign of life, as the database has it."""
    with closing(sqlite3.connect(folder / "run.sqlite3", timeout=30)) as database:
        return dict(database.execute("SELECT worker, at FROM restorereports_pulse"))


def worker(folder: Path, name: str) -> int:
    """Id of the process that is the worker of this name."""
    found = [
        pid
        for pid in family(folder)
        if f"{name}@%h".encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    ]
    assert len(found) == 1, found
    return found[0]


def stop(folder: Path, pid: int) -> None:
    """Stop the process where it does not hold the database's write lock, as one would that hangs on the network."""
    for _try in range(20):
        os.kill(pid, signal.SIGSTOP)
        try:
            with closing(sqlite3.connect(folder / "run.sqlite3", timeout=2)) as database:
                database.execute("BEGIN IMMEDIATE")
            return
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
    raise AssertionError("the process holds the write lock whenever it is stopped")


@contextmanager
def running(folder: Path, broker: str, port: int) -> Iterator[None]:
    installation = Installation(
        folder,
        DATABASE_URL=f"sqlite:///{folder}/run.sqlite3",
        CELERY_BROKER_URL=broker,
        METRICS_TOKEN=TOKEN,
        PORT=str(port),
        WAKE_UP_SECONDS="1",
    )
    process = installation.start(*installation.command("run"), log="run")
    log = folder / "run.log"

    def printed() -> bool:
        assert process.poll() is None, log.read_text()
        return "Restore Reports runs at" in log.read_text()

    try:
        wait_for(printed, "the start")
        yield
    finally:
        servers.end(process, sign=signal.SIGTERM)
    assert process.returncode == 0, log.read_text()


def test_a_worker_that_is_stuck_falls_silent_while_the_other_goes_on(tmp_path: Path) -> None:
    port = servers.free_port()
    address = f"http://127.0.0.1:{port}"

    with servers.redis() as broker, running(tmp_path, broker, port):
        wait_for(lambda: pulses(tmp_path).keys() == {"sync", "reports"}, "a pulse of both workers")
        health = requests.get(f"{address}/healthz", timeout=30)
        assert (health.status_code, health.text) == (200, "ok")
        assert not health.cookies
        scraped = requests.get(
            f"{address}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30
        ).text
        assert 'restore_reports_worker_silent{worker="sync"} 0.0' in scraped
        assert 'restore_reports_worker_silent{worker="reports"} 0.0' in scraped
        assert requests.get(f"{address}/metrics", timeout=30).status_code == 401

        stuck = worker(tmp_path, "sync")
        stop(tmp_path, stuck)
        try:
            last = pulses(tmp_path)
            for _pulse in range(2):
                before = pulses(tmp_path)["reports"]
                wait_for(lambda seen=before: pulses(tmp_path)["reports"] > seen, "the reports' pulse", 15)
            assert pulses(tmp_path)["sync"] == last["sync"]
        finally:
            os.kill(stuck, signal.SIGCONT)
        wait_for(lambda: pulses(tmp_path)["sync"] > last["sync"], "the syncs' pulse after the stop", 15)
