"""A database left by the previous release's last commit, with rows, becomes today's and goes on.

previous/*.sql.gz hold such a database of each engine; previous/make.py says how they were made. PostgreSQL is
started here, so that the first half of `make test` covers both engines; the second half need not repeat it.
"""

from __future__ import annotations

import contextlib
import gzip
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from restorereports.emulator.server import StandInServer
from tests import servers
from tests.expected import rows_of
from tests.models.previous.make import CREDENTIALS_KEY, SECRET_KEY, change, previous_world
from tests.walk.installation import Installation, assert_equal

pytestmark = pytest.mark.processes
DUMPS = Path(__file__).parent / "previous"
SESSIONS = 102
# Tables that Django or the engine keeps for itself: their rows are not what people left.
NOT_OURS = {"django_migrations", "sqlite_sequence"}
UP_TO_DATE = """
from django.utils import timezone
from restorereports.management.database import bring_up_to_date
print("backup", bring_up_to_date(at=timezone.now()))
"""
POINT_AT = """
from restorereports.models import EnterpriseManager
for enterprise_manager in EnterpriseManager.objects.all():
    enterprise_manager.url, enterprise_manager.pin_sha256 = "{url}", "{pin}"
    enterprise_manager.pinned_pem = ""
    enterprise_manager.save()
"""

Rows = dict[Any, tuple[Any, ...]]  # primary key -> the other columns


def load_sqlite(url: str) -> None:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        database.executescript(gzip.decompress((DUMPS / "sqlite.sql.gz").read_bytes()).decode())


def load_postgresql(url: str) -> None:
    with connected(url) as database:
        database.execute(gzip.decompress((DUMPS / "postgresql.sql.gz").read_bytes()))


def connected(url: str) -> psycopg.Connection:
    """The server listens a moment before it takes anybody."""
    for _ in range(100):
        with contextlib.suppress(psycopg.OperationalError):
            return psycopg.connect(url, autocommit=True)
        time.sleep(0.1)
    return psycopg.connect(url, autocommit=True)


class Database:
    """One engine, read with plain SQL: what the ORM of today thinks of the columns must not matter."""

    def __init__(self, url: str) -> None:
        self.is_sqlite = url.startswith("sqlite")
        path = url.removeprefix("sqlite:///")
        self._connect: Any = lambda: sqlite3.connect(path) if self.is_sqlite else psycopg.connect(url)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self._connect()) as database:
            return database.execute(sql).fetchall()

    def columns(self) -> dict[str, list[str]]:
        """Table -> its columns, the primary key first."""
        if self.is_sqlite:
            listed = (
                "select m.name, c.name from sqlite_master m, pragma_table_info(m.name) c "
                "where m.type = 'table' order by m.name, c.cid"
            )
        else:
            listed = (
                "select table_name, column_name from information_schema.columns where table_schema = 'public' "
                "order by table_name, ordinal_position"
            )
        tables: dict[str, list[str]] = {}
        for table, column in self.ask(listed):
            tables.setdefault(table, []).append(column)
        return {table: columns for table, columns in tables.items() if table not in NOT_OURS}

    def rows(self, columns: dict[str, list[str]]) -> dict[str, Rows]:
        found = {}
        for table, names in columns.items():
            listed = ", ".join(f'"{name}"' for name in names)
            found[table] = {row[0]: row[1:] for row in self.ask(f'select {listed} from "{table}"')}
        return found


@pytest.fixture(params=["sqlite", "postgresql"])
def left_behind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The DATABASE_URL of a database as the previous release left it."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/left.sqlite3"
        load_sqlite(url)
        yield url
    else:
        with servers.postgres() as url:
            load_postgresql(url)
            yield url


def test_a_database_of_the_previous_release_is_migrated_and_goes_on(left_behind: str, tmp_path: Path) -> None:
    database = Database(left_behind)
    columns = database.columns()
    before = database.rows(columns)
    assert len(before["restorereports_restoresession"]) == SESSIONS
    installation = Installation(
        tmp_path, DATABASE_URL=left_behind, CREDENTIALS_KEY=CREDENTIALS_KEY, SECRET_KEY=SECRET_KEY
    )
    behind = "[ ]" in installation.manage("showmigrations", "--plan")

    said = installation.manage("shell", "-v", "0", "-c", UP_TO_DATE)

    assert "[ ]" not in installation.manage("showmigrations", "--plan")
    backups = list((tmp_path / "backups").iterdir())
    assert len(backups) == int(behind)
    assert said.split() == ["backup", str(backups[0]) if backups else "None"]
    after = database.rows(columns)
    for table, rows in before.items():
        lost = {
            key: (row, after[table].get(key)) for key, row in rows.items() if after[table].get(key) != row
        }
        assert not lost, f"{table}: {len(lost)} of {len(rows)} rows differ: {list(lost.items())[:1]}"
    everybody_sees_what_he_saw(database)
    goes_on(installation)


def everybody_sees_what_he_saw(database: Database) -> None:
    """Before grants everybody saw everything, and every report."""
    others = database.ask("select id from restorereports_user where role <> 'administrator'")
    granted = database.ask(
        "select user_id from restorereports_grant where enterprise_manager_id is null and backup_server_id is null"
    )
    hidden = database.ask("select count(*) from restorereports_report where not covers_everything")
    assert others
    assert sorted(granted) == sorted(others)
    assert list(hidden) == [(0,)]


def goes_on(installation: Installation) -> None:
    """The next sync, with the password kept then, finds what is new and keeps what was there."""
    world = previous_world()
    change(world)
    world.add_session(vm_name="after the migration")
    with StandInServer(world) as server:
        set_up = POINT_AT.format(url=server.url, pin=server.fingerprint_sha256)
        installation.manage("shell", "-v", "0", "-c", set_up)

        said = installation.manage("sync", "--full")

    seen = len(world.visible_sessions())
    assert f"em-north: done, full, seen {seen}, new" in said
    assert f"em-south: done, full, seen {seen}, new" in said
    shown = rows_of(world.visible_sessions(), "em-north;em-south")
    uids = {row["uid"] for row in shown}
    assert_equal([row for row in installation.export() if row["uid"] in uids], shown)
