"""Before a start: no database newer than the program, a copy of it before it is migrated."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

_PG_OPTIONS = {"host": "HOST", "port": "PORT", "username": "USER", "dbname": "NAME"}


def bring_up_to_date(*, at: datetime) -> Path | None:
    """Migrate; gives the backup's path when there was something to lose. CommandError changes nothing."""
    executor = MigrationExecutor(connection)
    known = set(executor.loader.disk_migrations)
    applied = set(executor.loader.applied_migrations)
    labels = {label for label, _ in known}
    if newer := sorted(name for label, name in applied - known if label in labels):
        raise CommandError(
            f"The database is newer than this program: it has {', '.join(newer)}. Install the newer version, "
            f"or restore a backup from {settings.VAR_DIR / 'backups'}. Nothing was changed."
        )
    backup = None
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        backup = _back_up(at) if applied else None
        call_command("migrate", interactive=False, verbosity=0)
    return backup


def _back_up(at: datetime) -> Path:
    target = settings.VAR_DIR / "backups" / f"before-migration-{at:%Y%m%dT%H%M%SZ}"
    if connection.vendor == "sqlite":
        return _back_up_sqlite(target.with_suffix(".sqlite3"))
    return _back_up_postgresql(target.with_suffix(".dump"))


def _back_up_sqlite(target: Path) -> Path:
    source = settings.DATABASES["default"]["NAME"]
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
    target.chmod(0o600)
    return target


def _back_up_postgresql(target: Path) -> Path:
    database = connection.settings_dict
    environment = {"PGPASSWORD": database["PASSWORD"]} if database["PASSWORD"] else {}
    options = [f"--{name}={database[key]}" for name, key in _PG_OPTIONS.items() if database[key]]
    target.touch(mode=0o600)
    try:
        subprocess.run(["pg_dump", "-Fc", "-f", target, *options], check=True, env=os.environ | environment)
    except (OSError, subprocess.CalledProcessError) as failure:
        target.unlink()
        raise CommandError(
            f"The database could not be backed up before its migration ({failure}). Install postgresql-client "
            "in the server's version, then start again. Nothing was changed."
        ) from None
    return target
