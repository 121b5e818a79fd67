"""The population counted by hand, against the verdicts and requirements of the policy."""

from __future__ import annotations

from datetime import date

import pytest

from restorereports.models import SYSTEM, BackupServerSource, Inventory, Limited, RestoreSessionScope
from restorereports.models.counts import by_outcome
from restorereports.models.grant import resolved
from restorereports.policies.coverage import Coverage, coverage
from restorereports.policies.requirements import requirements
from restorereports.policies.terms import read_terms
from tests import golden
from tests.factories import make_restore_session
from tests.golden import AS_OF, END, TERMS, WHOLE, ZONE, Golden, make_golden

pytestmark = pytest.mark.django_db


@pytest.fixture
def population() -> Golden:
    return make_golden()


def covered(population: Golden, scope: RestoreSessionScope = WHOLE, **values: object) -> Coverage:
    values = {"at": END, "zone": ZONE, "reader": SYSTEM, "as_of": AS_OF} | values
    return coverage(population.version, scope=scope, **values)  # type: ignore[arg-type]


def test_each_vm_has_the_verdict_that_the_hand_gave_it(population: Golden) -> None:
    found: dict[str, list[str]] = {}
    for line in covered(population).lines:
        found.setdefault(line.verdict, []).append(line.name)

    assert {verdict: sorted(names) for verdict, names in found.items()} == {
        verdict: sorted(names) for verdict, names in golden.VERDICTS.items()
    }


def test_each_tier_has_the_figures_of_the_hand(population: Golden) -> None:
    tiers = {
        tier.name: (
            tier.in_scope,
            tier.tested,
            tier.measured,
            tier.judgement,
            tier.below_on and str(tier.below_on),
        )
        for tier in covered(population).tiers
    }

    assert tiers == golden.TIERS


def test_what_is_protected_and_not_in_scope_is_counted_apart(population: Golden) -> None:
    found = covered(population)

    assert (found.protected, found.excluded, found.unplaced, found.listed_only) == (26, 1, 0, 1)
    assert found.total("in_scope") == found.protected - found.excluded + found.listed_only
    assert (found.read, found.unread, found.judgement) == (2, (), "not_met")


def test_a_line_says_what_its_verdict_rests_on(population: Golden) -> None:
    lines = {line.name: line for line in covered(population).lines}

    overdue, exempt = lines["gold-02"], lines["gold-09"]
    assert (overdue.due, overdue.age_days, overdue.last_type) == (date(2028, 3, 31), 31, "RestoreVm")
    assert overdue.last_uid == population.rows["gold-02"].uid
    assert (exempt.exempt_reason, exempt.exempt_approver) == ("Decommissioned in summer", "A. Auditor")
    assert (lines["gold-03"].owner, lines["listed-unknown"].label) == ("C. Specimen", "core")
    assert lines["c-01"].due == date(2028, 10, 30)
    assert lines["s-02"].due == date(2028, 5, 29)
    assert lines["listed-unknown"].vm_id is None


def test_the_worst_come_first_tier_by_tier(population: Golden) -> None:
    names = [line.name for line in covered(population).lines]

    assert names[:3] == ["gold-02", "gold-04", "gold-05"]
    assert names.index("s-03") < names.index("c-02") < names.index("gold-01")


def test_the_outcomes_are_those_of_the_hand(population: Golden) -> None:
    counts = by_outcome(WHOLE.rows(SYSTEM))

    assert {name: getattr(counts, name) for name in golden.COUNTS} == golden.COUNTS


def test_the_requirements_are_those_of_the_hand(population: Golden) -> None:
    scope = population.complete_scope

    found = requirements(TERMS, covered(population, scope), scope.rows(SYSTEM), complete=True, as_of=AS_OF)

    assert (found.success.n, found.success.whole, found.success.judgement) == (*golden.SUCCESS, "not_met")
    assert {one.tier: (one.met, one.measured) for one in found.rto_tiers} == golden.RTO
    assert [one.judgement for one in found.rto_tiers] == ["not_met", "met", "nothing"]
    assert (found.rto.n, found.rto.whole, found.rto.judgement) == (8, 9, "not_met")
    followed = found.follow_up
    assert (followed.share.n, followed.share.whole, followed.waiting) == golden.FOLLOW_UP
    assert (followed.late, followed.share.judgement, found.judgement) == (3, "not_met", "not_met")


def test_a_period_with_a_gap_makes_shares_inconclusive_and_keeps_coverage(population: Golden) -> None:
    found = requirements(TERMS, covered(population), WHOLE.rows(SYSTEM), complete=False, as_of=AS_OF)

    shares = (found.success, found.rto, found.follow_up.share)
    assert [share.judgement for share in shares] == ["inconclusive"] * 3
    assert (found.coverage.judgement, found.judgement) == ("not_met", "not_met")


def test_who_was_granted_one_server_is_told_of_that_one_alone(population: Golden) -> None:
    reader = Limited(resolved((), [population.b.pk]))

    found = covered(population, reader=reader)

    assert {line.name for line in found.lines} == {"s-01", "s-02", "s-03", "s-04"}
    assert found.total("in_scope") == found.protected == 4


def test_a_machine_of_the_list_that_nobody_saw_is_left_out_of_a_narrower_scope(population: Golden) -> None:
    found = covered(population, population.complete_scope)

    assert "listed-unknown" not in {line.name for line in found.lines}
    assert (found.tiers[0].in_scope, found.tiers[0].measured) == (18, 16)


def test_without_a_reading_of_the_restore_points_nothing_is_met(population: Golden) -> None:
    before = golden.at(3, 1, year=2027)

    found = covered(population, at=before)

    assert (found.read, found.unread) == (0, ("em-1", "em-2"))
    assert {tier.judgement for tier in found.tiers} == {"inconclusive"}


def test_another_version_of_the_terms_is_previewed_without_being_saved(population: Golden) -> None:
    wider = read_terms(population.version.terms | {"warning_passes": True, "classes": ["", "test", "real"]})

    found = covered(population, terms=wider)

    verdicts = {line.name: line.verdict for line in found.lines}
    assert (verdicts["gold-06"], verdicts["gold-08"]) == ("due_soon", "due_soon")


def test_the_number_of_queries_does_not_grow_with_the_vms(
    population: Golden, django_assert_max_num_queries
) -> None:
    with django_assert_max_num_queries(26):
        covered(population)


def test_what_was_there_when_reading_began_is_not_new(population: Golden) -> None:
    """Its older restore points may be gone: the oldest that is left does not say since when it is protected."""
    Inventory._base_manager.filter(at__lt=golden.at(3, 25)).update(at=golden.at(3, 25))

    verdicts = {line.name: line.verdict for line in covered(population).lines}

    assert (verdicts["gold-11"], verdicts["gold-12"]) == ("never", "met")


def test_a_backup_server_that_came_later_brings_no_new_vms(population: Golden) -> None:
    BackupServerSource.objects.filter(backup_server=population.a).update(first_seen_at=golden.at(3, 25))

    verdicts = {line.name: line.verdict for line in covered(population).lines}

    assert verdicts["gold-11"] == "never"


def test_what_was_restored_before_its_first_restore_point_is_not_new(population: Golden) -> None:
    make_restore_session(population.a, vm_name="gold-11", session_class="test", started_at=golden.at(1, 5))

    verdicts = {line.name: line.verdict for line in covered(population).lines}

    assert verdicts["gold-11"] == "overdue"
