"""What a policy may say, and what is refused with which sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from restorereports.policies.presets import PRESETS
from restorereports.policies.terms import (
    MOST_TIERS,
    Machine,
    Rule,
    Terms,
    TermsError,
    Tier,
    canonical,
    check,
    plain_terms,
    read_terms,
    sha256_of,
)
from restorereports.policies.tiers import fits, placer
from tests.golden import TERMS

ONE = Tier(name="All", window_days=90, target=95)


def test_terms_come_back_from_json_as_they_were() -> None:
    assert read_terms(plain_terms(TERMS)) == TERMS


def test_the_hash_is_of_what_is_said_and_not_of_how() -> None:
    shuffled = dict(reversed(plain_terms(TERMS).items()))

    assert sha256_of(read_terms(shuffled)) == sha256_of(TERMS)
    assert sha256_of(replace(TERMS, grace_days=31)) != sha256_of(TERMS)
    assert canonical(TERMS).startswith('{"classes":["test","real"],"content_checked":false')


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_each_preset_is_a_policy_that_names_its_controls(preset: Any) -> None:
    terms = preset.terms()

    check(terms)
    assert (terms.longest_window, str(terms.longest_window), bool(terms.controls)) == (
        preset.days,
        preset.key,
        True,
    )
    assert placer(terms)("any", "server").tier == "All VMs"


@pytest.mark.parametrize(
    ("terms", "sentence"),
    [
        (Terms(tiers=()), "A policy needs at least one tier."),
        (Terms(tiers=(ONE,) * (MOST_TIERS + 1)), "A policy has at most 12 tiers."),
        (Terms(tiers=(ONE, ONE)), "Two tiers are called “All”"),
        (Terms(tiers=(replace(ONE, name=" "),)), "Each tier needs a name"),
        (Terms(tiers=(replace(ONE, window_days=0),)), "The window of tier “All” must be 1 to 1096 days."),
        (Terms(tiers=(replace(ONE, target=0),)), "The target of tier “All” must be 1 to 100 percent."),
        (Terms(tiers=(replace(ONE, target=101),)), "The target of tier “All” must be 1 to 100 percent."),
        (Terms(tiers=(replace(ONE, rto_minutes=0),)), "The RTO of tier “All” must be 1 minute to 30 days."),
        (Terms(tiers=(ONE,), other_tier="None"), "The tier “None” for all other VMs does not exist."),
        (Terms(tiers=(replace(ONE, rules=(Rule(),)),)), "A rule needs a name pattern"),
        (Terms(tiers=(ONE,), exclude=(Rule(),)), "A rule needs a name pattern"),
        (Terms(tiers=(ONE,), exclude=(Rule(name="x" * 201),)), "at most 200 characters"),
        (Terms(tiers=(ONE,), exclude=(Rule(name="x"),) * 201), "at most 200 rules"),
        (Terms(tiers=(ONE,), machines=(Machine(name=""),)), "needs a name"),
        (Terms(tiers=(ONE,), machines=(Machine(name="a", tier="B"),)), "“a” into the tier “B”"),
        (Terms(tiers=(ONE,), machines=(Machine(name="a"), Machine(name="a"))), "names “a” twice"),
        (Terms(tiers=(ONE,), job_types=()), "at least one type"),
        (Terms(tiers=(ONE,), classes=()), "at least one class"),
        (Terms(tiers=(ONE,), classes=("drill",)), "“drill” is no class"),
        (Terms(tiers=(ONE,), grace_days=-1), "The grace for new VMs"),
        (Terms(tiers=(ONE,), due_soon_days=400), "“Due soon”"),
        (Terms(tiers=(ONE,), success_target=0), "success rate"),
        (Terms(tiers=(ONE,), rto_target=101), "within the RTO"),
        (Terms(tiers=(ONE,), follow_up_days=0), "days to acknowledge in"),
    ],
)
def test_what_no_policy_can_say_is_refused_with_what_to_do(terms: Terms, sentence: str) -> None:
    with pytest.raises(TermsError, match=sentence):
        check(terms)


@pytest.mark.parametrize("plain", [{}, {"tiers": 3}, {"tiers": [{"name": "A"}]}, [], "x", None])
def test_what_is_no_policy_at_all_is_refused_with_the_place(plain: Any) -> None:
    with pytest.raises(TermsError, match="cannot be read at"):
        read_terms(plain)


@pytest.mark.parametrize(
    ("rule", "yes", "no"),
    [
        (Rule(name="gold-*"), ("GOLD-1", "any", ""), ("silver-1", "any", "")),
        (Rule(name="db?"), ("db1", "any", ""), ("db12", "any", "")),
        (Rule(name="vm[1]*"), ("vm[1]x", "any", ""), ("vm1x", "any", "")),
        (Rule(name="STRASSE"), ("straße", "any", ""), ("strase", "any", "")),
        (Rule(backup_server="vbr-*"), ("x", "VBR-1", ""), ("x", "other", "")),
        (Rule(label="Core"), ("x", "y", "core"), ("x", "y", "")),
        (Rule(name="a*", backup_server="b*"), ("a", "b", ""), ("a", "c", "")),
        (Rule(name="line\nbreak"), ("line\nbreak", "", ""), ("line", "", "")),
    ],
)
def test_a_rule_fits_all_that_it_gives(rule: Rule, yes: tuple[str, ...], no: tuple[str, ...]) -> None:
    assert fits(rule, *yes)
    assert not fits(rule, *no)


def test_the_list_comes_before_the_rules_and_an_exclusion_before_both() -> None:
    terms = Terms(
        tiers=(replace(ONE, name="A", rules=(Rule(name="x*"), Rule(label="core"))), replace(ONE, name="B")),
        exclude=(Rule(label="lab"),),
        machines=(
            Machine(name="x1", tier="B"),
            Machine(name="x1", backup_server="s", tier="A"),
            Machine(name="y", label="core"),
            Machine(name="z", tier="A", label="LAB"),
        ),
    )
    place = placer(terms)

    assert (place("x1", "other").tier, place("x1", "s").tier) == ("B", "A")
    assert (place("x2", "s").tier, place("x2", "s").rule) == ("A", 1)
    assert (place("y", "s").tier, place("y", "s").rule) == ("A", 2)
    assert (place("z", "s").tier, place("z", "s").excluded) == ("", True)
    assert (place("other", "s").tier, place("other", "s").excluded) == ("", False)
