"""Signing in as people do, with a real identity provider, an authenticator app, and time that passes."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pyotp
import pytest
import requests
from django.conf import settings as django_settings
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page, Route, expect

from restorereports.models import AuditEntry, EnterpriseManager, FailedTries, GroupRule, SecondFactor, User
from restorereports.models.account import SYSTEM
from tests.browser.test_accessibility import _look_at
from tests.factories import PASSWORD, make_enterprise_manager, make_report, make_user
from tests.servers import end, free_port, wait_for_port

pytestmark = pytest.mark.browser
Opener = Callable[..., BrowserContext]


class IdentityProvider:
    """oidc-provider-mock in a process of its own."""

    def __init__(self, address: str) -> None:
        self.address = address

    def set_claims(self, subject: str, **claims: Any) -> None:
        requests.put(f"{self.address}/users/{subject}", json=claims, timeout=10).raise_for_status()


@pytest.fixture
def identity_provider(settings: Any) -> Iterator[IdentityProvider]:
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_port(port, process)
        address = f"http://127.0.0.1:{port}"
        settings.OIDC_ISSUER, settings.OIDC_NAME = address, "Example ID"
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = "restore-reports", "the client's secret"
        yield IdentityProvider(address)
    finally:
        end(process)


def window(open_context: Opener, person: User | None = None) -> Page:
    """The provider's own page takes its looks from elsewhere: that is answered here with nothing."""

    def nothing(route: Route) -> None:
        route.fulfill(status=200, content_type="text/css", body="")

    context = open_context(person)
    context.route(re.compile("^https://"), nothing)
    return context.new_page()


def sign_on(page: Page, subject: str, *, at: str = "/") -> None:
    page.goto(at)
    page.get_by_role("link", name="Example ID").click()
    page.get_by_placeholder("sub").fill(subject)
    page.get_by_role("button", name="Authorize").click()


def log_in(page: Page, name: str = "c.specimen", password: str = PASSWORD) -> None:
    page.goto("/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def give_code(page: Page, code: str) -> None:
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Log in").click()


def actions() -> list[str]:
    trail = AuditEntry.objects.visible_to(SYSTEM).order_by("number")
    return list(trail.values_list("action", flat=True))


def move_back(user: User, key: str, by: timedelta) -> None:
    """As if it had happened longer ago, in every http session."""
    engine = import_module(django_settings.SESSION_ENGINE)
    for row in engine.SessionStore.get_model_class().objects.all():
        http_session = engine.SessionStore(row.session_key)
        if http_session.get("_auth_user_id") == str(user.pk):
            http_session[key] = http_session[key] - by.total_seconds()
            http_session.save()


def test_single_sign_on_new_changed_and_removed(
    open_context: Opener,
    transactional_db: None,
    identity_provider: IdentityProvider,
    complaints: list[str],
) -> None:
    north = make_enterprise_manager(name="em-north")
    make_enterprise_manager(name="em-south")
    GroupRule.objects.create(group="auditors", role="auditor", everything=True)
    GroupRule.objects.create(group="operators", role="operator").enterprise_managers.add(north)
    identity_provider.set_claims("4711", name="Jo Doe", preferred_username="j.doe", groups=["auditors"])
    page = window(open_context)

    sign_on(page, "4711", at="/enterprise-managers/")  # new
    expect(page).to_have_url(f"{page.url.split('/enter')[0]}/enterprise-managers/")
    expect(page.locator("main")).to_contain_text("em-south")
    jo = User.objects.get(username="j.doe")
    assert (jo.role, jo.shown_name, jo.identity.subject) == ("auditor", "Jo Doe", "4711")

    identity_provider.set_claims("4711", name="Jo Doe", preferred_username="j.doe", groups=["operators"])
    other = window(open_context)
    sign_on(other, "4711", at="/enterprise-managers/")  # other groups
    expect(other.locator("main")).to_contain_text("em-north")
    expect(other.locator("main")).not_to_contain_text("em-south")
    assert User.objects.get(pk=jo.pk).role == "operator"
    page.reload()  # what was open under the other role has ended
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()

    identity_provider.set_claims("4711", name="Jo Doe", preferred_username="j.doe", groups=["others"])
    sign_on(page, "4711")  # none that has access
    expect(page.locator("main")).to_contain_text("Ask an administrator of Restore Reports")
    other.reload()
    expect(other.get_by_role("heading", name="Log in")).to_be_visible()
    assert not User.objects.get(pk=jo.pk).grants.exists()
    assert [complaint for complaint in complaints if "403" not in complaint] == []
    complaints.clear()


def test_breaking_off_at_the_identity_provider(
    open_context: Opener,
    transactional_db: None,
    identity_provider: IdentityProvider,
    complaints: list[str],
) -> None:
    page = window(open_context)
    page.goto("/login/")
    page.get_by_role("link", name="Example ID").click()
    page.get_by_role("button", name="Deny").click()

    expect(page.locator("main")).to_contain_text("refused the log-in, or it was broken off there")
    page.get_by_role("link", name="To the log-in").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert actions() == ["log_in_failed"]
    assert all("502" in complaint for complaint in complaints)
    complaints.clear()


def test_authenticator_app_and_recovery_codes(open_context: Opener, transactional_db: None) -> None:
    person = make_user(username="c.specimen")
    page = window(open_context)
    log_in(page)
    page.goto("/account/")
    page.get_by_role("link", name="Set up an authenticator app").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()

    drawn = page.get_by_role("img", name="QR code")
    expect(drawn).to_be_visible()
    assert drawn.evaluate("image => image.complete && image.naturalWidth > 100")
    app = pyotp.TOTP(page.locator(".secret").inner_text().replace(" ", ""))
    page.get_by_label("Code").fill(app.now())
    page.get_by_role("button", name="Take it into use").click()
    codes = page.locator(".recovery-codes li").all_inner_texts()
    assert len(codes) == 10
    page.get_by_role("link", name="They are kept safe").click()
    expect(page.locator("main")).to_contain_text("10 recovery codes are left")

    SecondFactor.objects.update(last_step=0)  # as if the set-up were a while ago
    code = app.now()
    for code_given, works in ((code, True), (code, False), (codes[0], True), (codes[0], False)):
        fresh = window(open_context)
        log_in(fresh)
        give_code(fresh, code_given)
        if works:
            expect(fresh.locator(".user-name")).to_have_text("c.specimen")
        else:
            expect(fresh.get_by_role("alert")).to_contain_text("wrong, or was used already")
    methods = [
        entry.details["method"]
        for entry in AuditEntry.objects.visible_to(SYSTEM).filter(person=person, action="logged_in")
    ]
    assert sorted(methods) == ["password", "recovery code", "second factor"]


def test_where_it_is_required_it_comes_first(
    open_context: Opener, transactional_db: None, settings: Any
) -> None:
    settings.SECOND_FACTOR = "required"
    make_user(username="c.specimen")
    page = window(open_context)

    log_in(page)
    page.goto("/reports/")

    expect(page.get_by_role("heading", name="Set up the second factor")).to_be_visible()
    app = pyotp.TOTP(page.locator(".secret").inner_text().replace(" ", ""))
    page.get_by_label("Code").fill(app.now())
    page.get_by_role("button", name="Take it into use").click()
    page.get_by_role("link", name="They are kept safe").click()
    expect(page.locator(".user-name")).to_have_text("c.specimen")


def test_throttling_says_how_long_to_wait(
    open_context: Opener, transactional_db: None, complaints: list[str]
) -> None:
    make_user(username="c.specimen")
    page = window(open_context)
    for _ in range(5):
        log_in(page, password="wrong")
        expect(page.get_by_role("alert")).to_contain_text("correct username and password")

    log_in(page)

    expect(page.get_by_role("alert")).to_contain_text("Too many wrong tries. Wait ")
    assert all("429" in complaint for complaint in complaints)
    complaints.clear()
    FailedTries.objects.update(free_at=timezone.now())
    log_in(page)
    expect(page.locator(".user-name")).to_have_text("c.specimen")


def test_a_sign_in_that_was_idle_ends_and_goes_on_where_it_was(
    open_context: Opener, transactional_db: None
) -> None:
    person = make_user(username="c.specimen")
    page = window(open_context)
    log_in(page)
    page.goto("/reports/")
    move_back(person, "seen_at", timedelta(minutes=30))

    page.goto("/reports/add/")

    expect(page.get_by_role("status")).to_contain_text("after 30 minutes without a request")
    page.get_by_label("Username").fill("c.specimen")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    assert page.url.endswith("/reports/add/")
    assert actions() == ["logged_in", "sign_in_ended", "logged_in"]


def test_a_page_left_open_that_asks_by_itself_is_led_to_the_log_in(
    open_context: Opener, transactional_db: None
) -> None:
    person = make_user(username="c.specimen")
    report = make_report(requested_by=person)
    page = window(open_context)
    log_in(page)
    page.goto(f"/reports/{report.pk}/")
    expect(page.get_by_text("Waiting for a worker")).to_be_visible()
    move_back(person, "seen_at", timedelta(minutes=30))

    expect(page.get_by_role("status")).to_contain_text("after 30 minutes without a request")

    assert f"next=/reports/{report.pk}/" in page.url


def test_twelve_hours_end_a_sign_in(open_context: Opener, transactional_db: None) -> None:
    person = make_user(username="c.specimen")
    page = window(open_context)
    log_in(page)
    move_back(person, "began_at", timedelta(hours=12))

    page.reload()

    expect(page.get_by_role("status")).to_contain_text("a sign-in lasts 12 hours")


def test_logging_out_everywhere_ends_the_other_window(open_context: Opener, transactional_db: None) -> None:
    make_user(username="c.specimen")
    page, other = window(open_context), window(open_context)
    for one in (page, other):
        log_in(one)

    page.goto("/account/")
    page.get_by_role("button", name="Log out everywhere").click()

    expect(page.get_by_role("status")).to_contain_text("logged out everywhere")
    other.reload()
    expect(other.get_by_role("heading", name="Log in")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_on_the_pages_of_signing_in(
    open_context: Opener,
    transactional_db: None,
    identity_provider: IdentityProvider,
    history: EnterpriseManager,
    complaints: list[str],
    scheme: str,
    width: int,
) -> None:
    person = make_user(username="c.specimen")
    options = {"color_scheme": scheme, "viewport": {"width": width, "height": 900}}
    page = open_context(person, **options).new_page()
    found = _look_at(page, "/account/second-factor/", width)
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Go on").click()
    found += _look_at(page, "/account/second-factor/", width)
    secret = page.locator(".secret").inner_text().replace(" ", "")
    page.get_by_label("Code").fill(pyotp.TOTP(secret).now())
    page.get_by_role("button", name="Take it into use").click()
    for address in ("/account/", "/account/recovery-codes/", "/account/second-factor/remove/"):
        found += _look_at(page, address, width)
    stranger = open_context(**options).new_page()
    log_in(stranger)
    for address in ("/login/code/", "/login/?ended=idle", "/login/openid/callback/"):
        found += _look_at(stranger, address, width)

    assert found == []
    assert all("400" in complaint for complaint in complaints)
    complaints.clear()
