"""Restore sessions as CSV: plain RFC 4180 text in UTF-8, as many rows as there are, in bounded memory.

The file is evidence: without `spreadsheet_safe` every cell is exactly what Enterprise Manager sent.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final, cast

from django.db.models import OuterRef

from restorereports.models import BackupServer, EnterpriseManager, Reader, RestoreSessionScope
from restorereports.models.keyset import Order, Position, page_of
from restorereports.models.written import ManagersOf, UtcText

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
    "session_class",
)
CHUNK = 4000  # rows a query reads
BLOCK = 200  # lines handed over at once
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the beginning of a formula
_OLDEST_FIRST = Order(descending=False)
# The database writes the times and gathers the Enterprise Managers: of a million rows Python only puts the cells together.
_WRITTEN = {
    "managers": ManagersOf(OuterRef("pk")),
    "started": UtcText("started_at"),
    "ended": UtcText("ended_at"),
}
_READ = (
    *("id", "managers", "backup_server_id", "vm_name", "name", "job_type", "state", "result"),
    *("session_class", "progress", "started", "ended", "duration_ms", "restore_point_name", "uid"),
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
    managers = _Managers(dict(EnterpriseManager.objects.visible_to(reader).values_list("pk", "name")))
    servers = dict(BackupServer.objects.visible_to(reader).values_list("pk", "name"))
    for chunk in _chunks(scope, reader):
        for row in chunk:
            cells = _cells(row, managers, servers)
            yield cast(str, writer.writerow(defused(cells) if spreadsheet_safe else cells))


class Line:
    """Hands a written line back, ended by a line feed alone.

    The writer believes in CR LF, so that it also quotes a cell that holds a lone carriage return.
    """

    def write(self, line: str) -> str:
        return line[:-2] + "\n"


def _chunks(scope: RestoreSessionScope, reader: Reader) -> Iterator[list[_Row]]:
    scoped: Any = scope.rows(reader)
    rows = scoped.annotate(**_WRITTEN).values_list(*_READ)
    at: Position | None = None
    more = True
    while more:
        page = page_of(rows, _OLDEST_FIRST, size=CHUNK, at=at)
        found = cast(list[_Row], page.rows)
        if found:
            yield found
            last = found[-1][0]
            started_at = scoped.values_list("started_at", flat=True).get(pk=last)
            at = Position(value=started_at, started_at=started_at, id=last)
        more = page.more


class _Managers(dict[str, str]):
    """From ids as the database joins them, `2,1`, to the names that the reader may see, sorted, joined by semicolons."""

    def __init__(self, names: dict[int, str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, ids: str) -> str:
        shown = sorted(self._names[pk] for pk in map(int, ids.split(",")) if pk in self._names)
        return self.setdefault(ids, ";".join(shown))


def _cells(row: _Row, managers: _Managers, servers: dict[int, str]) -> Sequence[str]:
    _pk, shown_by, server, vm_name, name, job_type, state, result = row[:8]
    session_class, progress, started, ended, duration_ms, restore_point_name, uid = row[8:]
    return (
        managers[shown_by] if shown_by else "",
        servers.get(server, ""),
        vm_name,
        name,
        job_type,
        state,
        result or "None",
        "" if progress is None else str(progress),
        started,
        ended or "",
        _seconds(duration_ms),
        restore_point_name,
        uid,
        session_class,
    )


def _seconds(milliseconds: int | None) -> str:
    """Seconds with three decimals; empty when not known or negative."""
    if milliseconds is None or milliseconds < 0:
        return ""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03}"


def defused(cells: Sequence[str]) -> list[str]:
    """An apostrophe before what a spreadsheet would run as a formula."""
    return [f"'{cell}" if cell.startswith(FORMULA) else cell for cell in cells]
