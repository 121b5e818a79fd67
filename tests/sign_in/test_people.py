"""What changes people: roles, grants, passwords, the last administrator; each on record, in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from django.utils import timezone

from restorereports.audit import COMMAND_LINE, faults
from restorereports.models import AuditEntry, Grant, Identity, LastAdministrator, User
from restorereports.models.account import SYSTEM
from restorereports.sign_in.people import (
    EVERYTHING,
    NOTHING,
    FromIdentityProvider,
    Sees,
    add_person,
    change_password,
    change_person,
    sees_of,
)
from tests.factories import PASSWORD, make_backup_server, make_enterprise_manager, make_user

NEW = "another long pass phrase"


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def entries() -> list[tuple[str, dict[str, Any]]]:
    """Oldest first."""
    trail = AuditEntry.objects.visible_to(SYSTEM).order_by("number")
    return list(trail.values_list("action", "details"))


def from_provider(user: User) -> User:
    now = timezone.now()
    Identity.objects.create(
        user=user, issuer="https://id.example.test", subject=user.username, first_seen_at=now, read_at=now
    )
    return user


def test_a_person_is_added_with_grants_and_an_entry_that_names_them(db: None) -> None:
    em = make_enterprise_manager(name="em-north")
    server = make_backup_server(name="vbr-east")
    sees = Sees(enterprise_managers=frozenset([em.pk]), backup_servers=frozenset([server.pk]))
    person = User(username="c.specimen", role=User.Role.OPERATOR)

    add_person(person, sees=sees, actor=COMMAND_LINE)

    assert sees_of(person) == sees
    assert not person.has_usable_password()
    assert entries() == [
        (
            "person_added",
            {
                "role": "operator",
                "has_password": False,
                "sees": {
                    "everything": False,
                    "enterprise_managers": ["em-north"],
                    "backup_servers": ["vbr-east"],
                },
            },
        )
    ]
    assert AuditEntry.objects.get().via == "command"
    assert not faults()


def test_everything_stands_alone_and_administrators_need_no_grant(db: None) -> None:
    em = make_enterprise_manager()
    both = Sees(everything=True, enterprise_managers=frozenset([em.pk]))
    viewer, administrator = User(username="a"), User(username="b", role=User.Role.ADMINISTRATOR)

    add_person(viewer, sees=both, actor=COMMAND_LINE)
    add_person(administrator, sees=both, actor=COMMAND_LINE)

    assert sees_of(viewer) == EVERYTHING
    assert sees_of(administrator) == NOTHING
    assert administrator.granted.everything


def test_names_that_differ_in_capitals_or_look_the_same_are_one_name(db: None) -> None:
    make_user(username="anna.muster")

    for name in ("Anna.Muster", "ａnna.muster"):
        with pytest.raises(ValidationError, match="this user name already"):
            add_person(User(username=name), actor=COMMAND_LINE)

    assert User.objects.count() == 1
    assert entries() == []


def test_what_changes_is_on_record_with_before_and_after_and_ends_what_is_open(db: None) -> None:
    em = make_enterprise_manager(name="em-north")
    person = make_user(User.Role.AUDITOR, em)
    ended_before = person.sign_ins_end

    changed = change_person(person, role=User.Role.OPERATOR, sees=EVERYTHING, actor=COMMAND_LINE)

    assert changed.granted.everything
    assert changed.sign_ins_end == ended_before + 1
    nothing_else: dict[str, Any] = {"enterprise_managers": [], "backup_servers": []}
    assert entries() == [
        (
            "person_changed",
            {
                "before": {"role": "auditor", "is_active": True},
                "after": {"role": "operator", "is_active": True},
            },
        ),
        (
            "grants_changed",
            {
                "before": {"everything": False, "enterprise_managers": ["em-north"], "backup_servers": []},
                "after": {"everything": True} | nothing_else,
            },
        ),
    ]


def test_who_is_no_longer_administrator_sees_what_is_ticked_then_and_nothing_else(db: None) -> None:
    make_user(User.Role.ADMINISTRATOR)
    person = make_user(User.Role.ADMINISTRATOR)

    changed = change_person(person, role=User.Role.VIEWER, sees=NOTHING, actor=COMMAND_LINE)

    assert not changed.granted.everything
    assert not Grant.objects.filter(user=person).exists()


def test_nothing_changed_is_no_entry_and_logs_nobody_out(db: None) -> None:
    person = make_user(User.Role.AUDITOR)

    changed = change_person(
        person, role=User.Role.AUDITOR, is_active=True, sees=EVERYTHING, actor=COMMAND_LINE
    )

    assert entries() == []
    assert changed.sign_ins_end == person.sign_ins_end


def test_of_a_person_from_the_provider_only_the_activity_changes(db: None) -> None:
    em = make_enterprise_manager()
    person = from_provider(make_user(User.Role.AUDITOR, em))

    for change in ({"role": User.Role.VIEWER}, {"sees": EVERYTHING}):
        with pytest.raises(FromIdentityProvider, match="groups say role and grants"):
            change_person(person, actor=COMMAND_LINE, **change)
    with pytest.raises(FromIdentityProvider, match="no password here"):
        change_password(person, NEW, actor=COMMAND_LINE, how="command line")
    changed = change_person(person, is_active=False, actor=COMMAND_LINE)

    assert not changed.is_active
    assert sees_of(changed) == Sees(enterprise_managers=frozenset([em.pk]))
    assert [action for action, _details in entries()] == ["person_changed"]


def test_an_administrator_from_the_provider_keeps_the_grants_of_the_groups_when_switched_off(
    db: None,
) -> None:
    make_user(User.Role.ADMINISTRATOR)
    person = from_provider(make_user(User.Role.ADMINISTRATOR, make_enterprise_manager()))

    change_person(person, is_active=False, actor=COMMAND_LINE)

    assert person.grants.count() == 1


def test_a_password_is_checked_ends_what_is_open_and_is_on_record_without_it(db: None) -> None:
    person = make_user()
    ended_before = person.sign_ins_end

    with pytest.raises(ValidationError, match="at least 12"):
        change_password(person, "short", actor=COMMAND_LINE, how="command line")
    change_password(person, NEW, actor=COMMAND_LINE, how="command line")

    person.refresh_from_db()
    assert person.check_password(NEW)
    assert person.sign_ins_end > ended_before
    assert entries() == [("password_changed", {"how": "command line"})]


@pytest.mark.parametrize("change", [{"role": User.Role.AUDITOR}, {"is_active": False}])
def test_the_last_administrator_stays(db: None, change: dict[str, Any]) -> None:
    last = make_user(User.Role.ADMINISTRATOR)
    make_user(User.Role.AUDITOR)
    make_user(User.Role.ADMINISTRATOR, is_active=False)
    from_provider(make_user(User.Role.ADMINISTRATOR))

    with pytest.raises(LastAdministrator, match="last active administrator"):
        change_person(last, actor=COMMAND_LINE, **change)

    last.refresh_from_db()
    assert last.is_administrator
    assert entries() == []


def test_a_new_administrator_counts_only_when_there_is_a_password(db: None) -> None:
    first = make_user(User.Role.ADMINISTRATOR)
    second = User(username="second", role=User.Role.ADMINISTRATOR)
    add_person(second, actor=COMMAND_LINE)

    with pytest.raises(LastAdministrator):
        change_person(first, is_active=False, actor=COMMAND_LINE)
    change_password(second, NEW, actor=COMMAND_LINE, how="test")
    change_person(first, is_active=False, actor=COMMAND_LINE)

    assert [user.username for user in User.objects.break_glass()] == ["second"]


def at_once(*works: Callable[[], None]) -> list[BaseException]:
    """What went wrong in threads that begin at the same moment."""
    together = threading.Barrier(len(works))
    failures: list[BaseException] = []

    def run(work: Callable[[], None]) -> None:
        try:
            together.wait(10)
            work()
        except BaseException as failure:  # noqa: BLE001 - told by the test
            failures.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return failures


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(5))
def test_two_administrators_who_demote_each_other_leave_one(transactional_db: None, attempt: int) -> None:
    one, two = make_user(User.Role.ADMINISTRATOR), make_user(User.Role.ADMINISTRATOR)

    failures = at_once(
        lambda: change_person(two, role=User.Role.VIEWER, actor=COMMAND_LINE) and None,
        lambda: change_person(one, role=User.Role.VIEWER, actor=COMMAND_LINE) and None,
    )

    assert [type(failure) for failure in failures] == [LastAdministrator]
    assert User.objects.break_glass().count() == 1
    assert [action for action, _details in entries()] == ["person_changed"]
    assert not faults()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("attempt", range(5))
def test_become_alone_lets_only_one_of_two_go(transactional_db: None, attempt: int) -> None:
    """The lock is in the model, whoever calls it."""
    people = [make_user(User.Role.ADMINISTRATOR), make_user(User.Role.ADMINISTRATOR)]

    def switch_off(person: User) -> None:
        with transaction.atomic():
            person.become(role=person.role, is_active=False)
            person.save()

    failures = at_once(*(lambda person=person: switch_off(person) for person in people))

    assert [type(failure) for failure in failures] == [LastAdministrator]
    assert User.objects.break_glass().count() == 1


@pytest.mark.django_db(transaction=True)
def test_many_changes_at_once_stand_in_no_deadlock_and_leave_an_unbroken_trail(
    transactional_db: None,
) -> None:
    people = [make_user(User.Role.ADMINISTRATOR) for _ in range(4)]
    viewer = make_user(User.Role.VIEWER)

    def demote(person: User) -> Callable[[], None]:
        return lambda: change_person(person, role=User.Role.VIEWER, actor=COMMAND_LINE) and None

    failures = at_once(
        *(demote(person) for person in people),
        lambda: change_password(viewer, NEW, actor=COMMAND_LINE, how="test"),
        lambda: change_person(viewer, role=User.Role.OPERATOR, actor=COMMAND_LINE) and None,
    )

    assert [type(failure) for failure in failures] == [LastAdministrator]
    assert User.objects.break_glass().count() == 1
    assert not faults()


def test_the_factories_password_is_not_in_the_trail(db: None) -> None:
    person = make_user()

    change_password(person, NEW, actor=COMMAND_LINE, how="command line")

    assert NEW not in str(entries())
    assert PASSWORD not in str(entries())
