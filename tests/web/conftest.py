"""People who are logged in, and workers that only note that they were woken."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from restorereports.models import User
from restorereports.sign_in.lasting import begin
from tests.factories import make_user

NOW = timezone.now()


@pytest.fixture(autouse=True)
def clock_begins_at_now() -> Iterator[None]:
    """Each test begins at NOW, however long the tests before it took."""
    with time_machine.travel(NOW):
        yield


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """What was sent to the workers: task names and arguments."""
    sent: list[tuple[str, tuple[Any, ...]]] = []
    monkeypatch.setattr(
        "celery.app.task.Task.apply_async", lambda task, args=(), **_options: sent.append((task.name, args))
    )
    return sent


@pytest.fixture
def auditor(db: None) -> User:
    return make_user(User.Role.AUDITOR, username="c.specimen")


@pytest.fixture
def administrator(db: None) -> User:
    return make_user(User.Role.ADMINISTRATOR, username="b.sample")


@pytest.fixture
def page(client: Client, auditor: User) -> Client:
    """A browser in which an auditor is logged in."""
    return logged_in(client, auditor)


@pytest.fixture
def admin_page(administrator: User) -> Client:
    """A browser in which an administrator is logged in."""
    return logged_in(Client(), administrator)


def logged_in(client: Client, person: User) -> Client:
    """As somebody is who has logged in just now."""
    client.force_login(person)
    http_session = client.session
    begin(http_session, timezone.now())
    http_session.save()
    return client


@pytest.fixture(autouse=True)
def _no_collected_files(settings: Any) -> None:
    """Tests of single pages need no collected static files."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
