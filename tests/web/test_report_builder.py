"""The report builder: periods by preset, a policy, looks, a logo written anew, figures before anything is rendered."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image

from restorereports.models import (
    AuditEntry,
    Logo,
    Policy,
    Report,
    ReportSchedule,
    RestoreSessionScope,
    User,
)
from restorereports.policies.terms import Terms, Tier
from restorereports.reports.request import FilteredByPolicy, request_report
from restorereports.web import logos
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_policy,
    make_presence,
    make_report,
    make_restore_session,
    make_user,
)
from tests.web.conftest import NOW, logged_in

pytestmark = pytest.mark.django_db
TERMS = Terms(tiers=(Tier(name="All VMs", window_days=90, target=90),), other_tier="All VMs")
JULY = {"period": "2026-07", "zone": "UTC"}


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20), mode: str = "RGBA", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "red").save(out, format=kind, **options)
    return out.getvalue()


def upload(content: bytes, name: str = "logo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


@pytest.mark.parametrize(
    ("preset", "start", "end"),
    [
        ("last-month", "2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00"),
        ("last-quarter", "2025-10-01T00:00:00+02:00", "2026-01-01T00:00:00+01:00"),
        ("last-year", "2025-01-01T00:00:00+01:00", "2026-01-01T00:00:00+01:00"),
    ],
)
def test_presets_are_whole_periods_of_the_zone(page: Client, preset: str, start: str, end: str) -> None:
    with time_machine.travel(datetime(2026, 3, 1, 3, tzinfo=UTC), tick=False):
        page.post("/reports/add/", {"preset": preset, "zone": "Europe/Berlin"})

    scope = Report.objects.get().restore_session_scope()
    assert (scope.start, scope.end) == (datetime.fromisoformat(start), datetime.fromisoformat(end))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"preset": "last-month", "period": "2026-07"}, "not both"),
        ({"preset": "next-month"}, "not one of the available choices"),
        ({}, "Name the period"),
        (JULY | {"policy": "987654"}, "not one of the available choices"),
        (JULY | {"policy": "9" * 30}, "not one of the available choices"),
        (JULY | {"supersedes": "1"}, "not one of the available choices"),
        (JULY | {"language": "tlh"}, "not one of the available choices"),
        (JULY | {"paper": "a0"}, "not one of the available choices"),
        (JULY | {"stage": "signed"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_asked_is_refused(page: Client, data: dict[str, str], sentence: str) -> None:
    html = page.post("/reports/add/", {"zone": "UTC"} | data).content.decode()

    assert sentence in html
    assert not Report.objects.exists()


def test_everything_chosen_is_kept_with_the_report(page: Client) -> None:
    version = make_policy(TERMS)
    data = {
        "organisation": "Example AG",
        "language": "de",
        "paper": "letter",
        "classification": "Confidential",
        "distribution": "Board",
        "stage": "final",
        "policy": version.policy_id,
    }

    page.post("/reports/add/", JULY | data)

    report = Report.objects.get()
    assert report.policy_version == version
    assert {name: getattr(report, name) for name in data if name != "policy"} | {
        "policy": version.policy_id
    } == data
    details = AuditEntry.objects.get(action="report_requested").details
    assert (details["stage"], details["policy"]) == ("final", str(version))


def test_the_figures_are_shown_before_anything_is_asked(page: Client) -> None:
    em = make_enterprise_manager()
    server = make_backup_server(em)
    for day, result in ((1, "Success"), (2, "Failed"), (3, "Success")):
        make_restore_session(
            server,
            enterprise_manager=em,
            vm_name="db",
            result=result,
            started_at=datetime(2026, 7, day, tzinfo=UTC),
            session_class="test",
        )
    make_presence(server, em, "db", datetime(2026, 1, 1, tzinfo=UTC))
    version = make_policy(TERMS)

    response = page.post("/reports/add/", JULY | {"policy": version.policy_id, "preview": ""})

    html = " ".join(response.content.decode().split())
    preview = response.context["preview"]
    assert not Report.objects.exists()
    assert (preview.counts.total, sum(n for _outcome, n in preview.parts)) == (3, 3)
    assert "2 Success + 0 Warning + 1 Failed" in html
    assert '<span class="nm">2 <i>/ 3</i></span> (66.7 %)' in html
    assert f"Coverage by {version} as of 2026-08-01 00:00:00" in html
    assert '<span class="nm">1 <i>/ 1</i></span>' in html
    assert 'name="make"' in html
    assert 'name="period" value="2026-07"' in html


def test_a_period_that_is_not_over_says_so(page: Client) -> None:
    data = {
        "zone": "UTC",
        "started_from": NOW.date().isoformat(),
        "started_to": NOW.date().isoformat(),
        "preview": "",
    }

    html = page.post("/reports/add/", data).content.decode()

    assert "This period is not over" in html
    assert "(no restores)" in html


def test_a_retired_policy_is_not_offered(page: Client) -> None:
    policy = make_policy(TERMS).policy
    Policy.objects.filter(pk=policy.pk).update(retired_at=NOW)

    assert str(policy) not in page.get("/reports/add/").content.decode()


def test_a_final_report_takes_the_place_of_ones_own(page: Client, auditor: User) -> None:
    values = {"stage": "final", "status": "ready", "file_name": "r.pdf"}
    own = make_report(requested_by=auditor, **values)
    make_report(**values | {"stage": "draft"})

    page.post("/reports/add/", JULY | {"stage": "final", "supersedes": own.pk})
    refused = page.post("/reports/add/", JULY | {"stage": "final", "supersedes": own.pk}).content.decode()

    made = Report.objects.order_by("pk").last()
    assert made is not None
    assert made.supersedes == own
    assert "not one of the available choices" in refused


def test_a_draft_takes_no_reports_place(page: Client, auditor: User) -> None:
    own = make_report(requested_by=auditor, stage="final", status="ready")

    html = page.post("/reports/add/", JULY | {"supersedes": own.pk}).content.decode()

    assert "Only a FINAL report takes the place of another one." in html


def test_the_final_report_of_somebody_else_is_not_offered_to_who_sees_a_part(client: Client) -> None:
    server = make_backup_server()
    report = make_report(stage="final", status="ready", covers_everything=False)
    report.covers.set([server])

    html = logged_in(client, make_user(User.Role.AUDITOR, server)).get("/reports/add/").content.decode()

    assert str(report) not in html


def test_two_who_supersede_the_same_report_at_once(
    page: Client, auditor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_report(requested_by=auditor, stage="final", status="ready")
    make_report(supersedes=own)
    finals = Report.objects.filter(pk=own.pk)
    monkeypatch.setattr("restorereports.web.forms.report._own_finals", lambda reader: finals)

    html = page.post("/reports/add/", JULY | {"stage": "final", "supersedes": own.pk}).content.decode()

    assert "Another report took the place of this one meanwhile." in html


def test_a_logo_is_written_anew_and_kept_once(page: Client) -> None:
    from PIL.PngImagePlugin import PngInfo

    told = PngInfo()
    told.add_text("Comment", "secret of the designer")
    content = picture(pnginfo=told) + b"PK hidden archive"

    for _time in range(2):
        page.post("/reports/add/", JULY | {"logo_file": upload(content)})

    logo = Logo.objects.get()
    assert logo.media_type == "image/png"
    assert b"secret" not in bytes(logo.image)
    assert b"hidden" not in bytes(logo.image)
    assert Image.open(io.BytesIO(logo.image)).size == (40, 20)
    assert set(Report.objects.values_list("logo", flat=True)) == {logo.pk}


def test_the_logo_of_the_preview_goes_with_the_report(page: Client) -> None:
    shown = page.post(
        "/reports/add/", JULY | {"logo_file": upload(picture("JPEG", mode="RGB")), "preview": ""}
    )
    logo = Logo.objects.get()

    page.post("/reports/add/", JULY | {"logo": logo.sha256})

    assert logo.sha256 in shown.content.decode()
    assert logo.media_type == "image/jpeg"
    assert Report.objects.get().logo == logo


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"<svg onload='alert(1)'/>", "no PNG and no JPEG"),
        (picture("GIF", mode="RGB"), "no PNG and no JPEG"),
        (picture("PNG", size=(300, 300))[:60], "cut off or damaged"),
        (picture("JPEG", size=(300, 300), mode="RGB")[:-9], "cut off or damaged"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 99, "no PNG and no JPEG|cut off or damaged"),
        (b"x" * 500_001, "larger than 500 KB"),
        (picture("PNG", size=(4001, 4000), mode="1"), "16 million pixels"),
    ],
)
def test_what_is_no_picture_is_refused(page: Client, content: bytes, sentence: str) -> None:
    html = page.post("/reports/add/", JULY | {"logo_file": upload(content)}).content.decode()

    assert any(words in html for words in sentence.split("|"))
    assert not Logo.objects.exists()
    assert not Report.objects.exists()


def test_a_large_picture_is_made_smaller_and_odd_colours_plain(page: Client) -> None:
    page.post("/reports/add/", JULY | {"logo_file": upload(picture("JPEG", size=(3000, 100), mode="CMYK"))})

    kept = Image.open(io.BytesIO(Logo.objects.get().image))
    assert (kept.width, kept.mode) == (logos.LARGEST_SIDE, "RGB")


def test_a_report_by_a_policy_refuses_filters_for_how_restores_ended(auditor: User) -> None:
    version = make_policy(TERMS)
    scope = RestoreSessionScope(start=NOW - timedelta(days=30), end=NOW, outcomes=("Success",))
    asked: dict[str, Any] = {"zone": "UTC", "organisation": "", "requested_by": auditor, "at": NOW}

    with pytest.raises(FilteredByPolicy, match="take the filter for result, state, type or class away"):
        request_report(scope=scope, policy_version=version, **asked)

    assert request_report(scope=scope, **asked).policy_version is None


def test_a_schedule_has_looks_and_a_policy_on_record(admin_page: Client) -> None:
    version = make_policy(TERMS)
    data = {
        "name": "Monthly",
        "recipients": "a@example.test",
        "zone": "UTC",
        "day": "1",
        "hour": "6",
        "begin": "next",
        "is_active": "on",
        "policy": version.policy_id,
        "language": "de",
        "paper": "letter",
        "classification": "Internal",
        "distribution": "Board",
    }

    admin_page.post("/reports/schedules/add/", data | {"logo_file": upload(picture())})
    schedule = ReportSchedule.objects.get()
    added = AuditEntry.objects.filter(action="schedule_changed").first()
    admin_page.post(f"/reports/schedules/{schedule.pk}/", data | {"drop_logo": "on", "policy": ""})

    assert (schedule.policy, schedule.language, schedule.paper) == (version.policy, "de", "letter")
    assert schedule.logo == Logo.objects.get()
    assert added is not None
    assert added.details["added"]["policy"] == str(version.policy)
    schedule.refresh_from_db()
    assert (schedule.logo, schedule.policy) == (None, None)
    changed = AuditEntry.objects.filter(action="schedule_changed").first()
    assert changed is not None
    assert set(changed.details) == {"policy", "logo"}
