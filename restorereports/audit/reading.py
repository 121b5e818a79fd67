"""Reading rows of which any column may hold anything: what somebody wrote past the program must not stop the reading.

SQLite keeps whatever is put into a column, a text that is no time or no UTF-8 among it; PostgreSQL keeps times and
numbers that Python has no room for.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.db import DatabaseError, models

CANNOT_BE_READ: Final = (
    *(DatabaseError, ArithmeticError, AttributeError, LookupError),
    *(TypeError, ValueError, RecursionError),
)
_CHUNK: Final = 500  # rows in memory at a time


def rows_of(rows: models.QuerySet[Any]) -> Iterator[tuple[int, Any]]:
    """Primary key and row, in the order of the query set; None for a row that cannot be read."""
    keys = array("q", rows.values_list("pk", flat=True).iterator())
    for start in range(0, len(keys), _CHUNK):
        yield from _read(rows, keys[start : start + _CHUNK])


def _read(rows: models.QuerySet[Any], keys: Sequence[int]) -> Iterator[tuple[int, Any]]:
    try:
        found = {row.pk: row for row in rows.order_by().filter(pk__in=keys)}
    except CANNOT_BE_READ:
        found = {key: _read_one(rows, key) for key in keys}
    for key in keys:
        yield key, found.get(key)


def _read_one(rows: models.QuerySet[Any], key: int) -> Any:
    try:
        return rows.order_by().get(pk=key)
    except CANNOT_BE_READ:
        rows.order_by().filter(pk=key).exists()  # raises where it is the database that does not answer
        return None


def number_of(rows: models.QuerySet[Any], key: int, column: str) -> int | None:
    """A whole number of a row that cannot be read otherwise; None where it is none either."""
    try:
        number = rows.order_by().filter(pk=key).values_list(column, flat=True).first()
    except CANNOT_BE_READ:
        return None
    return number if is_whole(number) else None


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
