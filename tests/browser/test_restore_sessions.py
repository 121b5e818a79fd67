"""The list in a browser, with and without JavaScript: log in, filter, sort, turn pages, open, download."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from restorereports.models import EnterpriseManager, User
from tests.factories import PASSWORD

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scripts", [True, False], ids=["with JavaScript", "without"])
def test_from_log_in_to_a_download(
    open_context: Callable[..., BrowserContext],
    administrator: User,
    history: EnterpriseManager,
    scripts: bool,
    tmp_path: Path,
) -> None:
    page = open_context(java_script_enabled=scripts, viewport={"width": 1440, "height": 900}).new_page()
    page.goto("/")
    page.get_by_label("Username").fill("b.sample")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Restore sessions")
    expect(page.locator("#sumline")).to_contain_text("70 restore sessions = 63 Success + 7 Failed")

    page.get_by_role("checkbox", name="Failed").check()
    if not scripts:
        page.get_by_role("button", name="Apply").click()
    expect(page.locator("#sumline")).to_contain_text("7 restore sessions")
    expect(page).to_have_url(re.compile(r"outcome=Failed"))
    expect(page.locator("tbody tr")).to_have_count(7)
    expect(page.locator(".chip")).to_have_count(2)
    page.reload()
    expect(page.get_by_role("checkbox", name="Failed")).to_be_checked()

    page.get_by_role("link", name="Remove filter Result: Failed").click()
    expect(page.locator("tbody tr")).to_have_count(50)
    page.get_by_role("link", name="VM", exact=True).click()
    expect(page.locator("th[aria-sort=ascending]")).to_have_text("VM")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".table-foot")).to_contain_text("51–70 of 70")
    page.get_by_role("link", name="Previous").click()
    expect(page.locator(".table-foot")).to_contain_text("1–50 of 70")

    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^CSV")).click()
    text = Path(download.value.path()).read_text()
    assert len(text.splitlines()) >= 71

    page.get_by_role("link", name="vm-12", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("vm-12")
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("vm-13")
    page.get_by_text("Raw payload").scroll_into_view_if_needed()
    page.locator("summary", has_text="XML").first.click()
    expect(page.locator("pre").first).to_contain_text("<RestoreSession")


def test_days_and_named_periods_exclude_each_other(page: Page, history: EnterpriseManager) -> None:
    page.goto("/")
    page.get_by_label("First day").fill("2020-01-01")
    expect(page.locator("#chips")).to_contain_text("since 2020-01-01")
    expect(page.get_by_role("combobox", name="Period")).to_have_value("custom")

    page.get_by_role("combobox", name="Period").select_option("7d")

    expect(page.locator("#chips")).to_contain_text("last 7 days")
    expect(page.get_by_label("First day")).to_have_value("")
    expect(page).to_have_url(re.compile(r"\?period=7d$"))


def test_typing_a_name_and_going_back(page: Page, history: EnterpriseManager) -> None:
    page.goto("/")
    page.get_by_label("VM contains").fill("vm-1")
    page.keyboard.press("Enter")
    expect(page.locator("tbody tr")).to_have_count(10)
    page.get_by_label("VM contains").fill("nothing of that name")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_have_text("No restore sessions match this filter")

    page.go_back()

    expect(page.locator("tbody tr")).to_have_count(10)
    expect(page.get_by_label("VM contains")).to_have_value("vm-1")


def test_the_keyboard_reaches_search_content_and_a_chips_filter(
    page: Page, history: EnterpriseManager
) -> None:
    page.goto("/?state=Stopped")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"

    page.keyboard.press("/")
    expect(page.get_by_label("Search VMs and restore sessions", exact=True)).to_be_focused()
    page.keyboard.type("vm-1/2")
    expect(page.get_by_label("Search VMs and restore sessions", exact=True)).to_have_value("vm-1/2")

    page.locator("#facet-state summary").click()
    expect(page.get_by_role("checkbox", name="Stopped")).to_be_hidden()
    page.locator(".chip", has_text="State").get_by_role("link").first.click()
    expect(page.get_by_role("checkbox", name="Stopped")).to_be_visible()


def test_menus_open_without_a_script(
    open_context: Callable[..., BrowserContext], administrator: User, history: EnterpriseManager
) -> None:
    phone = open_context(
        administrator, java_script_enabled=False, viewport={"width": 390, "height": 844}
    ).new_page()
    phone.goto("/")

    phone.get_by_role("button", name="Menu").click()
    phone.locator("#site-menu").get_by_role("link", name="Reports").click()

    expect(phone.get_by_role("heading", level=1)).to_have_text("Reports")


def test_print_leaves_the_controls_out(page: Page, history: EnterpriseManager) -> None:
    page.goto("/")
    page.emulate_media(media="print")

    for hidden in ("header.head", ".facets", ".pager", ".title .actions"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.locator("tbody tr").first).to_be_visible()


def test_the_theme_is_the_readers(page: Page, administrator: User) -> None:
    page.goto("/account/")
    light = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("combobox", name="Theme").select_option("dark")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != light
