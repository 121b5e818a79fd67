"""The page of the audit trail, its CSV, and what people's acts leave in it."""

from __future__ import annotations

import csv
import hashlib
import io
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from restorereports.audit import COMMAND_LINE, Action, Actor, Via, faults, record
from restorereports.models import AuditEntry, Delivery, EnterpriseManager, Report, User
from restorereports.reports.files import path_of, sweep
from restorereports.web.refused import AT_MOST_EVERY, MOST
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_gap,
    make_report,
    make_restore_session,
    make_schedule,
    make_user,
)
from tests.test_audit import HOSTILE
from tests.web.conftest import NOW


def entries(*actions: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(action__in=actions).order_by("number"))


def only(action: str) -> AuditEntry:
    (found,) = entries(action)
    return found


def numbers(page: Client, query: str = "") -> list[int]:
    return [row.number for row in page.get(f"/audit/{query}").context["rows"]]


def logged_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# --- who sees it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [User.Role.VIEWER, User.Role.OPERATOR, User.Role.POLICY_OWNER])
@pytest.mark.parametrize("address", ["/audit/", "/audit.csv"])
def test_it_is_not_for_other_roles(db, role: str, address: str) -> None:
    client = logged_in(make_user(role))

    assert client.get(address).status_code == 403
    assert "Audit trail" not in client.get("/").content.decode()


def test_auditors_and_administrators_find_it_in_the_head(page: Client, admin_page: Client) -> None:
    for client in (page, admin_page):
        assert '<a href="/audit/"' in client.get("/").content.decode()


def test_a_scoped_auditor_sees_own_acts_and_those_on_wholly_granted_managers(db) -> None:
    mine, others = make_enterprise_manager(name="em-mine"), make_enterprise_manager(name="em-secret")
    auditor, colleague = (
        make_user(User.Role.AUDITOR, mine),
        make_user(username="hidden.colleague", everything=False),
    )
    actor, other = Actor(person=auditor, via=Via.WEB), Actor(person=colleague, address="192.0.2.66")
    record(Action.EM_CHANGED, other, of=others, details={"name": ["a", "em-secret"]})
    record(Action.EM_CHANGED, other, of=mine, details={"username": ["a", "svc-secret"]})
    record(Action.NOTE_WRITTEN, actor, of=others, details={"n": "own-details"})
    record(Action.LOGGED_IN, actor, details={"n": "first-factor"})

    client = logged_in(auditor)
    html = client.get("/audit/").content.decode()
    sent = b"".join(client.get("/audit.csv")).decode()

    assert numbers(client)[-3:] == [4, 3, 2]
    for text in (html, sent):
        for hidden in ("em-secret", "hidden.colleague", "svc-secret", "192.0.2.66", "own-details"):
            assert hidden not in text
        for shown in ("em-mine", "unknown", "first-factor"):
            assert shown in text
    assert "hidden.colleague" not in client.get("/audit/?person=").content.decode()
    assert numbers(client, "?object=secret") == []
    assert numbers(client, "?object=mine") == [2]
    assert client.get(f"/audit/?person={colleague.pk}").context["form"].errors


# --- the page -------------------------------------------------------------------------------------------------


def test_an_entry_is_shown_in_plain_words(page: Client, administrator: User) -> None:
    em = make_enterprise_manager(name="em-prod")
    actor = Actor(person=administrator, via=Via.WEB, address="192.0.2.7")
    facts = {"interval_minutes": [15, 30], "password": {"changed": True}, "pin": None}
    entry = record(Action.EM_CHANGED, actor, of=em, details=facts)

    html = " ".join(page.get("/audit/").content.decode().split())

    for text in ("Enterprise Manager changed", "b.sample", "browser, 192.0.2.7", "em-prod", entry.hash):
        assert text in html
    for text in ("interval minutes</bdi>:</span> <bdi>15 → 30", "password.changed</bdi>:</span> <bdi>yes"):
        assert text in html
    assert f"1:{entry.hash}" in html
    assert "verify_audit" in html


def test_pages_lead_to_older_and_newer_entries(page: Client) -> None:
    for _ in range(120):
        record(Action.NOTE_WRITTEN, COMMAND_LINE)

    assert numbers(page) == list(range(120, 70, -1))
    assert numbers(page, "?before=71") == list(range(70, 20, -1))
    assert numbers(page, "?before=21") == list(range(20, 0, -1))
    assert numbers(page, "?after=20") == list(range(70, 20, -1))
    assert numbers(page, "?after=90") == list(range(120, 70, -1))
    assert numbers(page, "?before=1") == []
    html = page.get("/audit/?before=71&action=note_written").content.decode()
    assert "before=21" in html
    assert "after=70" in html
    assert "action=note_written" in html


@pytest.mark.parametrize(
    "query", ["before=x", "before=-1", "before=²", f"after={'9' * 30}", "before=1&after=1"]
)
def test_an_address_of_no_place_is_refused(page: Client, query: str) -> None:
    assert page.get(f"/audit/?{query}").status_code == 400


def test_filters(page: Client, auditor: User, administrator: User) -> None:
    em, report = make_enterprise_manager(name="em-Prod"), make_report()
    with time_machine.travel(NOW - timedelta(days=40)):
        record(Action.EM_ADDED, Actor(person=administrator), of=em)
    with time_machine.travel(NOW - timedelta(days=20)):
        record(Action.REPORT_MADE, Actor(person=auditor), of=report)
    record(Action.EM_CHANGED, Actor(person=administrator), of=em)
    day = f"{NOW - timedelta(days=20):%Y-%m-%d}"

    assert numbers(page, f"?person={administrator.pk}") == [3, 1]
    assert numbers(page, "?action=em_added&action=report_made") == [2, 1]
    assert numbers(page, "?type=report") == [2]
    assert numbers(page, "?object=prod") == [3, 1]
    assert numbers(page, f"?first={day}&last={day}") == [2]
    assert numbers(page, f"?first={day}&person={administrator.pk}&type=enterprisemanager") == [3]


def test_days_begin_in_the_zone_of_the_reader(page: Client, auditor: User) -> None:
    auditor.time_zone = "Asia/Tokyo"
    auditor.save()
    with time_machine.travel("2026-03-01T15:00:00Z", tick=False):
        record(Action.NOTE_WRITTEN, COMMAND_LINE)

    assert numbers(page, "?first=2026-03-02&last=2026-03-02") == [1]
    assert numbers(page, "?last=2026-03-01") == []


@pytest.mark.parametrize(
    "query",
    [
        "person=x",
        "person=99999",
        "object=%00",
        f"person={'9' * 40}",
        "action=bogus",
        "type=bogus",
        "first=x",
        "first=2026-02-02&last=2026-02-01",
    ],
)
def test_a_filter_that_cannot_be_read_shows_nothing(page: Client, query: str) -> None:
    record(Action.NOTE_WRITTEN, COMMAND_LINE)

    answer = page.get(f"/audit/?{query}")

    assert answer.status_code == 200
    assert "The filter cannot be read" in answer.content.decode()
    assert "rows" not in answer.context
    assert page.get(f"/audit.csv?{query}").status_code == 400


def test_the_page_asks_as_many_queries_for_many_entries_as_for_few(
    page: Client, administrator: User, django_assert_num_queries
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    em = make_enterprise_manager()
    record(Action.EM_CHANGED, Actor(person=administrator), of=em)
    page.get("/audit/")
    with CaptureQueriesContext(connection) as few:
        page.get("/audit/")
    for _ in range(60):
        record(Action.EM_CHANGED, Actor(person=make_user()), of=em)

    with django_assert_num_queries(len(few)) as many:
        page.get("/audit/")

    said = " ".join(query["sql"] for query in many.captured_queries if "auditentry" in query["sql"])
    assert "OFFSET" not in said
    assert "COUNT(" not in said


def test_hostile_names_are_harmless(page: Client, auditor: User) -> None:
    for name in HOSTILE:
        record(Action.EM_CHANGED, Actor(person=auditor), name=name, details={name: [name, name]})

    html = page.get("/audit/").content.decode()
    sent = b"".join(page.get("/audit.csv")).decode()

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\u202e" not in html
    assert 'class="ctrl">U+202E' in html
    rows = list(csv.DictReader(io.StringIO(sent, newline="")))
    assert rows[-2]["object_name"] == "'=cmd|' /C calc'!A0"
    assert len(rows) == len(HOSTILE) + 1  # the export's own entry
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert faults() == ()


# --- exports --------------------------------------------------------------------------------------------------


def test_an_export_of_the_trail_is_on_record_with_its_hash(page: Client, auditor: User) -> None:
    for _ in range(3):
        record(Action.NOTE_WRITTEN, COMMAND_LINE)

    sent = b"".join(page.get("/audit.csv?action=note_written"))

    begun, ended = only("export_begun"), only("export_ended")
    assert begun.details == {"format": "csv", "of": "audit trail", "filter": {"action": ["note_written"]}}
    assert (begun.person, ended.person) == (auditor, auditor)
    assert ended.details == {
        "begun_as": begun.number,
        "rows": 3,
        "sha256": hashlib.sha256(sent).hexdigest(),
        "complete": True,
    }


def test_an_export_of_restore_sessions_is_on_record(page: Client) -> None:
    em = make_enterprise_manager()
    for n in range(450):
        make_restore_session(enterprise_manager=em, vm_name=f"a\nb {n}", started_at=NOW)

    sent = b"".join(page.get("/restore-sessions.csv?period=all&vm=b"))

    assert only("export_begun").details["filter"] == {"vm": "b"}
    assert only("export_ended").details["rows"] == 450
    assert only("export_ended").details["sha256"] == hashlib.sha256(sent).hexdigest()


def test_an_export_that_the_browser_leaves_is_on_record_as_incomplete(
    transactional_db: None, page: Client
) -> None:
    for _ in range(450):
        record(Action.NOTE_WRITTEN, COMMAND_LINE)
    response = page.get("/audit.csv?action=note_written")
    blocks = iter(response.streaming_content)
    first = next(blocks)
    next(blocks)
    assert entries("export_ended") == []

    response.close()

    facts = only("export_ended").details
    assert (facts["complete"], facts["rows"]) == (False, 199)
    assert facts["sha256"] == hashlib.sha256(first).hexdigest()


def test_an_export_of_which_no_byte_was_taken_ends_as_well(transactional_db: None, page: Client) -> None:
    page.get("/audit.csv").close()

    assert only("export_ended").details["rows"] == 0
    assert only("export_ended").details["complete"] is False


def test_asking_for_the_head_alone_exports_nothing(page: Client) -> None:
    assert page.head("/audit.csv").status_code == 200
    assert AuditEntry.objects.count() == 0


# --- refused pages --------------------------------------------------------------------------------------------


def test_a_refused_page_is_on_record_once_a_minute(db) -> None:
    viewer = make_user(User.Role.VIEWER)
    client = logged_in(viewer)

    for _ in range(3):
        client.get("/audit/")
    client.post("/enterprise-managers/99/sync/")
    with time_machine.travel(NOW + AT_MOST_EVERY + timedelta(seconds=5)):
        client.get("/audit/")

    refused = entries("refused")
    assert [entry.details for entry in refused] == [
        {"method": "GET", "path": "/audit/"},
        {"method": "POST", "path": "/enterprise-managers/99/sync/"},
        {"method": "GET", "path": "/audit/"},
    ]
    assert {entry.person for entry in refused} == {viewer}


def test_nobody_fills_the_trail_with_refused_pages(db) -> None:
    client = logged_in(make_user(User.Role.VIEWER))

    for number in range(MOST + 5):
        assert client.get(f"/people/{number}/").status_code == 403

    assert len(entries("refused")) == MOST


def test_a_foreign_thing_leaves_no_entry(admin_page: Client) -> None:
    assert admin_page.get("/enterprise-managers/99/").status_code == 404
    assert entries("refused") == []


# --- what people do -------------------------------------------------------------------------------------------


def test_a_changed_enterprise_manager_leaves_no_password(admin_page: Client, administrator: User) -> None:
    em = make_enterprise_manager(name="em-prod")
    form: dict[str, Any] = {
        "name": "em-renamed",
        "url": em.url,
        "username": em.username,
        "password": "a new and secret one",
        "interval_minutes": 30,
        "is_active": "on",
    }

    admin_page.post(f"/enterprise-managers/{em.pk}/edit/", form)

    entry = only("em_changed")
    assert entry.details["name"] == ["em-prod", "em-renamed"]
    assert entry.details["interval_minutes"] == [15, 30]
    assert entry.details["password"] == {"changed": True}
    assert (entry.person, entry.enterprise_manager) == (administrator, em)
    token = EnterpriseManager.objects.get().password_token
    assert not any(secret in str(entry.details) for secret in ("secret one", token))


def test_a_sync_and_a_resumed_one(admin_page: Client) -> None:
    em = make_enterprise_manager()
    admin_page.post(f"/enterprise-managers/{em.pk}/sync/")
    EnterpriseManager.objects.update(paused_at=NOW, paused_because="logon_refused")
    admin_page.post(f"/enterprise-managers/{em.pk}/resume/")

    assert [entry.details for entry in entries("em_sync_requested")] == [
        {},
        {"resumed_after": "logon_refused"},
    ]


def test_a_tested_connection(admin_page: Client) -> None:
    em = make_enterprise_manager(url="https://127.0.0.1:9")

    admin_page.post(f"/enterprise-managers/{em.pk}/test/")

    entry = only("em_tested")
    assert entry.details["url"] == "https://127.0.0.1:9"
    assert "not ok" in entry.details["steps"].values()


def test_a_note(db) -> None:
    em = make_enterprise_manager()
    gap = make_gap(em, NOW - timedelta(days=3))
    client = logged_in(make_user(User.Role.OPERATOR))

    client.post(f"/enterprise-managers/{em.pk}/gaps/{gap.pk}/explain/", {"text": "The proxy was down."})

    assert only("note_written").details == {"gap": gap.pk, "length": len("The proxy was down.")}


def test_reports_asked_for_downloaded_and_deleted(page: Client, auditor: User) -> None:
    page.post("/reports/add/", {"period": "2026-Q3", "zone": "UTC"})
    report = Report.objects.get()
    Report.objects.update(status="ready", sha256="ab" * 32)
    path_of(report).parent.mkdir(parents=True, exist_ok=True)
    path_of(report).write_bytes(b"%PDF")
    for ask in (page.head, page.get):
        _ = b"".join(ask(f"/reports/{report.pk}/file/"))
    sweep(as_of=NOW + timedelta(days=400))

    asked, loaded, deleted = (only(f"report_{act}") for act in ("requested", "downloaded", "deleted"))
    assert asked.details["filter"]["start"] == "2026-07-01T00:00:00+00:00"
    assert (asked.object_name, asked.object_id, asked.person) == (str(report), report.pk, auditor)
    assert (loaded.person, loaded.details) == (auditor, {"sha256": "ab" * 32})
    assert (deleted.person, deleted.via) == (None, "system")


def test_the_pdf_of_the_list_is_asked_for(page: Client) -> None:
    make_restore_session(make_backup_server(make_enterprise_manager()), started_at=NOW)

    page.post("/restore-sessions.pdf?period=all")

    assert only("report_requested").object_name == str(Report.objects.get())


def test_a_schedule_added_changed_and_sent_again(admin_page: Client) -> None:
    form: dict[str, Any] = {
        "name": "Monthly",
        "recipients": "a@example.test",
        "zone": "UTC",
        "day": 1,
        "hour": 6,
        "is_active": "on",
        "begin": "next",
    }
    admin_page.post("/reports/schedules/add/", form)
    schedule = make_schedule().__class__.objects.get(name="Monthly")
    admin_page.post(f"/reports/schedules/{schedule.pk}/", form | {"hour": 7})
    admin_page.post(f"/reports/schedules/{schedule.pk}/", form | {"hour": 7})
    delivery = Delivery.objects.create(
        schedule=schedule,
        status="given_up",
        recipients="a@example.test",
        period_start_at=NOW,
        period_end_at=NOW,
    )
    admin_page.post(f"/reports/deliveries/{delivery.pk}/resend/")

    added, changed = entries("schedule_changed")
    assert added.details["added"]["recipients"] == "a@example.test"
    assert changed.details == {"hour": [6, 7]}
    assert only("report_mailed").details["outcome"] == "to be sent again"


def test_the_page_of_a_report_prints_where_the_trail_ended(page: Client) -> None:
    report = make_report(status="ready", audit_length=1234, audit_hash="cd" * 32, as_of=NOW)

    html = page.get(f"/reports/{report.pk}/").content.decode()

    assert "1,234 entries when the figures were taken" in html
    assert f"1234:{'cd' * 32}" in html
