"""Restore sessions as CSV: plain RFC 4180 text in UTF-8, as many rows as there are, in bounded memory.

The file is evidence: without `spreadsheet_safe` every cell is exactly what Enterprise Manager sent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, cast

from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Reader,
    RestoreSessionScope,
    RestoreSessionSource,
)
from restorereports.models.keyset import Order, Position, page_of
from restorereports.wording import utc_text

COLUMNS: Final = (
    "enterprise_manager",
    "backup_server",
    "vm_name",
    "name",
    "job_type",
    "state",
    "result",
    "progress",
    "started_at",
    "ended_at",
    "duration_seconds",
    "restore_point_name",
    "uid",
)
CHUNK = 2000  # rows a query reads
BLOCK = 200  # lines handed over at once
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula
_OLDEST_FIRST = Order(descending=False)
_READ = (
    *("id", "started_at", "backup_server_id", "vm_name", "name", "job_type", "state", "result"),
    *("progress", "ended_at", "duration_ms", "restore_point_name", "uid"),
)
_Row = tuple[Any, ...]  # the values of _READ: plain tuples, since millions of model instances take their time


def stream(scope: RestoreSessionScope, *, reader: Reader, spreadsheet_safe: bool = False) -> Iterator[str]:
    """The CSV's text in blocks, header first, ordered by (started_at, id). See `lines`."""
    every = lines(scope, reader=reader, spreadsheet_safe=spreadsheet_safe)
    while block := "".join(islice(every, BLOCK)):
        yield block


def lines(scope: RestoreSessionScope, *, reader: Reader, spreadsheet_safe: bool = False) -> Iterator[str]:
    """The header, then each restore session's row, each ending in a line feed.

    `spreadsheet_safe` puts an apostrophe before cells that a spreadsheet would run as a formula. A caller
    that wants one frozen view of the database iterates inside `models.snapshot.snapshot()`.
    """
    writer = csv.writer(Line(), lineterminator="\r\n")
    yield cast(str, writer.writerow(COLUMNS))
    managers = dict(EnterpriseManager.objects.visible_to(reader).values_list("pk", "name"))
    servers = dict(BackupServer.objects.visible_to(reader).values_list("pk", "name"))
    for chunk in _chunks(scope, reader):
        sources = _manager_names([row[0] for row in chunk], managers)
        for row in chunk:
            cells = _cells(row, sources, servers)
            yield cast(str, writer.writerow(defused(cells) if spreadsheet_safe else cells))


class Line:
    """Hands a written line back, ended by a line feed alone.

    The writer believes in CR LF, so that it also quotes a cell that holds a lone carriage return.
    """

    def write(self, line: str) -> str:
        return line[:-2] + "\n"


def _chunks(scope: RestoreSessionScope, reader: Reader) -> Iterator[list[_Row]]:
    rows: Any = scope.rows(reader).values_list(*_READ)
    at: Position | None = None
    more = True
    while more:
        page = page_of(rows, _OLDEST_FIRST, size=CHUNK, at=at)
        found = cast(list[_Row], page.rows)
        if found:
            yield found
            last_id, last_started_at = found[-1][:2]
            at = Position(value=last_started_at, started_at=last_started_at, id=last_id)
        more = page.more


def _manager_names(ids: list[int], managers: dict[int, str]) -> dict[int, str]:
    """Names of the Enterprise Managers that show each row, sorted, joined with a semicolon."""
    found: dict[int, list[str]] = {}
    sources = RestoreSessionSource.objects.filter(restore_session__in=ids)
    for row, manager in sources.values_list("restore_session_id", "enterprise_manager_id"):
        if manager in managers:
            found.setdefault(row, []).append(managers[manager])
    return {row: names[0] if len(names) == 1 else ";".join(sorted(names)) for row, names in found.items()}


def _cells(row: _Row, sources: dict[int, str], servers: dict[int, str]) -> Sequence[str]:
    pk, started_at, server, vm_name, name, job_type, state, result = row[:8]
    progress, ended_at, duration_ms, restore_point_name, uid = row[8:]
    return (
        sources.get(pk, ""),
        servers.get(server, ""),
        vm_name,
        name,
        job_type,
        state,
        result or "None",
        "" if progress is None else str(progress),
        utc_text(started_at),
        utc_text(ended_at),
        _seconds(duration_ms),
        restore_point_name,
        uid,
    )


def _seconds(milliseconds: int | None) -> str:
    """Seconds with three decimals; empty when not known or negative."""
    if milliseconds is None or milliseconds < 0:
        return ""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"


def defused(cells: Sequence[str]) -> list[str]:
    """An apostrophe before what a spreadsheet would run as a formula."""
    return [f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells]
