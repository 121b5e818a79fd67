"""Restore sessions by result, month by month: 13 months up to the period's last, or all of a longer period."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from restorereports.models import Reader, RestoreSession, RestoreSessionScope
from restorereports.models.counts import OutcomeCounts, by_outcome
from restorereports.models.period import Period, month_of

USUAL_MONTHS = 13
MOST_MONTHS = 36
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Month:
    """A calendar month of the zone, cut at the period's end; `seen_from` where the data begin inside it."""

    first: date
    start_at: datetime
    end_at: datetime
    counts: OutcomeCounts
    whole: bool = True
    no_data: bool = False
    seen_from: date | None = None
    not_over: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Trend:
    """Months in order; `left_out` of a period longer than the bound are not shown."""

    months: tuple[Month, ...]
    left_out: int
    first_data_at: datetime | None

    @property
    def counts(self) -> OutcomeCounts:
        return sum((month.counts for month in self.months), OutcomeCounts())

    def within(self, start: datetime, end: datetime) -> OutcomeCounts | None:
        """The counts of [start, end) if whole listed months make it up, else None."""
        inside = [m for m in self.months if start <= m.start_at and m.end_at <= end]
        if not inside or inside[0].start_at != start or inside[-1].end_at != end:
            return None
        return sum((month.counts for month in inside), OutcomeCounts())


def trend(
    scope: RestoreSessionScope,
    *,
    zone: zoneinfo.ZoneInfo,
    as_of: datetime,
    reader: Reader,
    first_data_at: datetime | None,
) -> Trend:
    if scope.start is None or scope.end is None:
        raise ValueError("a trend needs a period with both ends")
    periods, left_out = _months(scope.start, scope.end, zone)
    visible = RestoreSession.objects.visible_to(reader)
    months = []
    for period in periods:
        start_at, end_at = period.start_at, min(period.end_at, scope.end)
        begun = first_data_at is not None and first_data_at < end_at
        partly = begun and first_data_at is not None and first_data_at > start_at
        months.append(
            Month(
                first=period.first,
                start_at=start_at,
                end_at=end_at,
                counts=by_outcome(scope.narrow(visible.started_in(start_at, end_at))),
                whole=end_at == period.end_at,
                no_data=not begun or start_at > as_of,
                seen_from=first_data_at.astimezone(zone).date() if partly and first_data_at else None,
                not_over=start_at <= as_of < end_at,
            )
        )
    return Trend(months=tuple(months), left_out=left_out, first_data_at=first_data_at)


def _months(start: datetime, end: datetime, zone: zoneinfo.ZoneInfo) -> tuple[list[Period], int]:
    """The months to show, oldest first, and how many of the period's are left out before them."""
    last = max(end - _MOMENT, start).astimezone(zone).date()
    first = start.astimezone(zone).date()
    in_period = (last.year - first.year) * 12 + last.month - first.month + 1
    shown = min(max(in_period, USUAL_MONTHS), MOST_MONTHS)
    return [month_of(last, zone.key, back=back) for back in range(shown - 1, -1, -1)], max(
        in_period - shown, 0
    )
