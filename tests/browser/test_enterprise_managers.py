"""Adding an Enterprise Manager and watching its first sync, with and without JavaScript."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, expect

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Report, User
from tests.factories import make_enterprise_manager, make_gap, make_report

pytestmark = pytest.mark.browser


@pytest.fixture
def server() -> Iterator[StandInServer]:
    with StandInServer(World(sessions=450, servers=2, seed=5)) as running:
        yield running


def _sync(em: EnterpriseManager) -> None:
    try:
        sync(em, trigger="person")
    finally:
        connections.close_all()


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_add_test_trust_save_and_watch(
    open_context: Callable[..., BrowserContext],
    administrator: User,
    server: StandInServer,
    scripts: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("restorereports.mirror.sync.PAGE_SIZE", 50)
    page = open_context(administrator, java_script_enabled=scripts).new_page()
    page.goto("/")
    page.get_by_role("link", name="Add Enterprise Manager").click()
    page.get_by_label("Name").fill("em-north")
    page.get_by_label("Address").fill(server.url)
    page.get_by_role("textbox", name="Account").fill("mirror")
    page.get_by_label("Password").fill("mirror")
    page.get_by_role("button", name="Test connection").click()

    expect(page.get_by_role("heading", name="Trust this certificate")).to_be_visible()
    page.get_by_label("Type “pin”").fill("pin")
    page.get_by_role("button", name="Trust and go on").click()
    page.get_by_role("button", name="Save and start the first sync").click()
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()

    server.faults.slow(1.0, path="page=", count=9)
    worker = threading.Thread(target=_sync, args=[EnterpriseManager.objects.get()])
    worker.start()
    try:
        _watch(page, scripts)
    finally:
        worker.join()


def _watch(page: Page, scripts: bool) -> None:
    """With a script the page keeps itself up to date; without one it is loaded anew every five seconds."""
    expect(page.get_by_text(re.compile(r"Page \d+ of \d+"))).to_be_visible(timeout=15_000)
    expect(page.locator("progress")).to_be_visible()
    expect(page.locator(".title .verdict")).to_have_text("Current", timeout=25_000)
    expect(page.locator("#progress")).to_have_count(0)
    page.get_by_role("link", name="restore sessions", exact=False).last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Restore sessions")
    expect(page.locator("tbody tr").first).to_be_visible()


def test_a_report_in_the_making_shows_itself_when_it_is_there(page: Page) -> None:
    report = make_report()
    page.goto(f"/reports/{report.pk}/")
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    Report.objects.update(status="rendering")
    expect(page.get_by_text("Being made")).to_be_visible()

    Report.objects.update(status="failed", error="The disk is full.")

    expect(page.get_by_text("The disk is full.")).to_be_visible()
    expect(page.locator(".verdict")).to_have_text("Failed")


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_a_gap_is_explained_where_it_stands(
    open_context: Callable[..., BrowserContext], administrator: User, complaints: list[str], scripts: bool
) -> None:
    now = timezone.now()
    em = make_enterprise_manager(name="em-north", covered_from_at=now - timedelta(days=90))
    make_gap(em, now - timedelta(days=60), to_at=now - timedelta(days=50))
    page = open_context(administrator, java_script_enabled=scripts).new_page()
    page.goto(f"/enterprise-managers/{em.pk}/")

    expect(page.get_by_role("img", name="Time covered by syncs since")).to_be_visible()
    page.get_by_text("Explain", exact=False).first.click()
    page.get_by_role("button", name="Keep this explanation").click()
    expect(page.get_by_text("an empty explanation is not kept")).to_be_visible()
    page.get_by_label("Explanation").fill("Locked on 2 May,\nunlocked on 19 June.")
    page.get_by_role("button", name="Keep this explanation").click()

    expect(page.get_by_text("The explanation is kept.")).to_be_visible()
    said = page.locator(".gaps .thread li")
    expect(said).to_contain_text("unlocked on 19 June.")
    assert said.locator("p").last.evaluate("text => text.innerText.split('\\n').length") == 2
    assert all("422" in complaint for complaint in complaints)
    complaints.clear()
