"""Coverage of a policy at a moment: each VM's verdict, each tier's figures, and when it falls below its target.

Evidence rules 7 to 10.
"""

from __future__ import annotations

import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from restorereports.models import PolicyVersion, Reader, RestoreSessionScope

from .in_scope import in_scope
from .lines import Judged, VmLine
from .terms import Terms, Tier, read_terms
from .verdicts import TESTED, VmVerdict


class Judgement(models.TextChoices):
    """What a policy makes of a figure."""

    MET = "met", _("Met")
    NOT_MET = "not_met", _("Not met")
    INCONCLUSIVE = "inconclusive", _("Inconclusive")
    NOTHING = "nothing", _("Nothing to judge")


@dataclass(frozen=True, kw_only=True, slots=True)
class TierLine:
    """in_scope = tested + overdue + never + inconclusive + new + exempt; tested = met + due_soon.

    `below_on`: the first day of the zone on which the share is below the target if nobody restores anything.
    """

    name: str
    window_days: int
    target: int
    in_scope: int
    met: int
    due_soon: int
    overdue: int
    never: int
    inconclusive: int
    new: int
    exempt: int
    judgement: Judgement
    below_on: date | None = None

    @property
    def tested(self) -> int:
        return self.met + self.due_soon

    @property
    def measured(self) -> int:
        """The denominator: in scope without exempt and new ones (rule 10)."""
        return self.in_scope - self.exempt - self.new


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """`lines`: every VM in scope, worst first. Figures over all tiers are sums of the tiers'."""

    at: datetime
    zone: str
    policy: str
    policy_name: str
    version: int
    tiers: tuple[TierLine, ...]
    lines: tuple[VmLine, ...]
    judgement: Judgement
    protected: int
    excluded: int
    unplaced: int
    listed_only: int
    read: int
    unread: tuple[str, ...]

    def total(self, field: str) -> int:
        return sum(getattr(tier, field) for tier in self.tiers)

    @property
    def below_on(self) -> date | None:
        """When the first tier that is at its target falls below it."""
        return min((tier.below_on for tier in self.tiers if tier.below_on), default=None)


def coverage(
    version: PolicyVersion,
    *,
    at: datetime,
    zone: zoneinfo.ZoneInfo,
    scope: RestoreSessionScope,
    reader: Reader,
    as_of: datetime,
    terms: Terms | None = None,
) -> Coverage:
    """Coverage at the moment `at` (a period's end), from what is known as of `as_of`.

    `terms` instead of the version's own previews a change. The scope's period is not looked at, only its VMs are.
    """
    terms = terms or read_terms(version.terms)
    population = in_scope(terms, at=at, scope=scope, reader=reader)
    judged = Judged(version.policy, terms, population, at=at, zone=zone, as_of=as_of, reader=reader)
    lines = sorted((judged.line(subject) for subject in population.subjects), key=_worst_first(terms))
    tiers = tuple(_tier_line(tier, lines, at=at, zone=zone, unread=population.unread) for tier in terms.tiers)
    return Coverage(
        at=at,
        zone=zone.key,
        policy=str(version.policy),
        policy_name=version.policy.name,
        version=version.number,
        tiers=tiers,
        lines=tuple(lines),
        judgement=together(tier.judgement for tier in tiers),
        protected=population.protected,
        excluded=population.excluded,
        unplaced=population.unplaced,
        listed_only=population.listed_only,
        read=population.read,
        unread=population.unread,
    )


def together(judgements: Iterable[Judgement]) -> Judgement:
    """One that is not met decides; then doubt; what has nothing to judge says nothing."""
    found = set(judgements)
    for one in (Judgement.NOT_MET, Judgement.INCONCLUSIVE, Judgement.MET):
        if one in found:
            return one
    return Judgement.NOTHING


def _worst_first(terms: Terms) -> Callable[[VmLine], tuple[object, ...]]:
    verdicts, tiers = list(VmVerdict), [tier.name for tier in terms.tiers]

    def key(line: VmLine) -> tuple[object, ...]:
        return (
            line.verdict in TESTED or line.verdict in (VmVerdict.NEW, VmVerdict.EXEMPT),
            tiers.index(line.tier),
            verdicts.index(line.verdict),
            line.due or date.max,
            line.name.casefold(),
            line.name,
            line.backup_server,
            line.vm_id or 0,
        )

    return key


def _tier_line(
    tier: Tier, lines: Sequence[VmLine], *, at: datetime, zone: zoneinfo.ZoneInfo, unread: Sequence[str]
) -> TierLine:
    own = [line for line in lines if line.tier == tier.name]
    counted = tier_line(tier, Counter(line.verdict for line in own), unread=bool(unread))
    dues = [line.due for line in own if line.verdict in TESTED and line.due]
    today = at.astimezone(zone).date()
    return replace(counted, below_on=below_on(dues, counted.measured, tier.target, today=today))


def tier_line(tier: Tier, counts: Mapping[VmVerdict, int], *, unread: bool) -> TierLine:
    """One tier's figures out of how many VMs have which verdict, without the forecast."""
    verdicts: dict[str, Any] = {verdict.value: counts.get(verdict, 0) for verdict in VmVerdict}
    found = TierLine(
        name=tier.name,
        window_days=tier.window_days,
        target=tier.target,
        in_scope=sum(counts.values()),
        **verdicts,
        judgement=Judgement.NOTHING,
    )
    judged = _judgement(found.tested, found.measured, found.inconclusive, tier.target, unread=unread)
    return replace(found, judgement=judged)


def _judgement(tested: int, measured: int, doubtful: int, target: int, *, unread: bool) -> Judgement:
    """A share that the doubtful VMs could lift to the target is inconclusive; so is any of a set not fully known."""
    if unread:
        return Judgement.INCONCLUSIVE
    if not measured:
        return Judgement.NOTHING
    if reaches(tested, measured, target):
        return Judgement.MET
    return Judgement.INCONCLUSIVE if reaches(tested + doubtful, measured, target) else Judgement.NOT_MET


def reaches(part: int, whole: int, target: int) -> bool:
    """Whether part / whole is at least `target` percent, exactly."""
    return part * 100 >= target * whole


def below_on(dues: Iterable[date], measured: int, target: int, *, today: date) -> date | None:
    """The first day on which too many have come due; None when the share is below already or nothing is measured.

    A VM counts through its due day and no more on the day after. The VMs in scope are taken to stay the same.
    """
    ordered = sorted(dues)
    if not measured or not reaches(len(ordered), measured, target):
        return None
    for gone, due in enumerate(ordered, 1):
        if not reaches(len(ordered) - gone, measured, target):
            return max(due + timedelta(days=1), today)
    return None
