"""The figures of a policy add up, and agree with the counts beside them (evidence rule 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from restorereports.models.counts import OutcomeCounts
from restorereports.policies.coverage import TierLine
from restorereports.policies.verdicts import VmVerdict

from .cross_footed import same

if TYPE_CHECKING:
    from .policy_figures import PolicyFigures


def cross_foot_policy(figures: PolicyFigures, counts: OutcomeCounts) -> None:
    for tier in figures.tiers:
        _tier(tier)
    _in_scope(figures)
    _requirements(figures, counts)
    _rto(figures)
    _last_month(figures)


def _tier(tier: TierLine) -> None:
    same(
        _("VMs in scope of tier %s") % tier.name,
        tier.in_scope,
        _("the sum over their verdicts"),
        sum(getattr(tier, verdict.value) for verdict in VmVerdict),
    )
    same(
        _("VMs measured in tier %s") % tier.name,
        tier.measured,
        _("tested, overdue, never tested and inconclusive"),
        tier.tested + tier.overdue + tier.never + tier.inconclusive,
    )


def _in_scope(figures: PolicyFigures) -> None:
    same(
        _("VMs in scope"),
        figures.total("in_scope"),
        _("the list of VMs with their verdicts"),
        figures.lines_total,
    )
    same(
        _("VMs in scope"),
        figures.total("in_scope"),
        _("VMs protected, less those out of scope, with those only listed"),
        figures.protected - figures.excluded - figures.unplaced + figures.listed_only,
    )
    same(_("exempt VMs"), figures.total("exempt"), _("the list of exemptions"), figures.exemptions_total)
    for verdict in VmVerdict if figures.lines_total == len(figures.lines) else ():
        same(
            _("VMs with the verdict %s") % verdict.label,
            figures.total(verdict.value),
            _("the same in the list"),
            sum(1 for line in figures.lines if line.verdict == verdict),
        )


def _requirements(figures: PolicyFigures, counts: OutcomeCounts) -> None:
    required = figures.requirements
    same(_("VMs tested"), figures.total("tested"), _("the line of coverage"), required.coverage.n)
    same(_("VMs measured"), figures.total("measured"), _("the line of coverage"), required.coverage.whole)
    same(_("Success"), counts.success, _("the line of the success rate"), required.success.n)
    same(_("completed"), counts.completed, _("the line of the success rate"), required.success.whole)
    followed = required.follow_up
    if figures.terms.follow_up_days is not None:
        same(
            _("completed without success"),
            counts.completed - counts.success,
            _("acknowledged in time, late or still in time"),
            followed.share.n + followed.late + followed.waiting,
        )


def _rto(figures: PolicyFigures) -> None:
    """The line of the summary against the table by tier, and each tier against its list of misses."""
    limited = [line for line in figures.rto if line.rto_minutes is not None]
    required = figures.requirements.rto
    same(_("within the RTO"), required.n, _("the sum over the tiers"), sum(line.met for line in limited))
    same(
        _("measured against an RTO"),
        required.whole,
        _("the sum over the tiers"),
        sum(line.spread.n for line in limited),
    )
    for line in limited:
        same(
            _("restores measured in tier %s") % line.tier,
            line.spread.n,
            _("those within the RTO and those that missed it"),
            line.met + line.misses_total,
        )


def _last_month(figures: PolicyFigures) -> None:
    """The trend's last month is the report's own moment where the period ends with a month."""
    last = figures.months[-1] if figures.months else None
    if last and last.at == figures.at:
        same(_("VMs tested"), figures.total("tested"), _("the last month of the trend"), last.tested)
        same(_("VMs measured"), figures.total("measured"), _("the last month of the trend"), last.measured)
