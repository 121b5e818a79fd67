"""What a policy asks for, in one sentence a requirement, and how many of its requirements are met."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from restorereports.policies.coverage import Judgement
from restorereports.policies.requirements import Requirements
from restorereports.policies.terms import Terms
from restorereports.wording import number_text

from .policy_figures import PolicyFigures
from .printed import printed_text

MOST_TIERS = 4  # named in a sentence; the table has them all


def rules(figures: PolicyFigures) -> dict[str, str]:
    """By requirement what meets it."""
    terms = figures.terms
    return {
        "coverage": _coverage(terms),
        "success": _success(terms),
        "rto": _rto(terms),
        "follow_up": _follow_up(terms, figures.requirements),
    }


def judged(required: Requirements) -> tuple[int, int]:
    """(requirements met, requirements judged): one that the policy does not ask for is in neither."""
    found = [
        one.judgement
        for one in (required.coverage, required.success, required.rto, required.follow_up.share)
        if one.judgement != Judgement.NOTHING
    ]
    return found.count(Judgement.MET), len(found)


def _coverage(terms: Terms) -> str:
    tiers = ", ".join(
        _("%(tier)s %(target)d %% in %(days)d days")
        % {"tier": printed_text(tier.name), "target": tier.target, "days": tier.window_days}
        for tier in terms.tiers[:MOST_TIERS]
    )
    more = ", …" if len(terms.tiers) > MOST_TIERS else ""
    return _("Each tier reaches its target: %s.") % f"{tiers}{more}"


def _success(terms: Terms) -> str:
    if terms.success_target is None:
        return _("The policy asks for no success rate.")
    return _("At least %d %% of completed restore sessions end with Success.") % terms.success_target


def _rto(terms: Terms) -> str:
    if terms.rto_target is None or not any(tier.rto_minutes for tier in terms.tiers):
        return _("The policy asks for no share within an RTO.")
    return (
        _("At least %d %% of each tier’s successful whole-VM restores end within its RTO.") % terms.rto_target
    )


def _follow_up(terms: Terms, required: Requirements) -> str:
    if terms.follow_up_days is None:
        return _("The policy asks for no follow-up.")
    rule = (
        ngettext(
            "Each restore session without Success is acknowledged within %d day.",
            "Each restore session without Success is acknowledged within %d days.",
            terms.follow_up_days,
        )
        % terms.follow_up_days
    )
    waiting = required.follow_up.waiting
    if not waiting:
        return rule
    still = ngettext("%s still has time.", "%s still have time.", waiting) % number_text(waiting)
    return f"{rule} {still}"
