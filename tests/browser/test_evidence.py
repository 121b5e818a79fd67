"""The register's pages in a browser: accessible at every width and theme, and a file verified with and without script."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from django.utils import timezone
from playwright.sync_api import BrowserContext

from restorereports import audit
from restorereports.models import Report, RestoreSessionScope, User
from restorereports.reports import document, pdf, retention
from restorereports.reports.files import path_of
from restorereports.reports.render import render_report
from restorereports.reports.request import request_report
from tests.factories import make_policy
from tests.granted_world import TERMS

from .test_accessibility import _look_at, _too_wide

pytestmark = pytest.mark.browser


@pytest.fixture
def evidence(
    administrator: User, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Report]:
    """A draft, and final reports: one superseded, one held, one deleted, one that stays."""
    settings.VAR_DIR = tmp_path

    def write(html: str, into: IO[bytes], **_options: object) -> int:
        return into.write(b"%PDF-1.7 " + html.encode()) and 12

    monkeypatch.setattr(pdf, "write", write)
    monkeypatch.setattr(document, "html", lambda report, *_a, **_k: f"{report} {report.stage}")
    now = timezone.now()
    version = make_policy(TERMS, name="Restore tests of all servers")
    actor = audit.Actor(person=administrator)

    def made(stage: str = Report.Stage.FINAL, **values: Any) -> Report:
        scope = RestoreSessionScope(start=now - timedelta(days=31), end=now - timedelta(days=1))
        asked = {
            "zone": "Europe/Berlin",
            "organisation": "Example AG",
            "requested_by": administrator,
        } | values
        report = request_report(scope=scope, at=now, stage=stage, **asked)
        render_report(report.pk, as_of=now)
        report.refresh_from_db()
        assert report.status == Report.Status.READY, report.error
        return report

    found = {"draft": made(Report.Stage.DRAFT), "superseded": made(policy_version=version)}
    found["whole"] = made(policy_version=version, supersedes=found["superseded"])
    found["held"] = made(organisation="x" * 190)
    retention.hold(found["held"], actor, "Case 4711: keep it until the court has decided.", at=now)
    found["deleted"] = made()
    Report.objects.filter(pk=found["deleted"].pk).update(finalised_at=now - timedelta(days=500))
    retention.delete(found["deleted"], actor, "The customer left.", at=now)
    return found


@pytest.fixture
def addresses(evidence: dict[str, Report]) -> list[str]:
    pages = [f"/reports/{report.pk}/" for report in evidence.values()]
    return ["/evidence/", "/evidence/?policy=1", "/evidence/?before=1", "/evidence/verify/", *pages]


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


@pytest.mark.parametrize("width", [320, 1024, 2560])
def test_other_widths(
    open_context: Callable[..., BrowserContext], administrator: User, addresses: list[str], width: int
) -> None:
    page = open_context(administrator, viewport={"width": width, "height": 900}).new_page()

    found = [finding for address in addresses for finding in _too_wide(page, address, width)]

    assert found == []


@pytest.mark.parametrize("script", [True, False])
def test_a_file_is_verified_with_and_without_script(
    open_context: Callable[..., BrowserContext],
    administrator: User,
    evidence: dict[str, Report],
    tmp_path: Path,
    script: bool,
) -> None:
    page = open_context(administrator, java_script_enabled=script).new_page()
    changed = tmp_path / "changed.pdf"
    changed.write_bytes(path_of(evidence["whole"]).read_bytes() + b" ")
    said = []

    for file in (path_of(evidence["whole"]), path_of(evidence["superseded"]), changed):
        page.goto("/evidence/verify/")
        page.set_input_files("#id_file", file)
        page.get_by_role("button", name="Verify").click()
        said.append(page.locator(".notice").inner_text())

    assert f"Match: {evidence['whole']}" in said[0]
    assert f"It was superseded by {evidence['whole']}" in said[1]
    assert "No match" in said[2]
