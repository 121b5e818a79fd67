"""Commands for people: who becomes what, who sees what, by which way the password comes; all on record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from restorereports.models import AuditEntry, SecondFactor, User
from restorereports.models.account import SYSTEM
from restorereports.sign_in.people import EVERYTHING, NOTHING, Sees, sees_of
from tests.factories import make_backup_server, make_enterprise_manager, make_user
from tests.sign_in.test_people import from_provider

PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def _quick(settings: Any, db: None) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A person at a terminal types these, one after the other."""
    typed: list[str] = []
    monkeypatch.setattr("restorereports.management.people.getpass", lambda _prompt: typed.pop(0))
    for command in ("add_user", "changepassword"):
        monkeypatch.setattr(f"restorereports.management.commands.{command}.at_a_terminal", lambda: True)
    return typed


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def person(name: str) -> User:
    return User.objects.get(username=name)


def actions() -> list[str]:
    trail = AuditEntry.objects.visible_to(SYSTEM).order_by("number")
    assert set(trail.values_list("via", flat=True)) <= {"command"}
    return list(trail.values_list("action", flat=True))


def test_people_are_added_with_their_role_and_grants(monkeypatch, terminal: list[str]) -> None:
    monkeypatch.setenv("WORD", PASSWORD)
    terminal += ["another long one", "another long one"]
    em, server = make_enterprise_manager(name="em-north"), make_backup_server(name="vbr-east")

    run("add_user", "a.sample", "--password-env", "WORD", "--em", "em-north", "--server", "vbr-east")
    run("add_user", "b.sample", "--role", "administrator")
    run("add_user", "c.sample", "--role", "viewer", "--everything", "--password-env", "WORD")

    assert person("a.sample").role == User.Role.AUDITOR
    assert sees_of(person("a.sample")) == Sees(
        enterprise_managers=frozenset([em.pk]), backup_servers=frozenset([server.pk])
    )
    assert person("b.sample").is_administrator
    assert person("b.sample").check_password("another long one")
    assert sees_of(person("c.sample")) == EVERYTHING
    assert actions() == ["person_added"] * 3


def test_without_variable_and_terminal_a_link_is_printed(settings: Any) -> None:
    out = run(
        "add_user", "a.sample", "--everything", "--full-name", "Anna Sample", "--email", "a@example.test"
    )

    address = re.findall(r"^  (\S+)$", out, re.MULTILINE)[0]
    assert address.startswith(f"http://127.0.0.1:{settings.PORT}/link/")
    path = address.partition(str(settings.PORT))[2]
    Client().post(path, {"new_password1": PASSWORD, "new_password2": PASSWORD})
    assert person("a.sample").check_password(PASSWORD)
    assert person("a.sample").shown_name == "Anna Sample"


def test_a_link_is_printed_at_a_terminal_when_asked_for(terminal: list[str]) -> None:
    assert "/link/" in run("add_user", "a.sample", "--everything", "--link")
    assert actions() == ["person_added", "link_made"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--password-env", "SHORT", "--everything"], "12 characters"),
        (["--password-env", "MISSING", "--everything"], "no variable MISSING"),
        (["--password-env", "WORD"], "--everything, or --em NAME, or --server NAME"),
        (["--role", "administrator", "--everything"], "Administrators see everything: leave out"),
        (["--everything", "--em", "em-north"], "either --everything, or --em"),
        (["--em", "em-nowhere"], "No Enterprise Manager is called em-nowhere"),
        (["--server", "vbr-nowhere"], "No backup server is called vbr-nowhere"),
        (["--everything", "--email", "nowhere"], "valid email address"),
    ],
)
def test_bad_input_adds_nobody(monkeypatch, words: Sequence[str], why: str) -> None:
    monkeypatch.setenv("SHORT", "short")
    monkeypatch.setenv("WORD", PASSWORD)
    make_enterprise_manager(name="em-north")

    with pytest.raises(CommandError, match=why):
        run("add_user", "a.sample", *words)

    assert not User.objects.exists()
    assert actions() == []


def test_two_passwords_that_differ_add_nobody(terminal: list[str]) -> None:
    terminal += ["another long one", "yet another long one"]

    with pytest.raises(CommandError, match="not the same"):
        run("add_user", "a.sample", "--everything")

    assert not User.objects.exists()


def test_a_name_is_given_once(monkeypatch) -> None:
    monkeypatch.setenv("WORD", PASSWORD)
    run("add_user", "a.sample", "--everything", "--password-env", "WORD")

    with pytest.raises(CommandError, match="this user name already"):
        run("add_user", "A.Sample", "--everything", "--password-env", "WORD")


def test_role_grants_and_activity_are_changed() -> None:
    em = make_enterprise_manager(name="em-north")
    user = make_user(User.Role.AUDITOR, username="a.sample")

    assert run("change_user", "a.sample", "--role", "operator") == "a.sample: Operator, active.\n"
    assert sees_of(user) == EVERYTHING
    run("change_user", "a.sample", "--em", "em-north")
    assert sees_of(user) == Sees(enterprise_managers=frozenset([em.pk]))
    assert "Sees nothing" in run("change_user", "a.sample", "--nothing")
    assert sees_of(user) == NOTHING
    assert "switched off" in run("change_user", "a.sample", "--deactivate")
    assert "active" in run("change_user", "a.sample", "--activate", "--everything")

    assert person("a.sample").is_active
    assert actions() == [
        *("person_changed", "grants_changed", "grants_changed"),
        *("person_changed", "person_changed", "grants_changed"),
    ]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["a.sample"], "Say what to change"),
        (["a.sample", "--nothing", "--everything"], "--nothing does not go with"),
        (["a.sample", "--role", "administrator", "--everything"], "Administrators see everything"),
        (["nobody", "--deactivate"], "Nobody has the user name nobody"),
        (["provided", "--role", "viewer"], "groups say role and grants"),
        (["last", "--deactivate"], "last active administrator"),
        (["last", "--role", "viewer", "--everything"], "last active administrator"),
    ],
)
def test_what_cannot_be_changed_is_said(words: Sequence[str], why: str) -> None:
    make_user(username="a.sample")
    make_user(User.Role.ADMINISTRATOR, username="last")
    from_provider(make_user(User.Role.ADMINISTRATOR, username="provided"))

    with pytest.raises(CommandError, match=why):
        run("change_user", *words)

    assert person("last").is_administrator
    assert actions() == []


def test_a_link_resets_password_and_second_factor() -> None:
    user = make_user(username="a.sample")
    SecondFactor.objects.create(user=user, secret_token="x", confirmed_at=timezone.now())

    run("reset_link", "a.sample")
    assert SecondFactor.objects.exists()
    out = run("reset_link", "a.sample", "--remove-second-factor")

    assert not SecondFactor.objects.exists()
    assert Client().get(re.findall(r":\d+(/link/\S+)", out)[0]).status_code == 200
    make_user(username="off", is_active=False)
    with pytest.raises(CommandError, match="switched off"):
        run("reset_link", "off")
    with pytest.raises(CommandError, match="Nobody has the user name"):
        run("reset_link", "nobody")


def test_a_password_is_changed_on_record(monkeypatch, terminal: list[str]) -> None:
    monkeypatch.setenv("WORD", PASSWORD)
    monkeypatch.setenv("SHORT", "short")
    user = make_user(username="a.sample")
    terminal += ["another long one", "another long one"]

    run("changepassword", "a.sample")
    assert person("a.sample").check_password("another long one")
    run("changepassword", "a.sample", "--password-env", "WORD")
    with pytest.raises(CommandError, match="12 characters"):
        run("changepassword", "a.sample", "--password-env", "SHORT")

    assert person("a.sample").check_password(PASSWORD)
    assert person("a.sample").sign_ins_end == user.sign_ins_end + 2
    assert actions() == ["password_changed", "password_changed"]


def test_a_password_is_not_changed_without_a_way_to_ask_or_for_who_has_none(monkeypatch) -> None:
    monkeypatch.setenv("WORD", PASSWORD)
    make_user(username="a.sample")
    from_provider(make_user(username="provided"))
    monkeypatch.setattr("restorereports.management.commands.changepassword.at_a_terminal", lambda: False)

    with pytest.raises(CommandError, match="no terminal to ask at"):
        run("changepassword", "a.sample")
    with pytest.raises(CommandError, match="no password here"):
        run("changepassword", "provided", "--password-env", "WORD")


def test_nobody_becomes_administrator_past_the_trail() -> None:
    for words in ([], ["--noinput", "--username", "root", "--email", "root@example.test"]):
        with pytest.raises(CommandError, match="add_user NAME --role administrator"):
            call_command("createsuperuser", words)

    assert not User.objects.exists()


def test_what_the_framework_calls_a_superuser_is_an_administrator() -> None:
    assert User.objects.create_superuser("root", password=PASSWORD).is_administrator
