"""Which monthly reports are due: every month of every schedule becomes one delivery, also late."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from restorereports.models import Delivery, ReportSchedule
from restorereports.models.period import Period, month_of

_MID_MONTH = timedelta(days=15)


def plan_deliveries(*, as_of: datetime) -> None:
    """Add the deliveries whose mailing moment has passed; what was due while nothing ran is caught up."""
    for schedule in ReportSchedule.objects.filter(is_active=True):
        planned = {month_started_at(start) for start in _planned(schedule)}
        missing = [period for period in due_months(schedule, as_of) if period.first not in planned]
        Delivery.objects.bulk_create(
            (
                Delivery(schedule=schedule, period_start_at=period.start_at, period_end_at=period.end_at)
                for period in missing
            ),
            ignore_conflicts=True,  # another worker plans the same at this moment
        )


def due_months(schedule: ReportSchedule, as_of: datetime) -> Iterator[Period]:
    """The months from `first_month` on whose mailing moment, in the month after, has come."""
    period = month_of(schedule.first_month, schedule.zone)
    while mailing_moment(schedule, period) <= as_of:
        yield period
        period = month_of(period.end, schedule.zone)


def mailing_moment(schedule: ReportSchedule, period: Period) -> datetime:
    """`day` at `hour` o'clock of the schedule's zone in the month after the period.

    An hour that the clocks skip counts as the moment after the skip, one that comes twice as the first.
    """
    day = period.end.replace(day=schedule.day)
    return datetime.combine(day, time(schedule.hour), zoneinfo.ZoneInfo(schedule.zone))


def month_started_at(start_at: datetime) -> date:
    """The first day of the month that a delivery covers, whatever zone its schedule had when it was planned."""
    return (start_at + _MID_MONTH).date().replace(day=1)


def _planned(schedule: ReportSchedule) -> Iterator[datetime]:
    return schedule.deliveries.values_list("period_start_at", flat=True).iterator()
