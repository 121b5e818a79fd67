"""Periods: half-open, at midnight of a zone, whatever the clocks do."""

from datetime import UTC, date, datetime

import pytest

from restorereports.models.period import (
    Period,
    PeriodUnreadable,
    month_of,
    named_period,
    preset_period,
)
from restorereports.web.filters import CUSTOM, PERIODS

AS_OF = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("2026-Q3", date(2026, 7, 1), date(2026, 10, 1)),
        ("2026-q4", date(2026, 10, 1), date(2027, 1, 1)),
        ("2026-07", date(2026, 7, 1), date(2026, 8, 1)),
        ("2026-12", date(2026, 12, 1), date(2027, 1, 1)),
        (" 2026 ", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_named_periods(text: str, first: date, end: date) -> None:
    period = named_period(text, "UTC")

    assert (period.first, period.end) == (first, end)


@pytest.mark.parametrize("text", ["", "2026-13", "2026-Q5", "0000", "9999", "26-07", "2026-7", "last month"])
def test_what_names_no_period_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(PeriodUnreadable, match="2026-Q3"):
        named_period(text, "UTC")


def test_midnight_is_that_of_the_zone_in_summer_and_winter() -> None:
    period = named_period("2026-Q4", "Europe/Berlin")

    assert period.start_at == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert period.end_at == datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert period.last == date(2026, 12, 31)
    assert period.days == 92


@pytest.mark.parametrize(
    ("period", "previous"),
    [
        (named_period("2026-Q3", "UTC"), (date(2026, 4, 1), date(2026, 7, 1))),
        (named_period("2026-01", "UTC"), (date(2025, 12, 1), date(2026, 1, 1))),
        (named_period("2024", "UTC"), (date(2023, 1, 1), date(2024, 1, 1))),
        (Period(date(2026, 3, 10), date(2026, 3, 17), "UTC"), (date(2026, 3, 3), date(2026, 3, 10))),
        (Period(date(2026, 3, 1), date(2026, 3, 17), "UTC"), (date(2026, 2, 13), date(2026, 3, 1))),
    ],
)
def test_the_previous_period_is_of_the_same_kind(period: Period, previous: tuple[date, date]) -> None:
    assert (period.previous().first, period.previous().end) == previous


@pytest.mark.parametrize(
    ("name", "first", "end"),
    [
        ("today", date(2026, 11, 24), date(2026, 11, 25)),
        ("7d", date(2026, 11, 18), date(2026, 11, 25)),
        ("this-month", date(2026, 11, 1), date(2026, 12, 1)),
        ("last-month", date(2026, 10, 1), date(2026, 11, 1)),
        ("this-quarter", date(2026, 10, 1), date(2027, 1, 1)),
        ("last-quarter", date(2026, 7, 1), date(2026, 10, 1)),
    ],
)
def test_presets_count_from_the_day_of_the_zone(name: str, first: date, end: date) -> None:
    period = preset_period(name, as_of=AS_OF, zone="Europe/Berlin")

    assert (period.first, period.end) == (first, end)


def test_every_preset_is_known_and_all_has_no_bounds() -> None:
    offered = [name for name, _label in PERIODS if name != CUSTOM]

    assert [name for name in offered if preset_period(name, as_of=AS_OF, zone="UTC") is None] == ["all"]
    with pytest.raises(PeriodUnreadable):
        preset_period("yesterday", as_of=AS_OF, zone="UTC")


def test_month_of_a_leap_day_and_twelve_months_back() -> None:
    assert month_of(date(2024, 2, 29), "UTC").days == 29
    assert month_of(date(2026, 3, 31), "UTC", back=13).first == date(2025, 2, 1)
