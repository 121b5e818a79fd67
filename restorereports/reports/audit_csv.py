"""The audit trail as CSV, newest first: cells that a spreadsheet would run as a formula get an apostrophe."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, cast

from .sessions_csv import Line, defused

COLUMNS: Final = (
    *("number", "at", "action", "via", "person", "address", "object_type", "object_name", "details", "hash"),
)


def lines(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The header, then each row's cells in the order of COLUMNS, each line ending in a line feed."""
    writer = csv.writer(Line(), lineterminator="\r\n")
    yield cast(str, writer.writerow(COLUMNS))
    for row in rows:
        yield cast(str, writer.writerow(defused(row)))
