"""axe on every page, light and dark, wide and narrow; nothing scrolls sideways."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page

from restorereports.audit import Action, Actor, record
from restorereports.emulator.certificates import make_certificate
from restorereports.mirror.certificate import certificate_facts
from restorereports.models import Delivery, EnterpriseManager, RestoreSession, User
from restorereports.web.first_run import first_administrator_path
from tests.browser.rich import make_rich
from tests.factories import make_enterprise_manager, make_report, make_run, make_schedule, make_user

pytestmark = pytest.mark.browser
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text()
RUN = """async () => (await axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"]}))
  .violations.map(v => v.id + ": " + v.nodes.map(n => n.target + " " + n.failureSummary).join("; "))"""


@pytest.fixture
def addresses(history: EnterpriseManager, administrator: User) -> list[str]:
    """Every page in every state that looks different."""
    now = timezone.now()
    EnterpriseManager.objects.update(created_at=now - timedelta(days=60))
    make_run(history, status="running", page=41, pages=96, seen=4100, started_at=now)
    paused, refused = make_enterprise_manager(name="em-apac"), make_enterprise_manager(name="em-new")
    old, new = make_certificate().certificate_pem, make_certificate().certificate_pem
    paused.trust_certificate(old, certificate_facts(old).sha256, at=now)
    paused.paused_at, paused.paused_because, paused.offered_pem = now, "certificate_changed", new
    paused.save()
    make_run(paused, started_at=now - timedelta(days=25))
    make_run(paused, started_at=now, status="failed", error="The certificate is not the pinned one.")
    refused.paused_at, refused.paused_because = now, "logon_refused"
    refused.save()
    reports = [
        make_report(requested_by=administrator),
        make_report(status="failed", error="The disk is full."),
        make_report(
            status="ready", rows=9, pages=2, size=999, sha256="ab" * 32, file_name="r.pdf", as_of=now
        ),
    ]
    schedule = make_schedule()
    for month, status in enumerate(("sent", "given_up", "retrying", "planned"), start=6):
        Delivery.objects.create(
            schedule=schedule,
            status=status,
            attempts=2,
            error="550 rejected",
            next_try_at=now,
            period_start_at=datetime(2026, month, 1, tzinfo=UTC),
            period_end_at=datetime(2026, month + 1, 1, tzinfo=UTC),
        )
    for name in ("em-prod", "<script>", "\u202egnp.exe", "n" * 1000, "a\nb"):
        facts = {"interval_minutes": [15, 30], "password": {"changed": True}, "name": [name, "em"]}
        record(Action.EM_CHANGED, Actor(person=administrator, address="192.0.2.7"), name=name, details=facts)
    rows = list(RestoreSession.objects.order_by("-started_at")[:3])
    rich, told = make_rich(administrator, now)
    return [
        "/",
        "/?state=Stopped&vm_exact=vm-12&outcome=Success&sort=vm_name",
        "/?outcome=Failed&vm=nothing",
        "/?period=today&vm=nothing",
        "/?period=bogus",
        *(f"/restore-sessions/{row.pk}/" for row in rows),
        "/reports/",
        "/reports/add/",
        "/reports/schedules/add/",
        f"/reports/schedules/{schedule.pk}/",
        *(f"/reports/{report.pk}/" for report in reports),
        "/enterprise-managers/",
        *(f"/enterprise-managers/{em.pk}/" for em in (history, paused, refused)),
        f"/enterprise-managers/{rich.pk}/",
        *(f"/restore-sessions/{row.pk}/" for row in told),
        f"/?enterprise_manager={rich.pk}",
        f"/?enterprise_manager={rich.pk}&period=today",
        f"/enterprise-managers/{history.pk}/edit/",
        "/enterprise-managers/add/",
        "/audit/",
        "/audit/?first=2026-02-02&last=2026-02-01",
        "/account/",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(
    open_context: Callable[..., BrowserContext],
    administrator: User,
    addresses: list[str],
    scheme: str,
    width: int,
) -> None:
    window = {"width": width, "height": 900}
    page = open_context(
        administrator, color_scheme=scheme, viewport=window, reduced_motion="reduce"
    ).new_page()

    found = [finding for address in addresses for finding in _look_at(page, address, width)]

    assert found == []


def test_sheets_and_refusals(
    open_context: Callable[..., BrowserContext], transactional_db: None, complaints: list[str]
) -> None:
    page = open_context(viewport={"width": 390, "height": 800}).new_page()
    welcome = first_administrator_path()
    found = _look_at(page, welcome, 390)
    make_user()
    for address in ("/login/", welcome, "/nothing/"):
        found += _look_at(page, address, 390)

    assert found == []
    assert all("404" in complaint for complaint in complaints)
    complaints.clear()


@pytest.mark.parametrize("width", [320, 640, 1024, 2560])
def test_other_widths(
    open_context: Callable[..., BrowserContext], administrator: User, addresses: list[str], width: int
) -> None:
    page = open_context(administrator, viewport={"width": width, "height": 900}).new_page()

    found = [finding for address in addresses for finding in _too_wide(page, address, width)]

    assert found == []


def _look_at(page: Page, address: str, width: int) -> list[str]:
    found = _too_wide(page, address, width)
    page.evaluate(AXE)
    found += [f"{address} {violation}" for violation in page.evaluate(RUN)]
    return found


def _too_wide(page: Page, address: str, width: int) -> list[str]:
    page.goto(address)
    wide = page.evaluate("document.documentElement.scrollWidth")
    return [f"{address} is {wide} px wide at {width}"] if wide > width else []
