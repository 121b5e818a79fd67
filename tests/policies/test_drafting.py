"""A change of a policy is a new version, told in words and on record; two people never overwrite each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from restorereports.audit import Actor
from restorereports.models import AuditEntry, Exemption, Policy, PolicyVersion, User
from restorereports.models.append_only import NeverChanged
from restorereports.policies.differences import differences
from restorereports.policies.drafting import NameTaken, PolicyMoved, add_policy, change_policy, reopen, retire
from restorereports.policies.exemptions import ExemptionRefused, give_exemption, withdraw_exemption
from restorereports.policies.presets import PRESETS
from restorereports.policies.terms import Machine, Rule, Terms, TermsError, Tier, read_terms, sha256_of
from tests.factories import START, make_backup_server, make_restore_session, make_user

pytestmark = pytest.mark.django_db
GOLD = Tier(name="Gold", window_days=90, target=98, rto_minutes=240, rules=(Rule(name="pay*"),))
REST = Tier(name="Rest", window_days=365, target=80)
TERMS = Terms(tiers=(GOLD, REST), other_tier="Rest")


def added(terms: Terms = TERMS, name: str = "Restore tests") -> PolicyVersion:
    return add_policy(name, terms, note="first", person=None, actor=Actor(), at=START)


def changed(policy: Policy, terms: Terms, **values: Any) -> PolicyVersion | None:
    values = {"based_on": 1, "name": policy.name, "note": "", "person": None, "actor": Actor()} | values
    return change_policy(policy, terms, at=START, **values)


def last_entry() -> AuditEntry:
    entry: AuditEntry = AuditEntry.objects.first()
    return entry


def test_a_policy_is_added_with_its_first_version() -> None:
    made = added()

    assert str(made) == f"{made.policy} v1"
    assert read_terms(made.terms) == TERMS
    assert made.terms_sha256 == sha256_of(TERMS)
    assert last_entry().details["terms_sha256"] == made.terms_sha256


def test_a_taken_name_is_refused_and_leaves_nothing() -> None:
    policy = added().policy
    other = added(name="Other").policy

    with pytest.raises(NameTaken, match="Restore tests"):
        added()
    with pytest.raises(NameTaken):
        changed(other, TERMS, name="Restore tests")

    assert Policy.objects.count() == 2
    assert policy.versions.count() == 1


def test_wrong_terms_make_no_version() -> None:
    policy = added().policy

    with pytest.raises(TermsError):
        changed(policy, Terms(tiers=()))

    assert policy.versions.count() == 1


def test_a_change_is_a_new_version_with_its_words_on_record() -> None:
    policy = added().policy
    new = Terms(
        tiers=(Tier(name="Gold", window_days=30, target=98, rto_minutes=240), REST), other_tier="Rest"
    )

    made = changed(policy, new, note="The auditor asks for it.")

    assert made is not None
    assert (made.number, policy.latest) == (2, made)
    assert last_entry().details == {
        "version": [1, 2],
        "terms_sha256": [sha256_of(TERMS), sha256_of(new)],
        "changes": ["Tier “Gold”, window, days: 90 → 30", "Tier “Gold”: rule removed: pay*"],
        "note": "The auditor asks for it.",
    }


def test_who_changes_an_older_version_is_refused() -> None:
    policy = added().policy
    changed(policy, Terms(tiers=(REST,)))

    with pytest.raises(PolicyMoved, match="Version 2"):
        changed(policy, Terms(tiers=(GOLD,)))

    assert policy.versions.count() == 2


def test_what_changes_nothing_makes_no_version_and_no_entry() -> None:
    policy = added().policy
    before = AuditEntry.objects.count()

    assert changed(policy, TERMS) is None
    assert AuditEntry.objects.count() == before
    assert changed(policy, TERMS, name="New name") is None
    assert last_entry().details == {"name": ["Restore tests", "New name"]}


def test_a_policy_is_retired_and_opened_again_once_each() -> None:
    policy = added().policy

    retire(policy, actor=Actor(), at=START)
    retire(policy, actor=Actor(), at=START)
    retired = Policy.objects.get().retired_at
    reopen(policy, actor=Actor())

    assert retired == START
    assert Policy.objects.get().retired_at is None
    assert [e.details for e in AuditEntry.objects.all()[:2]] == [
        {"retired": [True, False]},
        {"retired": [False, True]},
    ]


def test_differences_name_everything_that_changed() -> None:
    old = Terms(
        tiers=(GOLD, REST), machines=(Machine(name="a"), Machine(name="b")), exclude=(Rule(name="x"),)
    )
    new = Terms(
        tiers=(REST, Tier(name="Gold", window_days=90, target=99, rules=(Rule(name="pay*"), Rule(name="q")))),
        machines=(Machine(name="a", owner="me"), Machine(name="c")),
        warning_passes=True,
        classes=("test",),
        success_target=None,
    )

    assert differences(old, new) == [
        "Tier “Gold”, target, %: 98 → 99",
        "Tier “Gold”, RTO, minutes: 240 → none",
        "Tier “Gold”: rule added: q",
        "Order of the tiers: Rest, Gold",
        "Out of scope: rule removed: x",
        "Classes that count: Test, Real → Test",
        "An acknowledged Warning passes: no → yes",
        "Target of the success rate, %: 90 → none",
        "Machine list: 1 added (c)",
        "Machine list: 1 removed (b)",
        "Machine list: 1 changed (a)",
    ]
    assert differences(old, old) == []


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.key)
def test_each_preset_makes_a_policy(preset: Any) -> None:
    assert read_terms(added(preset.terms()).terms) == preset.terms()


def exempted(policy: Policy, person: User, **values: Any) -> Exemption:
    row = make_restore_session(make_backup_server())
    values = {"expires_at": START + timedelta(days=30), "vm": row.virtual_machine} | values
    return give_exemption(
        policy, reason="moving", approver="CISO", person=person, actor=Actor(), at=START, **values
    )


def test_an_exemption_is_given_withdrawn_once_and_never_deleted() -> None:
    policy, person = added().policy, make_user(User.Role.POLICY_OWNER)
    given = exempted(policy, person)

    assert last_entry().action == "exemption_given"
    with pytest.raises(ExemptionRefused, match="exempt already"):
        exempted(policy, person, vm=given.virtual_machine)
    withdraw_exemption(given, person=person, actor=Actor(), at=START + timedelta(days=1))
    with pytest.raises(ExemptionRefused, match="over already"):
        withdraw_exemption(given, person=person, actor=Actor(), at=START + timedelta(days=2))
    given.refresh_from_db()

    assert given.withdrawn_by == person
    assert last_entry().action == "exemption_withdrawn"
    with pytest.raises(NeverChanged):
        given.delete()


def test_an_exemption_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ExemptionRefused, match="ends after today"):
        exempted(added().policy, make_user(), expires_at=START)
