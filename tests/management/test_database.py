"""Before a start: never a database newer than the program, never a migration without a backup."""

import sqlite3
import subprocess
from datetime import UTC, datetime

import pytest
from django.conf import settings
from django.core.management import CommandError
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from restorereports.management import database, postgresql
from restorereports.models import User

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_an_up_to_date_database_is_left_alone(db) -> None:
    assert database.bring_up_to_date(at=AT) is None


def test_a_newer_database_is_refused(db) -> None:
    MigrationRecorder(connection).record_applied("restorereports", "9999_of_the_future")

    with pytest.raises(CommandError, match=r"newer than this program.*9999_of_the_future"):
        database.bring_up_to_date(at=AT)


@pytest.mark.django_db(transaction=True)
def test_a_backup_is_made_before_a_migration(monkeypatch, tmp_path) -> None:
    User.objects.create_user("kept")
    monkeypatch.setattr(settings, "VAR_DIR", tmp_path)
    (tmp_path / "backups").mkdir()
    monkeypatch.setattr(database.MigrationExecutor, "migration_plan", lambda _self, _targets: ["one"])
    monkeypatch.setattr(database, "call_command", lambda *_a, **_k: None)
    monkeypatch.setitem(settings.DATABASES["default"], "NAME", connection.settings_dict["NAME"])

    backup = database.bring_up_to_date(at=AT)

    assert backup.parent == tmp_path / "backups"
    assert backup.stat().st_mode & 0o777 == 0o600
    if connection.vendor == "sqlite":
        with sqlite3.connect(backup) as copy:
            assert copy.execute("select username from restorereports_user").fetchall() == [("kept",)]
        copy.close()
    else:
        listed = subprocess.run(["pg_restore", "-l", backup], capture_output=True, text=True, check=True)
        assert "restorereports_user" in listed.stdout


@pytest.mark.django_db(transaction=True)
def test_without_pg_dump_nothing_is_migrated(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CommandError, match="postgresql-client"):
        postgresql.dump(tmp_path / "x.dump")

    assert list(tmp_path.iterdir()) == []


def test_a_copy_that_fails_leaves_no_file(monkeypatch, tmp_path) -> None:
    def fail(*_arguments: object) -> None:
        raise CommandError("no")

    monkeypatch.setattr(postgresql, "dump", fail)
    monkeypatch.setattr(database.sqlite3, "connect", fail)

    with pytest.raises(CommandError, match="no"):
        database.copy_to(tmp_path / "x")

    assert list(tmp_path.iterdir()) == []


def test_a_damaged_sqlite_database_is_kept_and_replaced(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(settings, "VAR_DIR", tmp_path)
    (tmp_path / "backups").mkdir()
    live, staged, kept = tmp_path / "live", tmp_path / "staged", tmp_path / "backups" / "kept.sqlite3"
    live.write_bytes(b"no database any more" * 1000)
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"live{suffix}").write_bytes(b"left over")
    staged.write_bytes(b"the copy")
    monkeypatch.setattr(database, "_file", lambda: live)

    database._settle(live)
    database._replace_sqlite(staged, kept=kept)

    assert live.read_bytes() == b"the copy"
    assert kept.read_bytes() == b"no database any more" * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backups", "live"]


def test_a_sqlite_database_in_use_is_not_settled(tmp_path) -> None:
    file = tmp_path / "live"
    other = sqlite3.connect(file)
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("CREATE TABLE t (x)")
    try:
        with pytest.raises(CommandError, match="Another process uses the database"):
            database._settle(file)
    finally:
        other.close()
