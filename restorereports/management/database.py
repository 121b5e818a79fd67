"""The database as a whole: migrated at a start, copied while it is in use, replaced by a copy."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Collection
from contextlib import closing
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from . import postgresql

SUFFIXES = {"sqlite": ".sqlite3", "postgresql": ".dump"}
ENGINES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}

Migration = tuple[str, str]  # app label, name


def bring_up_to_date(*, at: datetime) -> Path | None:
    """Migrate; gives the backup's path when there was something to lose. CommandError changes nothing."""
    applied = applied_migrations()
    if newer := newer_than_program(applied):
        raise CommandError(
            f"The database is newer than this program: it has {', '.join(newer)}. Install the newer version, "
            f"or restore a backup from {settings.VAR_DIR / 'backups'}. Nothing was changed."
        )
    executor = MigrationExecutor(connection)
    backup = None
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        backup = back_up("before-migration", at=at) if applied else None
        call_command("migrate", interactive=False, verbosity=0)
    return backup


def applied_migrations() -> list[Migration]:
    """What the database has; empty where nothing was set up yet."""
    return sorted(MigrationRecorder(connection).applied_migrations())


def newer_than_program(applied: Collection[Migration]) -> list[str]:
    """Names of migrations that this program does not know, of the apps that it does know."""
    known = set(MigrationLoader(None).disk_migrations)
    labels = {label for label, _ in known}
    return sorted(name for label, name in set(applied) - known if label in labels)


def back_up(name: str, *, at: datetime) -> Path:
    """A copy under VAR_DIR/backups, mode 0600; CommandError when it cannot be made."""
    target = _place(name, at=at)
    copy_to(target)
    return target


def _place(name: str, *, at: datetime) -> Path:
    file_name = f"{name}-{at:%Y%m%dT%H%M%SZ}{SUFFIXES[connection.vendor]}"
    return Path(settings.VAR_DIR) / "backups" / file_name


def copy_to(target: Path) -> None:
    """A consistent copy of the database, which may be in use: SQLite's own format or pg_dump's; mode 0600."""
    target.touch(mode=0o600)
    try:
        if connection.vendor == "sqlite":
            with closing(sqlite3.connect(_file())) as live, closing(sqlite3.connect(target)) as copy:
                live.backup(copy)
        else:
            postgresql.dump(target)
    except BaseException:
        target.unlink()
        raise


def is_set_up() -> bool:
    """Whether there is something to lose; a database that is damaged counts."""
    try:
        return bool(applied_migrations())
    except DatabaseError:
        return True


def refuse_other_users() -> None:
    """CommandError while another process uses the database; web, workers and beat may run without `make run`."""
    if connection.vendor == "postgresql":
        postgresql.refuse_other_connections()
        return
    connections.close_all()
    if _file().exists():
        _settle(_file())


def replace_by(staged: Path, *, at: datetime) -> Path | None:
    """Put the copy in the database's place, whole or not at all; gives where the one before is kept.

    CommandError changes nothing. SQLite's copy must lie beside the database, and is moved.
    """
    something_to_lose = is_set_up()
    refuse_other_users()
    if connection.vendor == "sqlite":
        return _replace_sqlite(staged, kept=_place("before-restore", at=at) if something_to_lose else None)
    kept = back_up("before-restore", at=at) if something_to_lose else None
    postgresql.restore(staged)
    return kept


def staging_folder() -> Path:
    """Where a copy waits to become the database."""
    return _file().parent if connection.vendor == "sqlite" else Path(settings.VAR_DIR) / "backups"


def _file() -> Path:
    return Path(settings.DATABASES["default"]["NAME"])


def _replace_sqlite(staged: Path, *, kept: Path | None) -> Path | None:
    file = _file()
    if kept:
        copy_file(file, kept)
    for suffix in ("-wal", "-shm"):  # left beside a damaged one: they must never be read into the new one
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    staged.replace(file)
    sync_folder(file.parent)
    return kept


def _settle(file: Path) -> None:
    """Bring SQLite's write-ahead log into the file itself, which needs that nobody else has it open."""
    try:
        with closing(sqlite3.connect(file, timeout=2)) as database:
            database.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as failure:
        if failure.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise CommandError(
                "Another process uses the database. End web, workers and commands first. Nothing was changed."
            ) from None
        # else it is damaged, and kept as it lies there


def copy_file(source: Path, target: Path) -> None:
    """Safe on disk when it returns; mode 0600."""
    target.touch(mode=0o600)
    with source.open("rb") as old, target.open("wb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())


def sync_folder(folder: Path) -> None:
    """A rename in it survives a power cut from now on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
