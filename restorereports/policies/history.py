"""Coverage month by month: at each month's end, of the VMs that were in scope on that day."""

from __future__ import annotations

import zoneinfo
from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime

from restorereports.models import PolicyVersion, Reader, RestoreSessionScope
from restorereports.models.period import month_of

from .coverage import Judgement, tier_line, together
from .in_scope import InScope, in_scope
from .lines import Judged
from .terms import Terms, read_terms
from .verdicts import VmVerdict


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
    terms = read_terms(version.terms)
    found = []
    for back in range(months - 1, -1, -1):
        month = month_of(last, zone.key, back=back)
        at = min(month.end_at, as_of)
        if at <= month.start_at:
            continue  # it has not begun
        population = in_scope(terms, at=at, scope=scope, reader=reader)
        judged = Judged(version.policy, terms, population, at=at, zone=zone, as_of=as_of, reader=reader)
        found.append(_month(month.first, at, terms, population, judged))
    return tuple(found)


def _month(first: date, at: datetime, terms: Terms, population: InScope, judged: Judged) -> MonthCoverage:
    """Counted only: no line is made for each VM."""
    counts: dict[str, Counter[VmVerdict]] = {tier.name: Counter() for tier in terms.tiers}
    for subject in population.subjects:
        counts[subject.place.tier][judged.verdict(subject)] += 1
    tiers = [tier_line(tier, counts[tier.name], unread=bool(population.unread)) for tier in terms.tiers]
    return MonthCoverage(
        first=first,
        at=at,
        tested=sum(tier.tested for tier in tiers),
        measured=sum(tier.measured for tier in tiers),
        inconclusive=sum(tier.inconclusive for tier in tiers),
        judgement=together(tier.judgement for tier in tiers),
        no_data=not population.read,
    )
