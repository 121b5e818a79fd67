"""The requirements of a policy beside coverage: success rate, durations against RTO, follow-up of failures.

Each says n of N, its target and its judgement. Where data of the period are missing, a share says nothing in either
direction: it is inconclusive (rule 10 and "a verdict never rests on data we do not have").
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.functions import Coalesce

from restorereports.models import Outcome, RestoreSessionNote
from restorereports.models.among import among
from restorereports.models.counts import by_outcome
from restorereports.models.restore_session import RestoreSessionQuerySet

from .coverage import Coverage, Judgement, reaches, together
from .terms import WHOLE_VM, Terms

WITHOUT_SUCCESS: Final = (Outcome.FAILED, Outcome.WARNING, Outcome.NO_RESULT, Outcome.OTHER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """n of `whole`; `target` in percent, None where the policy asks for none: then nothing is judged."""

    n: int
    whole: int
    target: int | None
    judgement: Judgement


@dataclass(frozen=True, kw_only=True, slots=True)
class RtoTier:
    """Passed whole-VM restores of the period of the tier's VMs that have a duration; `met` within `rto_minutes`."""

    tier: str
    rto_minutes: int | None
    met: int
    measured: int
    judgement: Judgement


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUp:
    """`share`: acknowledged in time, of those whose time is over or who were. `waiting` still have time.

    Time counts from the end of the restore session, or its start where EM gave no end.
    """

    share: Share
    waiting: int
    late: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """The four lines of a report, and all of them together."""

    coverage: Share
    success: Share
    rto: Share
    rto_tiers: tuple[RtoTier, ...]
    follow_up: FollowUp
    judgement: Judgement


def requirements(
    terms: Terms, covered: Coverage, rows: RestoreSessionQuerySet, *, complete: bool, as_of: datetime
) -> Requirements:
    """`rows`: the period's restore sessions; `complete`: whether all of them are here."""
    tested = covered.total("tested")
    over_all = Share(n=tested, whole=covered.total("measured"), target=None, judgement=covered.judgement)
    success = _success(terms, rows, complete=complete)
    tiers = rto_tiers(terms, covered, rows, complete=complete)
    rto = Share(
        n=sum(one.met for one in tiers if one.rto_minutes),
        whole=sum(one.measured for one in tiers if one.rto_minutes),
        target=terms.rto_target,
        judgement=together(one.judgement for one in tiers),
    )
    followed = follow_up(terms, rows, complete=complete, as_of=as_of)
    judged = together([over_all.judgement, success.judgement, rto.judgement, followed.share.judgement])
    return Requirements(
        coverage=over_all, success=success, rto=rto, rto_tiers=tiers, follow_up=followed, judgement=judged
    )


def judged_share(n: int, whole: int, target: int | None, *, complete: bool) -> Judgement:
    if target is None or not whole:
        return Judgement.NOTHING
    if not complete:
        return Judgement.INCONCLUSIVE
    return Judgement.MET if reaches(n, whole, target) else Judgement.NOT_MET


def _success(terms: Terms, rows: RestoreSessionQuerySet, *, complete: bool) -> Share:
    counts = by_outcome(rows)
    judgement = judged_share(counts.success, counts.completed, terms.success_target, complete=complete)
    return Share(n=counts.success, whole=counts.completed, target=terms.success_target, judgement=judgement)


def rto_tiers(
    terms: Terms, covered: Coverage, rows: RestoreSessionQuerySet, *, complete: bool
) -> tuple[RtoTier, ...]:
    """By tier; restores of VMs that are in scope no more count in no tier."""
    found = {
        tier.name: _within(rto_rows(rows, _vms(covered, tier.name)), tier.rto_minutes) for tier in terms.tiers
    }
    return tuple(
        RtoTier(
            tier=tier.name,
            rto_minutes=tier.rto_minutes,
            met=found[tier.name][0],
            measured=found[tier.name][1],
            judgement=judged_share(
                *found[tier.name],
                terms.rto_target if tier.rto_minutes else None,
                complete=complete,
            ),
        )
        for tier in terms.tiers
    )


def rto_rows(rows: RestoreSessionQuerySet, virtual_machines: Collection[int]) -> RestoreSessionQuerySet:
    """What an RTO is measured on: successful whole-VM restores of these VMs with a usable duration (rule 11)."""
    passed = rows.filter(outcome=Outcome.SUCCESS, job_type=WHOLE_VM, duration_ms__gte=0)
    return passed.filter(virtual_machine__in=among(virtual_machines))


def _vms(covered: Coverage, tier: str) -> list[int]:
    return [line.vm_id for line in covered.lines if line.tier == tier and line.vm_id]


def _within(rows: RestoreSessionQuerySet, rto_minutes: int | None) -> tuple[int, int]:
    """(n within the RTO, N)."""
    limit = -1 if rto_minutes is None else rto_minutes * 60_000
    found = rows.order_by().aggregate(n=Count("pk"), met=Count("pk", filter=Q(duration_ms__lte=limit)))
    return found["met"], found["n"]


def follow_up(terms: Terms, rows: RestoreSessionQuerySet, *, complete: bool, as_of: datetime) -> FollowUp:
    """Restore sessions that completed without success, by whether somebody acknowledged them in time."""
    found: Any = rows.filter(outcome__in=WITHOUT_SUCCESS).order_by()
    whole = found.count()
    if terms.follow_up_days is None:
        nothing = Share(n=0, whole=whole, target=None, judgement=Judgement.NOTHING)
        return FollowUp(share=nothing, waiting=0, late=0)
    time = timedelta(days=terms.follow_up_days)
    ended = _ended(time)
    in_time = RestoreSessionNote.objects.filter(
        restore_session=OuterRef("pk"), acknowledges=True, at__lte=OuterRef("due_at"), at__lt=as_of
    )
    annotated = found.annotate(due_at=ended)
    n = annotated.filter(Exists(in_time)).count()
    waiting = annotated.filter(~Exists(in_time), due_at__gt=as_of).count()
    late = whole - n - waiting
    judgement = judged_share(n, n + late, 100, complete=complete)
    return FollowUp(
        share=Share(n=n, whole=n + late, target=100, judgement=judgement), waiting=waiting, late=late
    )


def _ended(time: timedelta) -> ExpressionWrapper:
    return ExpressionWrapper(Coalesce(F("ended_at"), F("started_at")) + time, output_field=DateTimeField())
