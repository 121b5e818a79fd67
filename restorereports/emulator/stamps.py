"""Dates as EM writes and reads them: UTC, 0 to 7 digits of a second, trailing zeros cut.

Inside the stand-in a moment is a whole number of microseconds since 1970 (`…_us`): small, exact and sortable.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

SECOND = 1_000_000
DAY = 86_400 * SECOND

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST_REAL_YEAR = 1980  # EM's "no date" values lie before (0001, 1753, 1900)
_LOOSE = re.compile(
    r"\s*(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:\s*[Tt]?\s*(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?)?"
    r"\s*([Zz]|[+-]\d{2}:?\d{2})?\s*"
)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _START) // _MICROSECOND


def from_us(moment_us: int) -> datetime:
    """The aware UTC datetime of microseconds since 1970."""
    return _START + timedelta(microseconds=moment_us)


def write_stamp(moment_us: int, *, seventh_digit: str = "") -> str:
    """`2031-05-06T07:08:09.5Z`; a seventh digit, which Python cannot hold, is appended after six."""
    seconds, rest_us = divmod(moment_us, SECOND)
    days, seconds = divmod(seconds, 86_400)
    text = f"{_day(days)}T{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    if not rest_us and not seventh_digit:
        return f"{text}Z"
    fraction = (f"{rest_us:06d}" + seventh_digit).rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


@cache
def _day(days: int) -> str:
    """`2031-05-06`; rows are written by the million, the days among them are few."""
    return (_START + timedelta(days=days)).isoformat()[:10]


def write_label(moment_us: int, *, fraction: bool = False) -> str:
    """`2031-05-06 07:08:09`, as it stands in names; with the fraction of the second if wanted."""
    text = write_stamp(moment_us if fraction else moment_us - moment_us % SECOND)
    return text[:-1].replace("T", " ")


def read_stamp(text: str) -> datetime | None:
    """The moment of a date as sent; None for EM's "no date" values. Raises ValueError for anything else."""
    try:
        moment = from_us(read_loose(text))
    except OverflowError:  # pragma: no cover - a year Python cannot hold
        return None
    return moment if moment.year >= _FIRST_REAL_YEAR else None


def read_loose(text: str) -> int:
    """Microseconds of a date in any form EM accepts in a filter; without zone it is UTC.

    Quoted or bare, with `T`, with a space, or with nothing between date and time (EM drops the spaces of bare
    values), date only, with or without `Z`. Raises ValueError if it is no date.
    """
    match = _LOOSE.fullmatch(text)
    if match is None:
        raise ValueError(f"not a date: {text!r}")
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    microsecond = int((fraction or "0")[:6].ljust(6, "0"))
    moment = datetime(
        int(year),
        int(month),
        int(day),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        microsecond,
        tzinfo=_zone(zone),
    )
    return to_us(moment)


def _zone(text: str | None) -> timezone:
    if text is None or text in "Zz":
        return UTC
    digits = text[1:].replace(":", "")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset)
