"""The figures of a report against a policy: the hand's, and refused as soon as two of them contradict each other."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from restorereports.models import SYSTEM, ClassChange
from restorereports.policies.coverage import Coverage
from restorereports.reports import coverage_csv
from restorereports.reports.cross_foot import CrossFootError, cross_foot
from restorereports.reports.figures import Figures, gather_with_coverage
from restorereports.reports.policy_figures import PolicyFigures
from tests import golden
from tests.factories import make_change, make_run, make_user
from tests.golden import AS_OF, WHOLE, ZONE, Golden, make_golden

pytestmark = pytest.mark.django_db


@pytest.fixture
def population() -> Golden:
    return make_golden()


def gathered(population: Golden, **values: Any) -> tuple[Figures, Coverage]:
    values = {
        "scope": WHOLE,
        "zone": ZONE,
        "as_of": AS_OF,
        "reader": SYSTEM,
        "policy_version": population.version,
    } | values
    figures, covered = gather_with_coverage(**values)
    assert covered is not None
    return figures, covered


def judged(figures: Figures) -> PolicyFigures:
    assert figures.policy is not None
    return figures.policy


def test_the_figures_are_those_of_the_hand(population: Golden) -> None:
    figures, _covered = gathered(population)
    found = judged(figures)

    assert {name: getattr(figures.counts, name) for name in golden.COUNTS} == golden.COUNTS
    assert {
        tier.name: (
            tier.in_scope,
            tier.tested,
            tier.measured,
            tier.judgement,
            tier.below_on and str(tier.below_on),
        )
        for tier in found.tiers
    } == golden.TIERS
    required = found.requirements
    assert (required.success.n, required.success.whole) == golden.SUCCESS
    assert {line.tier: (line.met, line.spread.n) for line in found.rto} == golden.RTO
    follow_up = required.follow_up
    assert (follow_up.share.n, follow_up.share.whole, follow_up.waiting) == golden.FOLLOW_UP
    assert figures.carried_in.listing.total == golden.CARRIED_IN
    assert figures.sessions.total == len(figures.sessions.lines) == 22


def test_a_gap_in_the_period_makes_the_shares_inconclusive(population: Golden) -> None:
    whole = judged(gathered(population)[0]).requirements
    complete = judged(gathered(population, scope=population.complete_scope)[0]).requirements

    assert (whole.success.judgement, whole.rto.judgement) == ("inconclusive", "inconclusive")
    assert (complete.success.judgement, complete.rto.judgement) == ("not_met", "not_met")


def test_the_largest_risks_are_of_the_highest_tier(population: Golden) -> None:
    found = judged(gathered(population)[0])

    assert [line.name for line in found.risks] == ["gold-02", "gold-04", "gold-05"]
    assert [line.name for line in found.exemptions] == ["gold-09"]


def test_durations_are_told_by_tier_with_what_missed_the_rto(population: Golden) -> None:
    gold, silver, bronze = judged(gathered(population)[0]).rto

    minute = 60_000
    assert (gold.spread.median_ms, gold.spread.p95_ms, gold.spread.longest_ms) == (
        31 * minute,
        61 * minute,
        61 * minute,
    )
    assert [(miss.vm_name, miss.duration_ms) for miss in gold.misses] == [("gold-02", 61 * minute)]
    assert (silver.spread.values_ms, silver.spread.median_ms) == ((31 * minute, 31 * minute), None)
    assert (bronze.spread.n, bronze.misses_total, bronze.judgement) == (0, 0, "nothing")


def test_every_month_says_what_coverage_was_at_its_end(population: Golden) -> None:
    months = judged(gathered(population)[0]).months

    assert [str(month.first) for month in months][0::12] == ["2027-03-01", "2028-03-01"]
    assert [month.no_data for month in months] == [True, *[False] * 12]
    assert (months[-1].tested, months[-1].measured) == (10, 24)


def test_the_period_before_is_judged_by_the_same_terms(population: Golden) -> None:
    previous = judged(gathered(population)[0]).previous

    assert not previous.no_data
    assert (previous.requirements.success.n, previous.requirements.success.whole) == (2, 2)


def test_the_csv_has_every_vm_of_the_list(population: Golden) -> None:
    _figures, covered = gathered(population)

    rows = list(csv.DictReader(coverage_csv.lines(covered)))

    assert tuple(rows[0]) == coverage_csv.COLUMNS
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["verdict"], []).append(row["vm_name"])
    assert {name: sorted(names) for name, names in found.items()} == {
        name: sorted(names) for name, names in golden.VERDICTS.items()
    }
    overdue = next(row for row in rows if row["vm_name"] == "gold-02")
    assert (overdue["due"], overdue["last_qualifying_at"]) == ("2028-03-31", "2028-03-01T22:59:59.999Z")


def test_a_cell_that_would_be_a_formula_is_defused_on_request(population: Golden) -> None:
    _figures, covered = gathered(population)
    worst = replace(covered.lines[0], name="=cmd|' /C calc'!A0")
    covered = replace(covered, lines=(worst, *covered.lines[1:]))

    plain, safe = (list(coverage_csv.lines(covered, spreadsheet_safe=safe))[1] for safe in (False, True))

    assert ",=cmd" in plain
    assert ",'=cmd" in safe


def test_notes_and_acknowledgements_stand_beside_what_failed(population: Golden) -> None:
    lines = {line.vm_name: line for line in gathered(population)[0].unsuccessful.listing.lines}

    assert (lines["gold-08"].note, lines["gold-08"].session_class) == ("Looked at gold-08", "test")
    assert lines["gold-08"].acknowledged_by == population.person.shown_name
    assert (lines["gold-05"].note, lines["gold-05"].acknowledged_at) == ("", None)


def test_what_was_reclassified_or_altered_is_told(population: Golden) -> None:
    row, person = population.rows["gold-06"], make_user(first_name="B.", last_name="Sample")
    ClassChange.objects.create(
        restore_session=row, before="test", after="", reason="Wrong rule", at=AS_OF, by=person
    )
    run = make_run(population.em_1)
    make_change(row, run, fields={"state": ["Working", "Stopped"]})
    make_change(row, run, fields={"result": ["Warning", "Success"]}, kept={"vm_name": ["a", "b"]})

    found = gathered(population)[0].exceptions

    (change,) = found.reclassified
    assert (change.vm_name, change.before, change.after, change.by, change.reason) == (
        "gold-06",
        "test",
        "",
        "B. Sample",
        "Wrong rule",
    )
    (altered,) = found.altered
    assert (altered.taken, altered.kept, altered.enterprise_manager) == (("result",), ("vm_name",), "em-1")
    assert (found.reclassified_total, found.altered_total, found.changes) == (1, 1, 2)


def test_each_vm_and_server_says_how_it_stands(population: Golden) -> None:
    figures, _covered = gathered(population)

    verdicts = {line.name: line.verdict for line in figures.virtual_machines.lines}
    assert (verdicts["gold-02"], verdicts["tmp-15"], verdicts["gold-16"]) == ("overdue", "", "")
    servers = {line.name: line for line in figures.servers.lines}
    assert (servers["vbr-a"].reconciled, servers["vbr-a"].collector_silent) == (True, False)
    assert servers["vbr-a"].last_sync_at is not None


def test_without_a_policy_there_are_no_verdicts(population: Golden) -> None:
    figures, covered = gather_with_coverage(scope=WHOLE, zone=ZONE, as_of=AS_OF, reader=SYSTEM)

    assert (figures.policy, covered) == (None, None)
    assert {line.verdict for line in figures.virtual_machines.lines} == {""}


def with_tier(figures: PolicyFigures, **values: Any) -> PolicyFigures:
    return replace(figures, tiers=(replace(figures.tiers[0], **values), *figures.tiers[1:]))


def with_required(figures: PolicyFigures, name: str, **values: Any) -> PolicyFigures:
    required = figures.requirements
    return replace(
        figures, requirements=replace(required, **{name: replace(getattr(required, name), **values)})
    )


def with_rto(figures: PolicyFigures, **values: Any) -> PolicyFigures:
    return replace(figures, rto=(replace(figures.rto[0], **values), *figures.rto[1:]))


WRONG: dict[str, tuple[Callable[[PolicyFigures], PolicyFigures], str]] = {
    "a tier's sum": (lambda f: with_tier(f, in_scope=20), "VMs in scope of tier Gold: 20, .*verdicts: 19"),
    "a verdict": (lambda f: with_tier(f, met=7, never=8), "the same in the list"),
    "the list": (lambda f: replace(f, lines_total=25), "VMs in scope: 26, the list of VMs.*: 25"),
    "the protected": (lambda f: replace(f, protected=27), "VMs in scope: 26, VMs protected.*: 27"),
    "the exemptions": (lambda f: replace(f, exemptions_total=2), "exempt VMs: 1, .*: 2"),
    "the coverage line": (
        lambda f: with_required(f, "coverage", n=9),
        "VMs tested: 10, the line of coverage: 9",
    ),
    "its denominator": (lambda f: with_required(f, "coverage", whole=9), "VMs measured: 24, .*: 9"),
    "the success line": (lambda f: with_required(f, "success", n=13), "Success: 14, .*: 13"),
    "its whole": (lambda f: with_required(f, "success", whole=19), "completed: 20, .*: 19"),
    "the follow-up": (lambda f: with_required(f, "follow_up", late=4), "completed without success: 6, .*: 7"),
    "the RTO line": (lambda f: with_required(f, "rto", n=7), "within the RTO: 7, .*: 8"),
    "its measured": (lambda f: with_required(f, "rto", whole=8), "measured against an RTO: 8, .*: 9"),
    "the misses": (lambda f: with_rto(f, misses_total=2), "measured in tier Gold: 7, .*: 8"),
    "the last month": (
        lambda f: replace(f, months=(*f.months[:-1], replace(f.months[-1], tested=11))),
        "VMs tested: 10, the last month of the trend: 11",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_report_whose_figures_contradict_each_other_is_refused(population: Golden, name: str) -> None:
    break_it, sentence = WRONG[name]
    figures, _covered = gathered(population)

    cross_foot(figures)
    with pytest.raises(CrossFootError, match=sentence):
        cross_foot(replace(figures, policy=break_it(judged(figures))))


def test_a_class_that_got_lost_is_found(population: Golden) -> None:
    figures, _covered = gathered(population)

    with pytest.raises(CrossFootError, match="the sum over the classes"):
        cross_foot(replace(figures, classes=figures.classes[:1]))
