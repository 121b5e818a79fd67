"""Months become deliveries: each once, also late, at the schedule's own clock."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from restorereports.models import Delivery, ReportSchedule
from restorereports.reports.schedule import due_months, mailing_moment, plan_deliveries
from tests.factories import make_schedule

pytestmark = pytest.mark.django_db


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def months(schedule: ReportSchedule) -> list[str]:
    found = schedule.deliveries.order_by("period_start_at")
    return [f"{d.period_start_at:%Y-%m-%dT%H:%M}/{d.period_end_at:%Y-%m-%dT%H:%M}" for d in found]


def test_a_month_is_due_from_its_mailing_moment_on() -> None:
    schedule = make_schedule(first_month=date(2026, 9, 1), day=1, hour=6)

    plan_deliveries(as_of=at("2026-10-01T05:59:59"))
    assert months(schedule) == []

    plan_deliveries(as_of=at("2026-10-01T06:00:00"))
    assert months(schedule) == ["2026-09-01T00:00/2026-10-01T00:00"]


def test_what_was_due_while_nothing_ran_is_caught_up_over_the_year_end() -> None:
    schedule = make_schedule(first_month=date(2025, 11, 1))

    plan_deliveries(as_of=at("2026-03-15T00:00:00"))

    assert [month[:7] for month in months(schedule)] == ["2025-11", "2025-12", "2026-01", "2026-02"]


def test_planning_again_adds_nothing() -> None:
    schedule = make_schedule(first_month=date(2026, 1, 1))

    for _ in range(3):
        plan_deliveries(as_of=at("2026-03-15T00:00:00"))

    assert len(months(schedule)) == 2


def test_a_schedule_that_is_switched_off_plans_nothing() -> None:
    make_schedule(first_month=date(2026, 1, 1), is_active=False)

    plan_deliveries(as_of=at("2026-03-15T00:00:00"))

    assert not Delivery.objects.exists()


def test_months_begin_at_midnight_of_the_zone_across_the_clock_change() -> None:
    schedule = make_schedule(first_month=date(2026, 3, 1), zone="Europe/Berlin", hour=6)

    plan_deliveries(as_of=at("2026-04-01T04:00:00"))

    assert months(schedule) == ["2026-02-28T23:00/2026-03-31T22:00"]


def test_another_zone_later_does_not_send_the_same_months_again() -> None:
    schedule = make_schedule(first_month=date(2026, 1, 1), zone="Pacific/Kiritimati")
    plan_deliveries(as_of=at("2026-03-15T00:00:00"))
    schedule.zone = "Pacific/Pago_Pago"
    schedule.save()

    plan_deliveries(as_of=at("2026-03-15T00:00:00"))

    assert len(months(schedule)) == 2


@pytest.mark.parametrize(
    ("day", "hour", "zone", "moment"),
    [
        (28, 23, "UTC", "2024-02-28T23:00:00"),
        (1, 0, "Europe/Berlin", "2024-01-31T23:00:00"),
        (15, 6, "America/New_York", "2024-02-15T11:00:00"),
    ],
)
def test_mailing_moments(day, hour, zone, moment) -> None:
    schedule = make_schedule(first_month=date(2024, 1, 1), day=day, hour=hour, zone=zone)

    assert mailing_moment(schedule, next(due_months(schedule, at("2024-04-01T00:00")))) == at(moment)


def test_an_hour_that_the_clocks_skip_or_repeat_is_due_once() -> None:
    # New York: 8 March 2026 has no 02:00; 1 November 2026 has 01:00 twice
    skipped = make_schedule(first_month=date(2026, 2, 1), day=8, hour=2, zone="America/New_York")
    doubled = make_schedule(first_month=date(2026, 10, 1), day=1, hour=1, zone="America/New_York")

    plan_deliveries(as_of=at("2026-03-08T06:59:59"))
    assert months(skipped) == []
    plan_deliveries(as_of=at("2026-03-08T07:00:00"))
    assert len(months(skipped)) == 1

    plan_deliveries(as_of=at("2026-11-01T05:00:00"))
    plan_deliveries(as_of=at("2026-11-01T06:00:00"))
    assert len(months(doubled)) == 1
