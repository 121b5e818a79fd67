"""What groups make of a person at each log-in, and that nobody becomes somebody else by a name."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from restorereports.audit import Actor, Via, faults
from restorereports.models import AuditEntry, EnterpriseManager, Grant, GroupRule, Identity, User
from restorereports.models.account import SYSTEM
from restorereports.sign_in.groups import Admission, Why, admit
from restorereports.sign_in.people import EVERYTHING, NOTHING, Sees, sees_of
from restorereports.sign_in.provider import Claims
from tests.factories import make_backup_server, make_enterprise_manager, make_user

Role = User.Role
JO = Claims(
    issuer="https://id.example.test",
    subject="subject-1",
    username="j.doe",
    name="Jo Doe",
    groups=("auditors",),
)


def rule(group: str, role: str, *ems: EnterpriseManager, **values: Any) -> GroupRule:
    made = GroupRule.objects.create(group=group, role=role, **values)
    made.enterprise_managers.set(ems)
    return made


def log_in(*groups: str, **changes: Any) -> Admission:
    claims = replace(JO, groups=groups, **changes)
    return admit(claims, actor=Actor(via=Via.WEB, address="192.0.2.1"), at=timezone.now())


def let_in(*groups: str, **changes: Any) -> User:
    user = log_in(*groups, **changes).user
    assert user is not None
    return User.objects.get(pk=user.pk)


def actions() -> list[str]:
    """Oldest first."""
    trail = AuditEntry.objects.visible_to(SYSTEM).order_by("number")
    return list(trail.values_list("action", flat=True))


def test_a_new_person_becomes_what_his_group_is(db: None) -> None:
    em = make_enterprise_manager()
    rule("auditors", Role.AUDITOR, em)

    user = let_in("auditors", "others")

    assert (user.username, user.shown_name, user.role) == ("j.doe", "Jo Doe", Role.AUDITOR)
    assert not user.has_usable_password()
    assert sees_of(user) == Sees(enterprise_managers=frozenset({em.pk}))
    assert list(user.grants.values_list("by_group", flat=True)) == [True]
    assert (user.identity.issuer, user.identity.subject) == ("https://id.example.test", "subject-1")
    assert user.identity.groups == ["auditors", "others"]
    assert actions() == ["person_added", "grants_changed"]


def test_nothing_new_writes_nothing_on_record(db: None) -> None:
    rule("auditors", Role.AUDITOR, make_enterprise_manager())
    first = let_in("auditors")

    again = let_in("auditors")

    assert (again.pk, again.sign_ins_end) == (first.pk, first.sign_ins_end)
    assert actions() == ["person_added", "grants_changed"]


def test_the_highest_role_counts_with_its_own_grants_only(db: None) -> None:
    east, west, north = (make_enterprise_manager() for _ in range(3))
    rule("readers", Role.VIEWER, everything=True)
    rule("east", Role.OPERATOR, east)
    rule("west", Role.OPERATOR, west)
    rule("audit", Role.AUDITOR, north)

    user = let_in("readers", "east", "west", "audit")

    assert user.role == Role.OPERATOR
    assert sees_of(user) == Sees(enterprise_managers=frozenset({east.pk, west.pk}))


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        (Role.VIEWER, Role.AUDITOR),
        (Role.AUDITOR, Role.OPERATOR),
        (Role.OPERATOR, Role.POLICY_OWNER),
        (Role.POLICY_OWNER, Role.ADMINISTRATOR),
    ],
)
def test_the_order_of_roles(db: None, lower: str, higher: str) -> None:
    rule("a", higher)
    rule("b", lower)

    assert let_in("a", "b").role == higher


def test_servers_and_everything(db: None) -> None:
    server = make_backup_server(make_enterprise_manager())
    rule("one", Role.VIEWER).backup_servers.add(server)
    rule("all", Role.VIEWER, everything=True)

    assert sees_of(let_in("one")) == Sees(backup_servers=frozenset({server.pk}))
    assert sees_of(let_in("one", "all")) == EVERYTHING
    assert sees_of(let_in("one")) == Sees(backup_servers=frozenset({server.pk}))


def test_other_groups_make_another_role_and_end_what_is_open(db: None) -> None:
    em = make_enterprise_manager()
    rule("auditors", Role.AUDITOR, everything=True)
    rule("operators", Role.OPERATOR, em)
    before = let_in("auditors")

    after = let_in("operators")

    assert (after.pk, after.role) == (before.pk, Role.OPERATOR)
    assert after.get_session_auth_hash() != before.get_session_auth_hash()
    assert sees_of(after) == Sees(enterprise_managers=frozenset({em.pk}))
    assert actions()[2:] == ["person_changed", "grants_changed"]


def test_without_a_group_nobody_gets_in_and_no_account_is_made(db: None) -> None:
    rule("auditors", Role.AUDITOR, everything=True)

    assert log_in("others").refused is Why.NO_GROUP
    assert log_in().refused is Why.NO_GROUP

    assert not User.objects.exists()
    entry = AuditEntry.objects.visible_to(SYSTEM).order_by("number")[0]
    assert (entry.action, entry.person, entry.address) == ("log_in_failed", None, "192.0.2.1")
    assert entry.details == {"why": "no group", "subject": "subject-1", "groups": ["others"]}


def test_who_loses_his_groups_loses_role_grants_and_what_is_open(db: None) -> None:
    rule("auditors", Role.AUDITOR, everything=True)
    before = let_in("auditors")

    refused = log_in("others")

    assert (refused.user, refused.refused) == (None, Why.NO_GROUP)
    after = User.objects.get(pk=before.pk)
    assert (after.role, sees_of(after)) == (Role.VIEWER, NOTHING)
    assert after.sign_ins_end > before.sign_ins_end
    assert actions()[2:] == ["person_changed", "grants_changed", "log_in_failed"]

    log_in("others")

    assert User.objects.get(pk=before.pk).sign_ins_end > after.sign_ins_end  # even a viewer's ends


def test_a_rule_that_is_gone_counts_no_more(db: None) -> None:
    made = rule("auditors", Role.AUDITOR, everything=True)
    let_in("auditors")
    made.delete()

    assert log_in("auditors").refused is Why.NO_GROUP


def test_an_account_that_is_switched_off_stays_out(db: None) -> None:
    rule("auditors", Role.AUDITOR, everything=True)
    user = let_in("auditors")
    User.objects.filter(pk=user.pk).update(is_active=False)

    assert log_in("auditors").refused is Why.SWITCHED_OFF
    assert not User.objects.get(pk=user.pk).is_active


def test_grants_given_by_hand_stay(db: None) -> None:
    em = make_enterprise_manager()
    rule("auditors", Role.AUDITOR, em)
    user = let_in("auditors")
    Grant.objects.filter(user=user).update(by_group=False)

    log_in("others")
    again = let_in("auditors")

    assert list(again.grants.values_list("enterprise_manager", "by_group")) == [(em.pk, False)]


@pytest.mark.parametrize("username", ["b.sample", "B.Sample", "\uff42.sample"])
def test_nobody_takes_a_local_account_over_by_its_name_or_address(db: None, username: str) -> None:
    local = make_user(Role.ADMINISTRATOR, username="b.sample", email="b.sample@example.test")
    rule("auditors", Role.AUDITOR, everything=True)

    user = let_in("auditors", username=username, subject="b.sample@example.test")

    assert user.pk != local.pk
    assert user.username.casefold() == "b.sample-2"
    local.refresh_from_db()
    assert (local.role, Identity.objects.filter(user=local).exists()) == (Role.ADMINISTRATOR, False)


def test_the_same_name_under_another_subject_or_issuer_is_another_person(db: None) -> None:
    rule("auditors", Role.AUDITOR)

    people = [
        let_in("auditors"),
        let_in("auditors", subject="subject-2"),
        let_in("auditors", subject="SUBJECT-1"),
        let_in("auditors", issuer="https://other.example.test"),
    ]

    assert [user.username for user in people] == ["j.doe", "j.doe-2", "j.doe-3", "j.doe-4"]


def test_a_new_name_of_the_same_subject_is_the_same_person(db: None) -> None:
    rule("auditors", Role.AUDITOR)
    before = let_in("auditors")

    after = let_in("auditors", username="jo.married", name="Jo Married")

    assert (after.pk, after.username, after.shown_name) == (before.pk, "j.doe", "Jo Married")


@pytest.mark.parametrize(
    ("username", "made"),
    [
        ("", "subject-1"),
        ("EXAMPLE\\j doe", "EXAMPLE-j-doe"),
        ("<script>alert(1)</script>", "-script-alert-1---script-"),
        ("x" * 1000, "x" * 140),
        ("a\u202eb", "a-b"),
    ],
)
def test_names_that_are_none_are_made_one(db: None, username: str, made: str) -> None:
    rule("auditors", Role.AUDITOR)

    user = let_in("auditors", username=username, name="N" * 1000)

    assert user.username == made
    user.full_clean()


def test_an_administrator_by_group_does_not_count_as_the_last_with_a_password(db: None) -> None:
    local = make_user(Role.ADMINISTRATOR)
    rule("admins", Role.ADMINISTRATOR)

    user = let_in("admins")

    assert user.granted.everything
    assert list(User.objects.break_glass()) == [local]
    log_in("others")
    assert User.objects.get(pk=user.pk).role == Role.VIEWER


def test_a_first_log_in_twice_at_once_makes_one_person(transactional_db: None) -> None:
    rule("auditors", Role.AUDITOR, everything=True)
    found: list[int] = []
    failed: list[Exception] = []
    together = threading.Barrier(4)

    def one() -> None:
        try:
            together.wait()
            found.append(let_in("auditors").pk)
        except Exception as failure:  # noqa: BLE001  told by the test's own thread
            failed.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []
    assert len(set(found)) == User.objects.count() == Grant.objects.count() == 1
    assert list(faults()) == []
