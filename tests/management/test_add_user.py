"""add_user and createsuperuser: who becomes what."""

import pytest
from django.core.management import CommandError, call_command

from restorereports.models import User


def test_people_are_added_with_their_role(db, monkeypatch) -> None:
    monkeypatch.setenv("WORD", "a long enough password")
    monkeypatch.setattr(
        "restorereports.management.commands.add_user.getpass", lambda _prompt: "another long one"
    )

    call_command("add_user", "a.sample", "--password-env", "WORD")
    call_command("add_user", "b.sample", "--role", "administrator")

    assert User.objects.get(username="a.sample").role == User.Role.AUDITOR
    assert User.objects.get(username="b.sample").is_administrator
    assert User.objects.get(username="b.sample").check_password("another long one")


@pytest.mark.parametrize(
    ("password", "variable", "why"),
    [("short", "WORD", "12 characters"), ("a long enough password", "MISSING", "no variable MISSING")],
)
def test_bad_input_adds_nobody(db, monkeypatch, password: str, variable: str, why: str) -> None:
    monkeypatch.setenv("WORD", password)

    with pytest.raises(CommandError, match=why):
        call_command("add_user", "a.sample", "--password-env", variable)

    assert not User.objects.exists()


def test_a_name_is_given_once(db, monkeypatch) -> None:
    monkeypatch.setenv("WORD", "a long enough password")
    call_command("add_user", "a.sample", "--password-env", "WORD")

    with pytest.raises(CommandError, match="already exists"):
        call_command("add_user", "a.sample", "--password-env", "WORD")


def test_a_superuser_is_an_administrator(db) -> None:
    assert User.objects.create_superuser("root", password="a long enough password").is_administrator
