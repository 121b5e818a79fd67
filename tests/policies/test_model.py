"""Random populations: the coverage out of the database equals a model that knows nothing but plain lists."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restorereports.models import SYSTEM, BackupServerSource, Exemption, RestoreSessionScope, VirtualMachine
from restorereports.policies.coverage import Coverage, coverage
from restorereports.policies.terms import Rule, Terms, Tier
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_policy,
    make_presence,
    make_reconciliation,
    make_restore_session,
    make_run,
    make_user,
)
from tests.sizes import examples

ZONES = ("Europe/Berlin", "UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Auckland")
HOUR = timedelta(hours=1)
FIRST = datetime(2027, 1, 1, tzinfo=UTC)
HOURS = 24 * 120  # the days of the stories


@dataclass
class Story:
    """Hours count from FIRST. One list entry a thing; VMs are numbers, those from 2 on live on the second server."""

    zone: str
    end_day: int
    windows: tuple[int, int]
    targets: tuple[int, int]
    grace: int
    soon: int
    restores: list[tuple[int, int, str, str, str]]  # VM, hour, result, type, class
    protected: dict[int, tuple[int, int | None]]
    exempt: list[tuple[int, int, int]]  # VM, given, length
    gaps: list[tuple[int, int, int]] = field(default_factory=list)  # server, from, length

    @property
    def end(self) -> datetime:
        zone = zoneinfo.ZoneInfo(self.zone)
        return datetime(2027, 1, 1, tzinfo=zone) + timedelta(days=self.end_day)


def hours(least: int = 0) -> st.SearchStrategy[int]:
    return st.integers(least, HOURS)


stories = st.builds(
    Story,
    zone=st.sampled_from(ZONES),
    end_day=st.integers(70, 119),
    windows=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    targets=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    grace=st.integers(0, 40),
    soon=st.integers(0, 40),
    restores=st.lists(
        st.tuples(
            st.integers(0, 3),
            hours(),
            st.sampled_from(["Success"] * 4 + ["Failed", "Warning", "None"]),
            st.sampled_from(["RestoreVm"] * 4 + ["FileLevelRestore"]),
            st.sampled_from(["test", "real", ""]),
        ),
        max_size=10,
    ),
    protected=st.dictionaries(
        st.integers(0, 3), st.tuples(hours(), st.none() | st.integers(1, HOURS)), min_size=1
    ),
    exempt=st.lists(st.tuples(st.integers(0, 3), hours(), st.integers(1, HOURS)), max_size=2),
    gaps=st.lists(st.tuples(st.integers(0, 1), hours(), st.integers(1, 24 * 40)), max_size=2),
)


def hour(n: int) -> datetime:
    return FIRST + n * HOUR


def expected(story: Story) -> dict[int, str]:
    """VM -> verdict, by the words of the rules."""
    zone, end = zoneinfo.ZoneInfo(story.zone), story.end
    verdicts = {}
    for vm, (since, length) in story.protected.items():
        if not (hour(since) <= end and (length is None or hour(since + length) > end)):
            continue
        window = story.windows[vm % 2]
        first_day = (end - timedelta(days=window)).date()
        counting = [
            hour(at)
            for number, at, result, kind, class_ in story.restores
            if (number, result, kind) == (vm, "Success", "RestoreVm") and class_ and hour(at) < end
        ]
        last = max(counting, default=None)
        if any(one == vm and hour(at) < end <= hour(at + n) for one, at, n in story.exempt):
            verdicts[vm] = "exempt"
        elif last and last.astimezone(zone).date() >= first_day:
            left = (last.astimezone(zone).date() + timedelta(days=window) - end.date()).days
            verdicts[vm] = "due_soon" if left < story.soon else "met"
        elif hour(since).astimezone(zone).date() >= (end - timedelta(days=story.grace)).date() and not (
            last and last.astimezone(zone).date() < (end - timedelta(days=story.grace)).date()
        ):
            verdicts[vm] = "new"
        elif any(
            server == vm // 2
            and hour(at) < end
            and hour(at + n).astimezone(zone).date() >= first_day
            and hour(at + n) > datetime(first_day.year, first_day.month, first_day.day, tzinfo=zone)
            for server, at, n in story.gaps
        ):
            verdicts[vm] = "inconclusive"
        else:
            verdicts[vm] = "overdue" if last else "never"
    return verdicts


def tell(story: Story) -> Coverage:
    em = make_enterprise_manager(covered_from_at=FIRST - timedelta(days=999))
    servers = [make_backup_server(em), make_backup_server(em)]
    BackupServerSource.objects.filter(enterprise_manager=em).update(
        covered_from_at=em.covered_from_at, first_seen_at=FIRST - HOUR
    )
    make_inventory(make_run(em, started_at=FIRST - HOUR))
    person = make_user()
    for vm, (since, length) in story.protected.items():
        to_at = None if length is None else hour(since + length)
        make_presence(servers[vm // 2], em, f"vm{vm}", hour(since), to_at=to_at)
    for vm, at, result, kind, class_ in story.restores:
        make_restore_session(
            servers[vm // 2], enterprise_manager=em, vm_name=f"vm{vm}", started_at=hour(at), result=result,
            job_type=kind, session_class=class_,
        )  # fmt: skip
    terms = Terms(
        tiers=(
            Tier(name="A", window_days=story.windows[0], target=story.targets[0],
                 rules=(Rule(name="vm0"), Rule(name="VM2"))),
            Tier(name="B", window_days=story.windows[1], target=story.targets[1]),
        ),
        other_tier="B",
        grace_days=story.grace,
        due_soon_days=story.soon,
    )  # fmt: skip
    version = make_policy(terms)
    for vm, at, n in story.exempt:
        machine = VirtualMachine.objects.filter(name=f"vm{vm}", backup_server=servers[vm // 2]).first()
        if machine:
            Exemption.objects.create(
                policy=version.policy, virtual_machine=machine, reason="-", approver="-",
                given_at=hour(at), given_by=person, expires_at=hour(at + n),
            )  # fmt: skip
    closing = make_run(em, started_at=hour(HOURS * 2))
    for server, at, n in story.gaps:
        make_gap(em, hour(at), to_at=hour(at + n), run=closing, backup_server=servers[server])
    last = make_full_run(em, started_at=hour(HOURS * 2) + HOUR)
    make_reconciliation(last)
    return coverage(
        version,
        at=story.end,
        zone=zoneinfo.ZoneInfo(story.zone),
        scope=RestoreSessionScope(),
        reader=SYSTEM,
        as_of=hour(HOURS * 2) + 2 * HOUR,
    )


@pytest.mark.django_db
@settings(max_examples=examples(20), suppress_health_check=list(HealthCheck), deadline=None)
@given(story=stories)
def test_every_verdict_equals_the_models_and_every_sum_adds_up(story: Story) -> None:
    with transaction.atomic():
        found = tell(story)
        transaction.set_rollback(True)

    assert {int(line.name[2:]): line.verdict.value for line in found.lines} == expected(story)
    for tier in found.tiers:
        own = [line.verdict for line in found.lines if line.tier == tier.name]
        assert (
            tier.in_scope
            == len(own)
            == (tier.tested + tier.overdue + tier.never + tier.inconclusive + tier.new + tier.exempt)
        )
        if tier.measured:
            met = Fraction(tier.tested, tier.measured) >= Fraction(tier.target, 100)
            assert (tier.judgement == "met") == met
        else:
            assert tier.judgement == "nothing"


@pytest.mark.django_db
@settings(max_examples=examples(20), suppress_health_check=list(HealthCheck), deadline=None)
@given(story=stories)
def test_the_forecast_is_the_first_day_that_coverage_says_itself(story: Story) -> None:
    """What `below_on` foretells is what coverage finds on that day, and not the day before, if nobody restores."""
    with transaction.atomic():
        found = tell(story)
        transaction.set_rollback(True)

    for tier in found.tiers:
        if tier.judgement != "met":
            assert tier.below_on is None
            continue
        dues = [
            line.due for line in found.lines if line.tier == tier.name and line.verdict in ("met", "due_soon")
        ]
        assert tier.below_on is not None

        def left(day: object, dues: list = dues) -> int:
            return sum(1 for due in dues if due >= day)

        assert left(tier.below_on) * 100 < tier.target * tier.measured
        assert left(tier.below_on - timedelta(days=1)) * 100 >= tier.target * tier.measured
