"""PostgreSQL's own programs: pg_dump copies a database that is in use, pg_restore and psql put the copy back."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.apps import apps
from django.core.management.base import CommandError
from django.db import connection, connections
from django.db.migrations.recorder import MigrationRecorder

_OPTIONS = {"host": "HOST", "port": "PORT", "username": "USER", "dbname": "NAME"}
_CLIENT = "Install postgresql-client in the server's version, then start again."


def dump(target: Path) -> None:
    """One snapshot of the database in pg_dump's custom format. CommandError when it cannot be made."""
    command = ["pg_dump", "-Fc", "-f", str(target), *_options()]
    try:
        subprocess.run(command, check=True, env=_environment(), capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as failure:
        raise CommandError(
            f"The database could not be backed up ({_reason(failure)}). {_CLIENT} Nothing was changed."
        ) from None


def restore(source: Path) -> None:
    """Put what `dump` made in the place of our tables, in one transaction. CommandError changes nothing.

    psql commits only when it is told to, after pg_restore has said everything without an error: whichever program
    is killed, the server rolls back. `pg_restore --single-transaction` would fail at tables that a newer version
    has added, for they refer to ours.
    """
    drop = ", ".join(connection.ops.quote_name(name) for name in tables())
    connections.close_all()
    said = ["pg_restore", "-f", "-", "--clean", "--if-exists", "--no-owner", "--no-privileges", str(source)]
    psql = ["psql", "-X", "-q", "-o", os.devnull, "-v", "ON_ERROR_STOP=1", *_options()]
    try:
        with _piped(psql, stdin=subprocess.PIPE) as into, _piped(said, stdout=subprocess.PIPE) as out:
            with contextlib.suppress(BrokenPipeError):  # psql ended early: `check` has its reason
                into.write(b"BEGIN;\n")
                into.write(f"DROP TABLE IF EXISTS {drop} CASCADE;\n".encode() if drop else b"")
                shutil.copyfileobj(out.stdout, into, 1 << 20)
                out.check()
                into.write(b"COMMIT;\n")
                into.close()
            into.check()
    except (OSError, subprocess.CalledProcessError) as failure:
        raise CommandError(
            f"The database could not be restored ({_reason(failure)}). {_CLIENT} Nothing was changed."
        ) from None


def tables() -> list[str]:
    """The present tables of this program, of whatever version."""
    with connection.cursor() as cursor:
        present = connection.introspection.table_names(cursor)
    ours = {model._meta.db_table for model in apps.get_models(include_auto_created=True)}
    ours.add(MigrationRecorder.Migration._meta.db_table)
    return [name for name in present if name in ours or name.startswith("restorereports_")]


def refuse_other_connections() -> None:
    """CommandError while anybody else is connected to the database: web, workers and beat may run elsewhere."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        [others] = cursor.fetchone()
    if others:
        raise CommandError(
            f"{others} other connection(s) use the database. End web, workers, beat and psql first. "
            "Nothing was changed."
        )


def _options() -> list[str]:
    database = connection.settings_dict
    return [f"--{name}={database[key]}" for name, key in _OPTIONS.items() if database[key]]


def _environment() -> dict[str, str]:
    password = connection.settings_dict["PASSWORD"]
    return os.environ | ({"PGPASSWORD": password} if password else {})


def _reason(failure: OSError | subprocess.CalledProcessError) -> str:
    """The last line that the program said, for it names the cause."""
    said = str(getattr(failure, "stderr", None) or "").strip().splitlines()
    return said[-1] if said else str(failure)


@dataclass(frozen=True, slots=True)
class _Program:
    """One end of a pipe; what it complains about goes into a file, so that it never waits for a reader."""

    process: subprocess.Popen[bytes]
    complaints: IO[bytes]

    @property
    def stdout(self) -> Any:
        return self.process.stdout

    def write(self, text: bytes) -> None:
        self._stdin.write(text)

    def close(self) -> None:
        self._stdin.close()

    @property
    def _stdin(self) -> Any:
        return self.process.stdin

    def check(self) -> None:
        """Wait for its end; CalledProcessError when it was not a good one."""
        if code := self.process.wait():
            self.complaints.seek(0)
            said = self.complaints.read().decode(errors="replace")
            raise subprocess.CalledProcessError(code, self.process.args, stderr=said)


@contextlib.contextmanager
def _piped(
    command: list[str], *, stdin: int = subprocess.DEVNULL, stdout: int | None = None
) -> Iterator[_Program]:
    """A program that is killed when the block is left before it has ended."""
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=complaints, env=_environment())
        try:
            yield _Program(process, complaints)
        finally:
            process.kill()
            process.wait()
            for end in (process.stdin, process.stdout):
                if end is not None:
                    with contextlib.suppress(BrokenPipeError):
                        end.close()
