"""Coverage month by month: at each month's end, of the VMs that were in scope on that day."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime

from restorereports.models import PolicyVersion, Reader, RestoreSessionScope
from restorereports.models.period import month_of

from .coverage import Coverage, Judgement, coverage


@dataclass(frozen=True, kw_only=True, slots=True)
class MonthCoverage:
    """Coverage at the end of one month, `at`; of the current one at `as_of`.

    `no_data`: nothing had been received by then, or which VMs were protected was not read yet.
    """

    first: date
    at: datetime
    tested: int
    measured: int
    inconclusive: int
    judgement: Judgement
    no_data: bool


def coverage_by_month(
    version: PolicyVersion,
    *,
    last: date,
    zone: zoneinfo.ZoneInfo,
    scope: RestoreSessionScope,
    reader: Reader,
    as_of: datetime,
    months: int = 13,
) -> tuple[MonthCoverage, ...]:
    """The months up to the one in which the day `last` lies, oldest first, by the terms of this one version."""
    found = []
    for back in range(months - 1, -1, -1):
        month = month_of(last, zone.key, back=back)
        at = min(month.end_at, as_of)
        if at <= month.start_at:
            continue  # it has not begun
        covered = coverage(version, at=at, zone=zone, scope=scope, reader=reader, as_of=as_of)
        found.append(_month(month.first, covered))
    return tuple(found)


def _month(first: date, covered: Coverage) -> MonthCoverage:
    return MonthCoverage(
        first=first,
        at=covered.at,
        tested=covered.total("tested"),
        measured=covered.total("measured"),
        inconclusive=covered.total("inconclusive"),
        judgement=covered.judgement,
        no_data=not covered.read,
    )
