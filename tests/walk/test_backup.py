"""Backup and restore as an operator does them, on both engines: after a disaster, and over what is there."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests import servers
from tests.expected import rows_of
from tests.walk.installation import Installation, assert_equal

pytestmark = pytest.mark.processes
PASSPHRASE = "nine lives of an old cat"
TODAY = datetime.now(UTC).date()
REPORT = ("report", "--final", "--from", f"{TODAY - timedelta(days=20)}", "--to", f"{TODAY}", "-o")
FIRST, SECOND = (f"RR-{TODAY:%Y}-{number:04}.pdf" for number in (1, 2))
STAY_CONNECTED = """
import time
from restorereports.models import User
User.objects.count()
print("open", flush=True)
time.sleep(60)
"""
PASSWORD = """
from restorereports.models import EnterpriseManager
found = EnterpriseManager.objects.get()
print(found.name, found.password())
"""
KILLED = """
import os, signal
from pathlib import Path
from django.core.management import call_command
from restorereports.management import database, postgresql, restoration
def die(*_args, **_options):
    os.kill(os.getpid(), signal.SIGKILL)
{moment}
call_command("restore", "{archive}", yes=True, passphrase_env="PASSPHRASE")
"""
BEFORE_THE_DATABASE = "database.replace_by = die"
# What was written waits for its last word: SQLite's copy for its rename, PostgreSQL's transaction for COMMIT.
IN_THE_MIDDLE = "postgresql._Program.close = database.copy_file = die"
AFTER_THE_DATABASE = (
    "replace = database.replace_by; database.replace_by = lambda *a, **k: die(replace(*a, **k))"
)


@pytest.fixture
def world() -> World:
    now = datetime.now(UTC)
    return World(sessions=150, servers=2, seed=5, now=ManualClock(now), collect_interval=0)


@pytest.fixture
def em(world: World) -> Iterator[StandInServer]:
    with StandInServer(world) as running:
        yield running


class Site:
    """Where an installation may stand: each `database` is a fresh one of the engine."""

    def __init__(self, folder: Path, postgresql: str | None) -> None:
        self.folder, self.postgresql, self.made = folder, postgresql, 0

    def installation(self) -> Installation:
        """A fresh folder and a fresh, empty database."""
        self.made += 1
        folder = self.folder / f"installation-{self.made}"
        folder.mkdir()
        return Installation(folder, DATABASE_URL=self._database(folder), PASSPHRASE=PASSPHRASE)

    def _database(self, folder: Path) -> str:
        if not self.postgresql:
            return f"sqlite:///{folder}/restore.sqlite3"
        for _ in range(100):  # the server listens a moment before it takes anybody
            try:
                with psycopg.connect(self.postgresql, autocommit=True) as server:
                    server.execute(f"CREATE DATABASE installation_{self.made}")
                break
            except psycopg.OperationalError:
                time.sleep(0.1)
        return f"{self.postgresql.rpartition('/')[0]}/installation_{self.made}"


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    if request.param == "sqlite":
        yield Site(tmp_path, None)
    else:
        with servers.postgres() as url:
            yield Site(tmp_path, url)


def refused(installation: Installation, *arguments: str, **environment: str) -> str:
    """What the command said when it refused, its last line."""
    done = subprocess.run(
        installation.command(*arguments),
        env=installation.environment | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr, done.stderr
    return done.stderr.strip().splitlines()[-1]


def restore(installation: Installation, archive: Path) -> str:
    return installation.manage("restore", str(archive), "--passphrase-env", "PASSPHRASE", "--yes")


def state(installation: Installation) -> tuple[object, ...]:
    """What a refusal must leave alone: rows, keys, evidence files, kept copies."""
    folder = installation.folder
    files = sorted(path for name in ("reports", "backups") for path in (folder / name).rglob("*"))
    keys = [(folder / name).read_text() for name in ("secret_key", "credentials_key")]
    return installation.export(), keys, [(path, path.read_bytes()) for path in files if path.is_file()]


def test_a_backup_comes_back_after_a_disaster_and_over_what_is_there(
    site: Site, world: World, em: StandInServer, tmp_path: Path
) -> None:
    first, archive = site.installation(), tmp_path / "one.tar"
    first.manage("migrate", "-v", "0")
    first.add_em(em)
    first.manage("sync")
    first.manage(*REPORT, str(tmp_path / "first.pdf"))
    at_backup = rows_of(world.visible_sessions(), "em-north")

    said = first.manage("backup", str(archive), "--passphrase-env", "PASSPHRASE")

    assert "1 PDF reports as of" in said
    assert archive.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob(".*")] == []
    for key in ("secret_key", "credentials_key", "audit_key"):
        assert (first.folder / key).read_bytes() not in archive.read_bytes()
    for n in range(20):
        world.add_session(vm_name=f"after the backup {n}")
    first.manage("sync")
    first.manage(*REPORT, str(tmp_path / "second.pdf"))
    now = rows_of(world.visible_sessions(), "em-north")

    # a disaster: nothing is left but the archive
    second = site.installation()
    said = restore(second, archive)
    assert f"{len(at_backup)} restore sessions, 1 PDF reports" in said
    assert "em-north: last good sync" in said
    assert "without a gap" in said
    assert "is kept" not in said
    assert_equal(second.export(), at_backup)
    assert sorted(path.name for path in (second.folder / "reports").glob("*.pdf")) == [FIRST]
    assert "The evidence is whole" in second.manage("verify_evidence")
    for key in ("secret_key", "credentials_key", "audit_key"):
        assert (second.folder / key).read_text() == (first.folder / key).read_text()
        assert (second.folder / key).stat().st_mode & 0o777 == 0o600
    assert "The audit trail is whole" in second.manage("verify_audit")  # under the key out of the archive
    assert "em-north: done, full" in second.manage("sync", "--full")
    assert_equal(second.export(), now)

    # over what is there
    second_report = (first.folder / "reports" / SECOND).read_bytes()
    said = restore(first, archive)
    assert_equal(first.export(), at_backup)
    assert "The audit trail is whole" in first.manage("verify_audit")
    assert "The evidence is whole" in first.manage("verify_evidence")
    [kept] = [path for path in (first.folder / "backups").iterdir() if path.is_file()]
    assert str(kept) in said
    assert kept.stat().st_mode & 0o777 == 0o600
    first.manage("sync")
    assert_equal(first.export(), now)
    [reports] = [path for path in (first.folder / "backups").iterdir() if path.is_dir()]
    assert (reports / SECOND).read_bytes() == second_report  # its number will be given out again
    rows_in_kept(kept, len(now))


def rows_in_kept(kept: Path, rows: int) -> None:
    if kept.suffix == ".sqlite3":
        with closing(sqlite3.connect(kept)) as copy:
            assert copy.execute("select count(*) from restorereports_restoresession").fetchone() == (rows,)
    else:
        dumped = subprocess.run(
            ["pg_restore", "--data-only", "-t", "restorereports_restoresession", "-f", "-", kept],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert dumped.count("urn:veeam:RestoreSession:") == rows


def test_what_cannot_be_restored_changes_nothing(
    site: Site, world: World, em: StandInServer, tmp_path: Path
) -> None:
    installation, archive = site.installation(), tmp_path / "one.tar"
    installation.manage("migrate", "-v", "0")
    installation.add_em(em)
    installation.manage("sync")
    installation.manage("backup", str(archive), "--passphrase-env", "PASSPHRASE")
    before, whole = state(installation), archive.read_bytes()
    with tarfile.open(archive) as tar:
        [middle] = [one.offset_data + one.size // 2 for one in tar if one.name.startswith("database.")]
    command = ("restore", str(archive), "--passphrase-env", "PASSPHRASE", "--yes")

    archive.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
    assert "the hash of database." in refused(installation, *command)
    archive.write_bytes(whole[: len(whole) // 2])
    assert "only a part of one" in refused(installation, *command)
    archive.write_bytes(whole)
    assert "passphrase does not open" in refused(installation, *command, PASSPHRASE="quite another one")
    with another_process_on(installation):
        assert "database. End web, workers" in refused(installation, *command)

    assert state(installation) == before


@contextlib.contextmanager
def another_process_on(installation: Installation) -> Iterator[None]:
    other = subprocess.Popen(
        installation.command("shell", "-v", "0", "-c", STAY_CONNECTED),
        env=installation.environment,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout.readline() == b"open\n"
        yield
    finally:
        other.kill()
        other.wait()


def test_a_backup_is_made_while_all_runs_and_a_restore_refused(
    site: Site, world: World, em: StandInServer, tmp_path: Path
) -> None:
    installation, archive = site.installation(), tmp_path / "one.tar"
    installation.environment["PORT"] = str(servers.free_port())
    installation.manage("migrate", "-v", "0")
    installation.add_em(em)
    running = installation.start(*installation.command("run"), log="run")
    try:
        log = installation.folder / "run.log"
        end = time.monotonic() + 300
        while "Restore Reports runs at" not in log.read_text() or not installation.export():
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)

        installation.manage("backup", str(archive), "--passphrase-env", "PASSPHRASE")
        said = refused(installation, "restore", str(archive), "--passphrase-env", "PASSPHRASE", "--yes")
    finally:
        servers.end(running, sign=signal.SIGTERM)

    assert "End it first. Nothing was changed." in said
    fresh = site.installation()
    restore(fresh, archive)
    fresh.manage("sync")  # also when the backup was made in the middle of a run
    assert_equal(fresh.export(), rows_of(world.visible_sessions(), "em-north"))


def test_an_older_backup_is_migrated_and_newer_tables_do_not_hinder_it(site: Site, tmp_path: Path) -> None:
    installation, archive = site.installation(), tmp_path / "one.tar"
    installation.manage("migrate", "-v", "0", "restorereports", "0001")
    installation.manage("backup", str(archive), "--passphrase-env", "PASSPHRASE")
    installation.manage("migrate", "-v", "0")

    said = restore(installation, archive)

    assert "The database was migrated to this version." in said
    assert "[ ]" not in installation.manage("showmigrations", "--plan")


def test_killed_at_any_moment_it_is_the_old_or_the_new(
    site: Site, world: World, em: StandInServer, tmp_path: Path
) -> None:
    """Two installations with keys of their own: whichever database is there, its password opens."""
    one, other, archive = site.installation(), site.installation(), tmp_path / "one.tar"
    for installation, name in ((one, "em-one"), (other, "em-other")):
        installation.manage("migrate", "-v", "0")
        installation.add_em(em, name)
    one.manage("sync")
    one.manage("backup", str(archive), "--passphrase-env", "PASSPHRASE")
    rows = rows_of(world.visible_sessions(), "em-one")

    killed(other, archive, BEFORE_THE_DATABASE)
    assert password_of(other) == "em-other mirror"
    killed(other, archive, IN_THE_MIDDLE)
    assert password_of(other) == "em-other mirror"
    killed(other, archive, AFTER_THE_DATABASE)
    assert password_of(other) == "em-one mirror"
    assert_equal(other.export(), rows)
    restore(other, archive)
    assert "em-one: done" in other.manage("sync")
    assert (other.folder / "secret_key").read_text() == (one.folder / "secret_key").read_text()


def killed(installation: Installation, archive: Path, moment: str) -> None:
    code = KILLED.format(archive=archive, moment=moment)
    command = installation.command("shell", "-v", "0", "-c", code)
    done = subprocess.run(command, env=installation.environment, capture_output=True, timeout=600)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def password_of(installation: Installation) -> str:
    return installation.manage("shell", "-v", "0", "-c", PASSWORD).strip()
