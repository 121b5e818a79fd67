"""The register's pages: final reports, whether a file is one of them, making final, holds and deletion."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import IO, Any

import pytest
import time_machine
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from restorereports.models import AuditEntry, RegisterEntry, Report, User
from restorereports.reports import document, pdf
from restorereports.reports.files import path_of
from restorereports.reports.render import render_report
from restorereports.reports.request import request_report
from restorereports.web import hashed_upload
from tests.factories import make_backup_server, make_enterprise_manager, make_policy, make_user
from tests.granted_world import TERMS
from tests.reports.population import AS_OF, JULY

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _short(settings: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without their layout, in a folder of their own; made where they are asked for."""
    settings.VAR_DIR = tmp_path

    def write(html: str, into: IO[bytes], *, identifier: str, **_options: object) -> int:
        return into.write(f"%PDF-1.7 {identifier} {html}".encode()) and 9

    monkeypatch.setattr(pdf, "write", write)
    monkeypatch.setattr(document, "html", lambda report, *_a, **_k: f"{report} {report.stage}")
    monkeypatch.setattr("restorereports.web.views.evidence.wake", lambda *_: None)


@pytest.fixture
def auditor() -> User:
    return make_user(User.Role.AUDITOR, everything=True, username="auditor")


@pytest.fixture
def client(auditor: User) -> Client:
    return signed_in(auditor)


def signed_in(person: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(person)
    return client


def made(**values: Any) -> Report:
    asked = {"scope": JULY, "zone": "UTC", "organisation": "", "requested_by": None, "at": AS_OF} | values
    report = request_report(**asked)
    render_report(report.pk, as_of=AS_OF)
    report.refresh_from_db()
    assert report.status == Report.Status.READY, report.error
    return report


def final(**values: Any) -> Report:
    return made(stage=Report.Stage.FINAL, **values)


def verified(client: Client, content: bytes) -> str:
    file = SimpleUploadedFile("evidence.pdf", content, content_type="application/pdf")
    response = client.post(reverse("evidence-verify"), {"file": file})
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def page(client: Client, name: str, *args: Any, query: str = "") -> str:
    response = client.get(reverse(name, args=args) + query)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_the_register_lists_final_reports_newest_first_and_no_draft(client: Client) -> None:
    draft, old, new = made(), final(), final()

    shown = page(client, "evidence-list")

    assert str(draft) not in shown
    assert re.findall(r"RR-2026-\d{4}", shown) == [str(new), str(old)]
    assert old.sha256[:16] in shown
    assert new.data_sha256[:16] in shown
    assert f"2:{RegisterEntry.objects.get(number=2).hash}" in shown


def test_the_register_is_read_a_page_at_a_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("restorereports.web.views.evidence.ROWS", 2)
    reports = [final() for _ in range(3)]

    first, second = page(client, "evidence-list"), page(client, "evidence-list", query="?before=2")

    assert re.findall(r"RR-2026-\d{4}", first) == [str(reports[2]), str(reports[1])]
    assert "before=2" in first
    assert re.findall(r"RR-2026-\d{4}", second) == [str(reports[0])]
    assert client.get(reverse("evidence-list") + "?before=x").status_code == 400


def test_the_register_says_what_is_superseded_held_and_deleted(client: Client) -> None:
    old = final()
    new = final(supersedes=old)
    held = final()
    Report.objects.filter(pk=held.pk).update(held=True)
    Report.objects.filter(pk=new.pk).update(error="Deleted on 2027-10-01: why")

    shown = page(client, "evidence-list")

    assert f"superseded by {new}" in shown
    assert "legal hold" in shown
    assert "deleted" in shown


def test_the_register_can_be_read_by_policy(client: Client) -> None:
    version = make_policy(TERMS, name="Servers")
    judged, other = final(policy_version=version), final()

    shown = page(client, "evidence-list", query=f"?policy={version.policy_id}")

    assert str(judged) in shown
    assert str(other) not in shown
    assert str(version) in shown


def test_queries_of_the_register_do_not_grow_with_it(client: Client, django_assert_num_queries: Any) -> None:
    final()
    page(client, "evidence-list")
    with CaptureQueriesContext(connection) as few:
        page(client, "evidence-list")
    for _ in range(4):
        final()

    with django_assert_num_queries(len(few)):
        page(client, "evidence-list")


def test_the_very_file_is_recognised_and_the_look_is_on_record(client: Client, auditor: User) -> None:
    report = final(organisation="Example AG")

    shown = verified(client, path_of(report).read_bytes())

    entry = AuditEntry.objects.get(action="evidence_verified")
    assert f"Match: {report}" in shown
    assert "Every byte is that of this final report." in shown
    assert "Example AG" in shown
    assert f"1:{RegisterEntry.objects.get().hash}" in shown
    assert (entry.person, entry.object_name) == (auditor, str(report))
    assert entry.details == {"sha256": report.sha256, "match": str(report), "bytes": report.size}


def test_a_changed_byte_is_no_match(client: Client) -> None:
    report = final()

    shown = verified(client, path_of(report).read_bytes() + b" ")

    assert "No match" in shown
    assert str(report) not in shown
    assert AuditEntry.objects.get(action="evidence_verified").details["match"] == ""


def test_a_draft_is_told_to_be_one_and_a_superseded_report_too(client: Client) -> None:
    draft, old = made(), final()
    new = final(supersedes=old)

    assert "is a DRAFT and no evidence yet" in verified(client, path_of(draft).read_bytes())
    assert f"{new}</a>" in verified(client, path_of(old).read_bytes())


def test_an_entry_that_was_changed_is_told_at_the_match(client: Client) -> None:
    report = final()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE restorereports_registerentry SET seal=%s", ["0" * 64])

    assert "was changed after it was written" in verified(client, path_of(report).read_bytes())


def test_a_report_one_may_not_see_is_no_match_in_the_same_words() -> None:
    manager = make_enterprise_manager(name="em-mine")
    make_backup_server(manager)
    scoped = signed_in(make_user(User.Role.AUDITOR, manager))
    report = final()
    unknown = re.sub(r"[0-9a-f]{64}", "", verified(scoped, b"%PDF of somebody else"))

    shown = verified(scoped, path_of(report).read_bytes())

    assert "No match" in shown
    strip = re.compile(r"[0-9a-f]{64}|value=\"[A-Za-z0-9]{64}\"|nonce=\"[^\"]*\"|\d\d:\d\d:\d\d")
    assert strip.sub("", shown) == strip.sub("", unknown)
    assert AuditEntry.objects.filter(action="evidence_verified", object_id=report.pk).count() == 0


def test_no_file_is_asked_for_again(client: Client) -> None:
    response = client.post(reverse("evidence-verify"))

    assert response.status_code == 422
    assert "Choose a file first." in response.content.decode()


def test_the_upload_is_kept_nowhere(client: Client, settings: Any, tmp_path: Any, monkeypatch: Any) -> None:
    temporary = tmp_path / "uploads"
    temporary.mkdir()
    settings.FILE_UPLOAD_TEMP_DIR = str(temporary)
    seen: list[int] = []
    right = hashed_upload.HashingHandler.receive_data_chunk

    def watched(handler: Any, raw: bytes, start: int) -> None:
        seen.append(len(raw))
        assert list(temporary.iterdir()) == []
        right(handler, raw, start)

    monkeypatch.setattr(hashed_upload.HashingHandler, "receive_data_chunk", watched)

    shown = verified(client, b"%PDF" + b"x" * 5_000_000)

    assert "No match" in shown
    assert sum(seen) == 5_000_004
    assert max(seen) < 100_000


def test_a_file_that_is_too_large_is_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashed_upload, "MOST_BYTES", 1000)
    file = SimpleUploadedFile("evidence.pdf", b"x" * 100_000)

    response = client.post(reverse("evidence-verify"), {"file": file})

    assert response.status_code == 400
    assert "The file is larger than" in response.content.decode()
    assert AuditEntry.objects.filter(action="evidence_verified").count() == 0


def test_verifying_needs_the_token_of_the_form(auditor: User) -> None:
    strict = signed_in(auditor, enforce_csrf_checks=True)
    file = SimpleUploadedFile("evidence.pdf", b"x")

    refused = strict.post(reverse("evidence-verify"), {"file": file})
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page(strict, "evidence-verify"))
    assert token
    file.seek(0)
    taken = strict.post(reverse("evidence-verify"), {"file": file, "csrfmiddlewaretoken": token[1]})

    assert (refused.status_code, taken.status_code) == (403, 200)


def test_a_draft_is_made_final_from_its_page(client: Client, auditor: User) -> None:
    report = made(requested_by=auditor)
    assert "Make final" in page(client, "report-detail", report.pk)

    response = client.post(reverse("report-final", args=[report.pk]))
    render_report(report.pk, as_of=AS_OF)

    report.refresh_from_db()
    shown = page(client, "report-detail", report.pk)
    assert response.status_code == 302
    assert (report.stage, report.finalised_by) == ("final", auditor)
    assert "Make final" not in shown
    assert f"1:{RegisterEntry.objects.get().hash}" in shown
    assert client.post(reverse("report-final", args=[report.pk])).status_code == 400


def test_a_hold_is_set_and_lifted_with_a_reason_by_administrators(client: Client) -> None:
    report = final()
    root = signed_in(make_user(User.Role.ADMINISTRATOR, username="root"))
    place = reverse("evidence-hold", args=[report.pk])

    assert client.post(place, {"reason": "x"}).status_code == 403
    assert root.post(place, {"reason": " "}).status_code == 400
    assert root.post(place, {"reason": "Case 4711\r\nopen"}).status_code == 302
    assert root.post(place, {"reason": "again"}).status_code == 400
    shown = page(root, "report-detail", report.pk)
    assert "Case 4711" in shown
    assert "legal hold" in shown
    assert "Lift the legal hold" in shown
    assert root.post(reverse("evidence-release", args=[report.pk]), {"reason": "closed"}).status_code == 302

    report.refresh_from_db()
    assert report.held is False
    kinds = RegisterEntry.objects.order_by("number").values_list("kind", flat=True)
    assert list(kinds) == ["issued", "held", "released"]


def test_evidence_is_deleted_by_administrators_when_it_is_old_enough() -> None:
    report = final()
    root = signed_in(make_user(User.Role.ADMINISTRATOR, username="root"))
    place = reverse("evidence-delete", args=[report.pk])

    with time_machine.travel(AS_OF + timedelta(days=100), tick=False):
        root = signed_in(User.objects.get(username="root"))
        assert root.post(place, {"reason": "x"}).status_code == 400
        assert "It cannot be deleted now" in page(root, "report-detail", report.pk)
    with time_machine.travel(AS_OF + timedelta(days=500), tick=False):
        root = signed_in(User.objects.get(username="root"))
        assert "Delete for good" in page(root, "report-detail", report.pk)
        assert root.post(place, {"reason": "The customer left."}).status_code == 302
        shown = page(root, "report-detail", report.pk)

    report.refresh_from_db()
    assert "The customer left." in report.error
    assert report.sha256 in shown
    assert "Delete for good" not in shown


def test_a_final_report_offers_a_correction(client: Client) -> None:
    report = final()

    shown = page(client, "report-detail", report.pk)

    assert f"{reverse('report-add')}?supersedes={report.pk}" in shown


def test_the_register_says_verdict_issuer_and_size(client: Client, auditor: User) -> None:
    judged = final(policy_version=make_policy(TERMS), requested_by=auditor)
    assert judged.manifest["policy"]["judgement"] == "not_met"

    shown = page(client, "evidence-list")

    assert "Not met" in shown
    assert "auditor" in shown
    assert "1 KB" in shown


def test_a_file_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashed_upload, "MOST_BYTES", 1000)
    place = reverse("evidence-verify")

    answers = [
        client.post(place, {"file": SimpleUploadedFile("evidence.pdf", b"x" * size)}).status_code
        for size in (1000, 1001)
    ]

    assert answers == [200, 400]


def test_a_match_says_that_the_report_is_held_or_deleted_here(client: Client) -> None:
    held, gone = final(), final()
    content = path_of(gone).read_bytes()
    Report.objects.filter(pk=held.pk).update(held=True)
    Report.objects.filter(pk=gone.pk).update(error="Deleted on 2027-10-01: why")
    path_of(gone).unlink()

    shown_held, shown_gone = verified(client, path_of(held).read_bytes()), verified(client, content)

    assert "legal hold" in shown_held
    assert f"Match: {gone}" in shown_gone
    assert "the register still vouches for this one" in shown_gone


def test_the_draft_of_a_final_report_is_told_to_be_its_draft(client: Client, auditor: User) -> None:
    report = made()
    draft = path_of(report).read_bytes()
    assert client.post(reverse("report-final", args=[report.pk])).status_code == 302
    render_report(report.pk, as_of=AS_OF)
    report.refresh_from_db()
    assert (report.stage, report.status) == (Report.Stage.FINAL, Report.Status.READY)

    of_draft, of_final = verified(client, draft), verified(client, path_of(report).read_bytes())

    assert f"Match: {report}" in of_draft
    assert "the draft this final report was made from" in of_draft
    assert 'class="notice warn"' in of_draft
    assert "the draft this final report was made from" not in of_final
    assert 'class="notice good"' in of_final
