"""One-time links: once, for a day, for accounts that are here and active; what they end, what they leave."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from restorereports.audit import COMMAND_LINE
from restorereports.models import AuditEntry, RecoveryCode, SecondFactor, User
from restorereports.models.account import SYSTEM
from restorereports.sign_in.links import LinkEnded, NoLinkPossible, make_link, use_link
from restorereports.sign_in.people import add_person, change_person
from tests.factories import PASSWORD, make_user
from tests.sign_in.test_people import at_once, from_provider

NEW = "another long pass phrase"
TWICE = {"new_password1": NEW, "new_password2": NEW}
pytestmark = pytest.mark.usefixtures("_quick")


@pytest.fixture
def _quick(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture
def person(db: None) -> User:
    return make_user(username="c.specimen")


def actions() -> list[str]:
    return list(AuditEntry.objects.visible_to(SYSTEM).order_by("number").values_list("action", flat=True))


def ended(client: Client, path: str) -> bool:
    """Whether the page says so, to who looks and to who sends a password alike."""
    looked, sent = client.get(path), client.post(path, TWICE)
    for answer in (looked, sent):
        if answer.status_code == 404:
            assert "This link opens nothing any more" in answer.content.decode()
    assert looked.status_code == sent.status_code or sent.status_code == 302
    return looked.status_code == 404


def test_a_new_person_sets_a_password_and_logs_in_with_it(client: Client, db: None) -> None:
    person = User(username="new.one")
    add_person(person, actor=COMMAND_LINE)
    path = make_link(person, actor=COMMAND_LINE)

    assert "Set your password" in client.get(path).content.decode()
    answer = client.post(path, TWICE)

    assert answer.url == reverse("login")
    assert client.login(username="new.one", password=NEW)
    assert actions() == ["person_added", "link_made", "password_changed"]
    last = AuditEntry.objects.visible_to(SYSTEM).first()
    assert (last.person, last.via, last.address) == (person, "web", "127.0.0.1")
    assert last.details == {"how": "one-time link"}


def test_the_link_is_written_nowhere(client: Client, person: User, caplog: pytest.LogCaptureFixture) -> None:
    path = make_link(person, actor=COMMAND_LINE)
    token = path.rstrip("/").rpartition("/")[2]

    client.post(path, TWICE)

    assert token not in str(list(AuditEntry.objects.values()))
    assert token not in caplog.text
    assert NEW not in str(list(AuditEntry.objects.values())) + caplog.text


def test_a_browser_that_keeps_no_cookies_uses_it_and_the_log_does_not_learn_it(
    person: User, caplog: pytest.LogCaptureFixture
) -> None:
    """A form refused for want of a cookie would put the address, which still opens, into the log."""
    path = make_link(person, actor=COMMAND_LINE)

    browser = Client(enforce_csrf_checks=True)
    assert browser.get(path)["Referrer-Policy"] == "no-referrer"
    assert browser.post(path, TWICE, HTTP_ORIGIN="null").status_code == 302

    assert path not in caplog.text


def test_looking_does_not_use_it_up_and_a_refused_password_neither(client: Client, person: User) -> None:
    path = make_link(person, actor=COMMAND_LINE)

    assert (
        client.get(path).status_code == client.get(path).status_code == client.head(path).status_code == 200
    )
    short = client.post(path, {"new_password1": "short", "new_password2": "short"}).content.decode()
    unlike = client.post(path, TWICE | {"new_password2": NEW + "!"}).content.decode()
    own_name = client.post(path, dict.fromkeys(TWICE, "c.specimen")).content.decode()

    assert "at least 12 characters" in short
    assert "didn’t match" in unlike
    assert "too similar to the username" in own_name
    assert client.post(path, TWICE).status_code == 302


def test_it_works_once(client: Client, person: User) -> None:
    path = make_link(person, actor=COMMAND_LINE)
    client.post(path, TWICE)

    assert ended(client, path)
    person.refresh_from_db()
    assert person.check_password(NEW)


def test_it_ends_after_a_day(client: Client, person: User) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        path = make_link(person, actor=COMMAND_LINE)

    with time_machine.travel(now + timedelta(hours=23, minutes=59), tick=False):
        assert client.get(path).status_code == 200
    with time_machine.travel(now + timedelta(hours=24, seconds=2), tick=False):
        assert ended(client, path)


def test_a_newer_link_a_log_in_another_role_and_switching_off_end_it(client: Client, person: User) -> None:
    make_user(User.Role.ADMINISTRATOR)

    first = make_link(person, actor=COMMAND_LINE)
    second = make_link(person, actor=COMMAND_LINE)
    assert ended(client, first)

    Client().login(username="c.specimen", password=PASSWORD)
    assert ended(client, second)

    third = make_link(person, actor=COMMAND_LINE)
    change_person(person, role=User.Role.VIEWER, actor=COMMAND_LINE)
    assert ended(client, third)

    fourth = make_link(person, actor=COMMAND_LINE)
    change_person(person, is_active=False, actor=COMMAND_LINE)
    assert ended(client, fourth)
    change_person(person, is_active=True, actor=COMMAND_LINE)
    assert ended(client, fourth)


def test_nobody_learns_why_a_link_opens_nothing(client: Client, person: User) -> None:
    path = make_link(person, actor=COMMAND_LINE)
    token = path.rstrip("/").rpartition("/")[2]
    other = make_user()
    stranger = from_provider(make_user())
    changed = token[:-1] + ("0" if token[-1] != "0" else "1")
    paths = [
        reverse("link", args=[person.pk, changed]),
        reverse("link", args=[other.pk, token]),
        reverse("link", args=[stranger.pk, token]),
        reverse("link", args=[2**70, token]),
        reverse("link", args=[person.pk, "x"]),
        reverse("link", args=[person.pk, default_token_generator.make_token(person)]),  # another generator's
    ]

    pages = {client.get(path).content for path in paths}

    assert len(pages) == 1
    assert all(client.get(path).status_code == 404 for path in paths)


def test_making_one_ends_what_is_open_and_leaves_the_second_factor(person: User) -> None:
    browser = Client()
    browser.force_login(person)
    SecondFactor.objects.create(user=person, secret_token="x", confirmed_at=timezone.now())
    assert browser.get(reverse("restoresession-list")).status_code == 200

    make_link(person, actor=COMMAND_LINE)

    assert browser.get(reverse("restoresession-list")).status_code == 302
    assert SecondFactor.objects.exists()
    assert "second_factor_changed" not in actions()


def test_the_second_factor_goes_when_asked(person: User) -> None:
    SecondFactor.objects.create(user=person, secret_token="x", confirmed_at=timezone.now())
    RecoveryCode.objects.create(user=person, digest="0" * 64)

    make_link(person, actor=COMMAND_LINE, without_second_factor=True)

    assert not SecondFactor.objects.exists()
    assert not RecoveryCode.objects.exists()
    assert actions() == ["second_factor_changed", "link_made"]


def test_no_link_for_who_is_switched_off_or_comes_from_the_provider(db: None) -> None:
    with pytest.raises(NoLinkPossible, match="switched off"):
        make_link(make_user(is_active=False), actor=COMMAND_LINE)
    with pytest.raises(NoLinkPossible, match="identity provider"):
        make_link(from_provider(make_user()), actor=COMMAND_LINE)

    assert actions() == []


@pytest.mark.django_db(transaction=True)
def test_of_two_who_send_it_at_once_one_sets_the_password(transactional_db: None) -> None:
    person = make_user()
    _empty, _link, pk, token, _end = make_link(person, actor=COMMAND_LINE).split("/")

    failures = at_once(
        *(
            lambda password=password: use_link(int(pk), token, password, actor=COMMAND_LINE)
            for password in ("the first long password", "the second long password")
        )
    )

    assert [type(failure) for failure in failures] == [LinkEnded]
    assert actions() == ["link_made", "password_changed"]
