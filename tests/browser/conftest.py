"""Chromium against the live pages: policy on, every console message and every violation a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from restorereports.models import EnterpriseManager, User
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_restore_session,
    make_run,
    make_source,
    make_user,
)

# The synchronous API keeps an event loop in this thread, which Django would take for an asynchronous caller.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
UGLY = [
    "x" * 1000,
    "<script>alert(1)</script>",
    "invoice-\u202egnp.exe",
    "データベース-経理-01",
    "خادم-النسخ-٣",
    "🧪-lab-etcd",
    "=cmd|' /C calc'!A1",
    "\"quoted\" & 'co'",
    "",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session", autouse=True)
def _folder_of_static_files() -> None:
    """The live server serves them from where they lie; WhiteNoise wants its folder all the same."""
    Path(django_settings.STATIC_ROOT).mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def _workers_asleep(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are only woken in word."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setattr("celery.app.task.Task.apply_async", lambda *_args, **_options: None)


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """What the browser complained of; empty at the end of each test."""
    found: list[str] = []
    yield found
    assert found == []


@pytest.fixture
def open_context(
    chromium: Browser, live_server: Any, complaints: list[str]
) -> Iterator[Callable[..., BrowserContext]]:
    """A browser window of its own, with complaints collected; `person` is logged in by cookie."""
    opened: list[BrowserContext] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            complaints.append(f"{message.type}: {message.text}")

    def open_one(person: User | None = None, **options: Any) -> BrowserContext:
        context = chromium.new_context(base_url=live_server.url, **options)
        context.set_default_timeout(10_000)
        context.on("console", listen)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        if person:
            client = Client()
            client.force_login(person)
            name = django_settings.SESSION_COOKIE_NAME
            value = client.cookies[name].value
            context.add_cookies([{"name": name, "value": value, "url": live_server.url}])
        opened.append(context)
        return context

    yield open_one
    for context in opened:
        context.close()


@pytest.fixture
def administrator(transactional_db: None) -> User:
    return make_user(User.Role.ADMINISTRATOR, username="b.sample", time_zone="Europe/Berlin")


@pytest.fixture
def page(open_context: Callable[..., BrowserContext], administrator: User) -> Page:
    """A page of an administrator's window, 1440 pixels wide."""
    return open_context(administrator, viewport={"width": 1440, "height": 900}).new_page()


@pytest.fixture
def history(transactional_db: None) -> EnterpriseManager:
    """70 restore sessions with ugly names, of two Enterprise Managers that show some of them both."""
    now = timezone.now()
    em = make_enterprise_manager(name="em-north")
    other = make_enterprise_manager(name="em-south")
    for source in (em, other):
        make_run(source, started_at=now - timedelta(minutes=4), role="Portal User", api_versions="v1_7")
    server = make_backup_server(em, name="vbr-east.example.test", version="12.3.2.3617")
    make_backup_server(em, name="<b>Prüfstand</b> " * 8)
    for number in range(70):
        row = make_restore_session(
            server,
            enterprise_manager=em,
            vm_name=UGLY[number] if number < len(UGLY) else f"vm-{number:02}",
            job_type="FileLevelRestore" if number % 5 == 0 else "RestoreVm",
            result="Failed" if number % 10 == 3 else "Success",
            failure_message="Disk full" if number % 10 == 3 else "",
            started_at=now - timedelta(hours=number + 1),
        )
        if number % 7 == 0:
            make_source(row, other)
    return em
