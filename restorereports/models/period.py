"""Periods as people name them: half-open, at midnight of a zone, kept as UTC (evidence rule 2)."""

from __future__ import annotations

import re
import zoneinfo
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from django.utils.translation import gettext as _


class PeriodUnreadable(ValueError):
    """The text names no period; the message says how to write one."""


@dataclass(frozen=True, slots=True)
class Period:
    """[first 00:00, end 00:00) in `zone`; `end` is exclusive."""

    first: date
    end: date
    zone: str

    @property
    def start_at(self) -> datetime:
        return self._midnight(self.first)

    @property
    def end_at(self) -> datetime:
        return self._midnight(self.end)

    @property
    def last(self) -> date:
        """The last day that belongs to the period."""
        return self.end - timedelta(days=1)

    @property
    def days(self) -> int:
        return (self.end - self.first).days

    def previous(self) -> Period:
        """The period of the same kind before this one: whole months for whole months, else as many days."""
        months = (self.end.year - self.first.year) * 12 + self.end.month - self.first.month
        if self.first.day == self.end.day == 1 and months:
            return Period(_add_months(self.first, -months), self.first, self.zone)
        return Period(self.first - timedelta(days=self.days), self.first, self.zone)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), zoneinfo.ZoneInfo(self.zone)).astimezone(UTC)


def _add_months(first: date, months: int) -> date:
    index = first.year * 12 + first.month - 1 + months
    return date(index // 12, index % 12 + 1, 1)


def month_of(day: date, zone: str, *, back: int = 0) -> Period:
    """The calendar month `back` months before the one the day lies in."""
    first = _add_months(day.replace(day=1), -back)
    return Period(first, _add_months(first, 1), zone)


def named_period(text: str, zone: str) -> Period:
    """`2026-Q3`, `2026-07` or `2026`; PeriodUnreadable says how to write it."""
    found = re.fullmatch(r"(\d{4})(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?", text.strip(), re.IGNORECASE)
    if not found or not 1 <= int(found[1]) < 9999:
        raise PeriodUnreadable(
            _("“%(text)s” is no period; write 2026 for a year, 2026-Q3 for a quarter or 2026-07 for a month.")
            % {"text": text}
        )
    year, quarter, month = int(found[1]), found[2], found[3]
    if quarter:
        first, months = date(year, int(quarter) * 3 - 2, 1), 3
    elif month:
        first, months = date(year, int(month), 1), 1
    else:
        first, months = date(year, 1, 1), 12
    return Period(first, _add_months(first, months), zone)


def preset_period(name: str, *, as_of: datetime, zone: str) -> Period | None:
    """A preset as of a moment, days counted up to and with the current one; None for `all`."""
    today = as_of.astimezone(zoneinfo.ZoneInfo(zone)).date()
    tomorrow = today + timedelta(days=1)
    if name == "all":
        return None
    if name == "today":
        return Period(today, tomorrow, zone)
    if found := re.fullmatch(r"(\d+)d", name):
        return Period(tomorrow - timedelta(days=int(found[1])), tomorrow, zone)
    if name == "this-month":
        return month_of(today, zone)
    if name == "last-month":
        return month_of(today, zone, back=1)
    quarter = date(today.year, (today.month - 1) // 3 * 3 + 1, 1)
    if name == "this-quarter":
        return Period(quarter, _add_months(quarter, 3), zone)
    if name == "last-quarter":
        return Period(_add_months(quarter, -3), quarter, zone)
    raise PeriodUnreadable(_("“%(name)s” is no known period.") % {"name": name})
