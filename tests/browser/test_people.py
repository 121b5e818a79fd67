"""An administrator adds a person, who opens the one-time link elsewhere; axe on the pages for people and groups."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext, Page

from restorereports.audit import COMMAND_LINE
from restorereports.models import EnterpriseManager, GroupRule, SecondFactor, User
from restorereports.sign_in.links import make_link
from tests.browser.conftest import UGLY
from tests.browser.test_accessibility import AXE, RUN
from tests.factories import make_user
from tests.sign_in.test_people import from_provider

pytestmark = pytest.mark.browser
NEW = "another long pass phrase"


def test_from_adding_a_person_to_what_that_person_sees(
    page: Page, history: EnterpriseManager, open_context: Callable[..., BrowserContext]
) -> None:
    """Without script in the person's browser."""
    page.goto("/people/")
    page.get_by_role("link", name="Add person").click()
    page.get_by_label("User name").fill("c.specimen")
    page.get_by_label("Full name").fill("<script>alert(1)</script> \u202e")
    page.get_by_label("Role", exact=True).select_option("operator")
    page.get_by_label("em-south").check()
    page.get_by_role("button", name="Add and make the link").click()
    link = page.locator("#one-time-link").inner_text()
    assert "shown this once" in page.locator("main").inner_text()

    other = open_context(java_script_enabled=False).new_page()
    other.goto(link)
    other.get_by_label("New password", exact=True).fill(NEW)
    other.get_by_label("New password again").fill(NEW)
    other.get_by_role("button", name="Set password").click()
    other.get_by_label("Username").fill("c.specimen")
    other.get_by_label("Password").fill(NEW)
    other.get_by_role("button", name="Log in").click()

    other.goto("/enterprise-managers/")
    seen = other.locator("main").inner_text()
    assert "em-south" in seen
    assert "em-north" not in seen
    assert other.get_by_role("link", name="People").count() == 0
    person = User.objects.get(username="c.specimen")
    assert person.check_password(NEW)
    page.goto("/people/")
    assert "No password yet" not in page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_pages_are_accessible_and_never_scroll_sideways(
    open_context: Callable[..., BrowserContext],
    administrator: User,
    history: EnterpriseManager,
    scheme: str,
    width: int,
) -> None:
    ugly = [make_user(User.Role.VIEWER, history, username=name[:150]) for name in UGLY if name]
    provided = from_provider(make_user(User.Role.AUDITOR, everything=False))
    SecondFactor.objects.create(user=ugly[0], secret_token="x", confirmed_at=timezone.now())
    rules = [GroupRule.objects.create(group=name[:255], role="viewer") for name in UGLY if name]
    addresses = [
        *("/people/", "/people/add/", f"/people/{ugly[0].pk}/", f"/people/{provided.pk}/", "/groups/"),
        *("/groups/add/", f"/groups/{rules[0].pk}/", f"/groups/{rules[1].pk}/delete/"),
        make_link(ugly[2], actor=COMMAND_LINE),
    ]
    page = open_context(
        administrator, color_scheme=scheme, viewport={"width": width, "height": 900}
    ).new_page()

    for address in addresses:
        page.goto(address)
        _hold(page, address)
    page.goto(f"/people/{ugly[0].pk}/")
    page.get_by_role("button", name="Make a one-time link").click()
    _hold(page, "the link")
    page.goto("/people/add/")
    page.get_by_role("button", name="Add and make the link").click()
    _hold(page, "a refused form")


def _hold(page: Page, where: str) -> None:
    page.evaluate(AXE)
    assert page.evaluate(RUN) == [], where
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, where
