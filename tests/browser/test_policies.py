"""From a preset to an exemption and a class, by hand in Chromium; axe on the pages for policies, VMs and classes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page

from restorereports.models import (
    ClassRules,
    EnterpriseManager,
    Exemption,
    Policy,
    RestoreSession,
    RestoreSessionNote,
    User,
    VirtualMachine,
)
from restorereports.policies.class_rules import ClassRule, plain_rules
from restorereports.policies.terms import Machine, Rule, Terms, Tier
from tests.browser.conftest import UGLY
from tests.browser.test_accessibility import AXE, RUN
from tests.factories import make_full_run, make_inventory, make_policy, make_presence

pytestmark = pytest.mark.browser
LONG = "n" * 200


@pytest.fixture
def protected(history: EnterpriseManager) -> EnterpriseManager:
    """Every VM of the history has restore points since long ago, and all that EM shows was read."""
    now = timezone.now()
    for em in EnterpriseManager.objects.all():
        EnterpriseManager.objects.filter(pk=em.pk).update(covered_from_at=now - timedelta(days=500))
        em.backup_server_sources.update(covered_from_at=now - timedelta(days=500))
        run = make_full_run(
            em, started_at=now - timedelta(days=200), covers_from_at=now - timedelta(days=230)
        )
        make_inventory(run)
        for days in range(190, -1, -10):
            make_full_run(em, started_at=now - timedelta(days=days, minutes=1))
    for number, vm in enumerate(VirtualMachine.objects.select_related("backup_server")):
        since = now - timedelta(days=3 if number % 17 == 5 else 300)
        make_presence(vm.backup_server, history, vm.name, since)
    RestoreSession.objects.exclude(vm_name="").filter(pk__in=_every(2)).update(session_class="test")
    RestoreSession.objects.filter(pk__in=_every(3)).update(session_class="real")
    for row in RestoreSession.objects.filter(pk__in=_every(4)):
        RestoreSession.objects.filter(pk=row.pk).update(started_at=row.started_at - timedelta(days=100))
    return history


def _every(step: int) -> list[int]:
    return list(RestoreSession.objects.order_by("pk").values_list("pk", flat=True))[::step]


@pytest.fixture
def policy(protected: EnterpriseManager, administrator: User) -> Policy:
    now = timezone.now()
    gold = Tier(
        name="Tier 1",
        window_days=30,
        target=98,
        rto_minutes=240,
        rules=(Rule(name="vm-1*"), Rule(label="gold")),
    )
    rest = Tier(name="<b>Tier</b> 2 \u202e" + "x" * 40, window_days=90, target=40)
    terms = Terms(
        tiers=(gold, rest),
        other_tier=rest.name,
        exclude=(Rule(name="vm-69"), Rule(name='name: odd; "x"', backup_server="vbr-*")),
        machines=(
            Machine(name="vm-20", tier="Tier 1", owner="Finance systems", label="gold"),
            Machine(name="never-seen-01", backup_server="vbr-east.example.test", owner=LONG),
        ),
        controls=("CIS v8.1 11.5", "NIST CSF 2.0 PR.DS-11"),
    )
    first = make_policy(
        Terms(tiers=(rest,), other_tier=rest.name), name="Restore tests", made_by=administrator
    )
    make_policy(terms, policy=first.policy, note="The auditor asks for tiers.", made_by=administrator)
    make_policy(terms, name=f"Second policy {'y' * 80}")
    Policy.objects.filter(pk=make_policy(terms, name="Old one").policy_id).update(retired_at=now)
    for number, name in enumerate(("vm-12", "vm-13", "vm-30")):
        Exemption.objects.create(
            policy=first.policy,
            virtual_machine=VirtualMachine.objects.get(name=name),
            reason="Storage is being moved;\nthe test comes after it. " + LONG * (number == 2),
            approver="C. Specimen",
            given_at=now - timedelta(days=9),
            given_by=administrator,
            expires_at=now + timedelta(days=20 - 13 * number),
            withdrawn_at=now if number == 1 else None,
            withdrawn_by=administrator if number == 1 else None,
        )
    policy: Policy = first.policy
    return policy


@pytest.fixture
def addresses(policy: Policy, administrator: User) -> list[str]:
    rules = (
        ClassRule(
            session_class="test", name="lab-*", weekdays=(5, 6), from_hour=22, to_hour=6, zone="Europe/Berlin"
        ),
        ClassRule(session_class="real", backup_server="vbr-*"),
    )
    ClassRules.objects.create(
        number=1, rules=plain_rules(rules), note="As agreed.", made_at=timezone.now(), made_by=administrator
    )
    failed = RestoreSession.objects.filter(outcome="Failed").first()
    assert failed is not None
    RestoreSessionNote.objects.create(
        restore_session=failed,
        author=administrator,
        at=timezone.now(),
        text="The disk was full.\nRepeat it.",
        acknowledges=True,
    )
    vms = [VirtualMachine.objects.get(name=name).pk for name in ("vm-12", "vm-20", "vm-69", UGLY[0])]
    return [
        "/policies/",
        "/policies/add/?preset=90",
        f"/policies/{policy.pk}/",
        f"/policies/{policy.pk}/edit/",
        f"/policies/{policy.pk}/exemptions/add/?vm={vms[0]}",
        "/coverage/",
        "/coverage/?verdict=overdue&tier=Tier+1&vm=vm",
        "/coverage/?vm=nothing-of-this-name",
        "/coverage/history/",
        *(f"/vms/{pk}/" for pk in vms),
        "/classes/",
        "/classes/run/?since=2026-01-01",
        f"/restore-sessions/{failed.pk}/",
        "/?session_class=unset&session_class=test",
        "/reports/add/",
        "/reports/schedules/add/",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_never_scroll_sideways(
    open_context: Callable[..., BrowserContext],
    administrator: User,
    addresses: list[str],
    complaints: list[str],
    scheme: str,
    width: int,
) -> None:
    page = open_context(
        administrator, color_scheme=scheme, viewport={"width": width, "height": 900}, reduced_motion="reduce"
    ).new_page()

    for address in addresses:
        page.goto(address)
        _hold(page, address)
    page.goto("/reports/add/")
    page.get_by_label("Period", exact=True).select_option("last-month")
    page.get_by_label("Policy").select_option(index=1)
    page.get_by_role("button", name="Preview the figures").last.click()
    _hold(page, "the preview of a report")
    page.goto(addresses[3])
    page.get_by_role("button", name="Add a tier").click()
    _hold(page, "a tier more")
    page.get_by_label("Tier for all other VMs").fill("No such tier")
    page.get_by_role("button", name="Preview").last.click()
    _hold(page, "a refused policy")
    page.goto(addresses[3])
    page.get_by_label("Window, days, row 1").fill("7")
    page.get_by_role("button", name="Preview").last.click()
    _hold(page, "the preview")
    assert complaints  # the refused policy was answered with 422
    assert all("422" in complaint for complaint in complaints)
    complaints.clear()


def test_from_a_preset_to_an_exemption_and_a_class(
    protected: EnterpriseManager, administrator: User, open_context: Callable[..., BrowserContext]
) -> None:
    """All of it without script."""
    page = open_context(administrator, java_script_enabled=False).new_page()
    page.goto("/policies/")
    page.get_by_role("link", name="90 days").click()
    page.get_by_label("Name", exact=True).fill("Quarterly tests")
    page.get_by_role("button", name="Add a tier").click()
    page.get_by_label("Tier, row 2").fill("Databases")
    page.get_by_label("Window, days, row 2").fill("30")
    page.get_by_label("Target, %, row 2").fill("50")
    page.get_by_label("Rules, row 2").fill("vm-2*\nname: vm-3*; server: vbr-*")
    page.get_by_role("button", name="Preview").last.click()
    assert "What Quarterly tests would say" in page.locator("h1").inner_text()
    assert not Policy.objects.exists()
    page.get_by_role("button", name="Save").click()
    assert "Saved: P-" in page.locator(".flash").inner_text()
    policy = Policy.objects.get()

    page.get_by_role("link", name="Databases").click()
    before = page.locator(".figure-row").inner_text()
    page.get_by_role("link", name="vm-25", exact=True).click()
    assert "rule 1 of the tier" in page.locator("main").inner_text()
    page.get_by_role("link", name=f"Give an exemption from {policy}").click()
    page.get_by_label("Reason").fill("The storage moves.")
    page.get_by_label("Approved by").fill("C. Specimen")
    page.get_by_label("Last day").fill((timezone.localtime() + timedelta(days=30)).date().isoformat())
    page.get_by_role("button", name="Give the exemption").click()
    page.get_by_role("link", name="vm-25", exact=True).click()
    assert page.locator("h1 + .verdict").inner_text().strip() == "Exempt"

    page.locator("section", has=page.locator("#h-restores")).get_by_role("link").first.click()
    page.get_by_text("Set the class").click()
    page.locator("select[name=session_class]").select_option("real")
    page.get_by_label("Reason").fill("It was no drill.")
    page.get_by_role("button", name="Set this class").click()
    assert "by hand; rules leave it alone" in page.locator("#class").inner_text()
    page.goto(f"/coverage/?policy={policy.pk}")
    assert page.locator(".figure-row").inner_text() != before
    assert RestoreSession.objects.get(class_by_hand=True).session_class == "real"


def _hold(page: Page, where: str) -> None:
    page.evaluate(AXE)
    assert page.evaluate(RUN) == [], where
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{where} is {wider} px too wide"
