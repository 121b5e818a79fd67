"""The manifest says what the policy makes of the period, with each number counted by hand; without a policy nothing."""

from __future__ import annotations

import pytest

from tests import golden

from .issued import final, told
from .issued import written as written

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]


def test_it_holds_the_judgement_and_the_figures_of_the_golden_population() -> None:
    population = golden.make_golden()

    report = final(
        scope=golden.WHOLE,
        zone=golden.ZONE.key,
        policy_version=population.version,
        at=golden.AS_OF,
    )

    said = report.manifest["policy"]
    assert said["judgement"] == "not_met"
    in_scope, tested, measured = (sum(tier[i] for tier in golden.TIERS.values()) for i in range(3))
    assert [said["vms"][name] for name in ("in_scope", "tested", "measured")] == [in_scope, tested, measured]
    shares = {name: (one["n"], one["of"]) for name, one in said["requirements"].items()}
    assert shares["success"] == golden.SUCCESS
    assert shares["follow_up"] == golden.FOLLOW_UP[:2]
    vms = said["vms"]
    assert shares["coverage"] == (vms["tested"], vms["measured"])
    assert vms["tested"] == vms["met"] + vms["due_soon"]
    assert vms["measured"] == vms["in_scope"] - vms["exempt"] - vms["new"]
    parts = ("tested", "overdue", "never", "inconclusive", "new", "exempt")
    assert vms["in_scope"] == sum(vms[name] for name in parts)
    assert told() == []


def test_without_a_policy_it_judges_nothing() -> None:
    assert final().manifest["policy"] is None
