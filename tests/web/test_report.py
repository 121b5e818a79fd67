"""Reports: asking, waiting, downloading; schedules and what became of their mails."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from restorereports.models import Delivery, Report, ReportSchedule, User
from restorereports.reports.files import path_of
from tests.factories import (
    START,
    make_backup_server,
    make_enterprise_manager,
    make_report,
    make_restore_session,
    make_schedule,
)
from tests.web.conftest import NOW

READY = {
    "status": "ready",
    "as_of": NOW,
    "rows": 1234,
    "pages": 8,
    "size": 253_111,
    "sha256": "1150" * 16,
    "file_name": "restore-report.pdf",
}


def _file(report: Report, content: bytes = b"%PDF-1.7 the report") -> None:
    path = path_of(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def test_the_list_shows_each_report(page: Client, administrator: User) -> None:
    make_report(requested_by=administrator, **READY)
    make_report(**READY | {"size": 3_500_000})
    make_report(status="failed", schedule=make_schedule(name="Monthly"))
    make_report(
        scope={"vm": "pay", "outcomes": ["NoResult"], "states": ["Working"], "job_types": ["RestoreVm"]}
    )

    html = page.get("/reports/").content.decode()

    for text in (
        "RR-2026-",
        "2026-07-01 to 2026-09-30",
        "all restore sessions",
        "b.sample",
        "1,234",
        "253 KB",
        "3.5 MB",
        "1150115011501150</span>",
        "Monthly",
        "command line",
        "VM contains pay; result No result; type Whole VM; state Working",
    ):
        assert text in html


def test_the_list_asks_as_many_queries_for_many_reports_as_for_few(
    page: Client, administrator: User, django_assert_num_queries: Any
) -> None:
    em, server = make_enterprise_manager(), make_backup_server()
    scope = {"enterprise_managers": [em.pk], "backup_servers": [server.pk, 999]}
    make_report(requested_by=administrator, scope=scope)
    with django_assert_num_queries(10) as few:
        page.get("/reports/")
    for _n in range(5):
        make_report(requested_by=administrator, scope=scope, schedule=make_schedule())

    with django_assert_num_queries(len(few)):
        html = page.get("/reports/").content.decode()
    assert f"Enterprise Manager {em.name}; backup server {server.name}, #999" in html


def test_older_reports_follow_on_further_pages(page: Client) -> None:
    for _n in range(51):
        make_report()
    oldest = Report.objects.order_by("pk").first()
    assert oldest

    assert f">{oldest}</a>" not in page.get("/reports/").content.decode()
    before = page.get("/reports/").context["before"]
    html = page.get(f"/reports/?before={before}").content.decode()

    assert f">{oldest}</a>" in html
    assert "Newest" in html
    assert page.get("/reports/?before=abc").status_code == 400
    assert page.get("/reports/?before=" + "9" * 30).status_code == 400


def test_asking_for_a_named_period(page: Client, auditor: User, woken: list[Any]) -> None:
    fields = {"period": "2026-Q3", "zone": "Europe/Berlin", "organisation": "Example AG"}

    response = page.post("/reports/add/", fields)

    report = Report.objects.get()
    scope = report.restore_session_scope()
    assert response.url == f"/reports/{report.pk}/"
    assert scope.start == datetime(2026, 6, 30, 22, tzinfo=UTC)
    assert scope.end == datetime(2026, 9, 30, 22, tzinfo=UTC)
    assert (report.organisation, report.requested_by) == ("Example AG", auditor)
    assert woken == [("restorereports.tasks.render_report", (report.pk,))]


def test_asking_for_days_of_some_sources(page: Client) -> None:
    em, server = make_enterprise_manager(), make_backup_server()
    fields = {
        "started_from": "2026-08-01",
        "started_to": "2026-08-31",
        "zone": "UTC",
        "enterprise_managers": [em.pk],
        "backup_servers": [server.pk],
    }
    page.post("/reports/add/", fields)

    scope = Report.objects.get().restore_session_scope()
    assert (scope.start, scope.end) == (datetime(2026, 8, 1, tzinfo=UTC), datetime(2026, 9, 1, tzinfo=UTC))
    assert (scope.enterprise_managers, scope.backup_servers) == ((em.pk,), (server.pk,))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Name the period, or give its first and last day."),
        ({"started_from": "2026-08-01"}, "Name the period, or give its first and last day."),
        ({"period": "last summer"}, "is no period; write 2026 for a year"),
        ({"period": "2026", "started_from": "2026-08-01"}, "Give either a name or the days, not both."),
        ({"started_from": "2026-08-02", "started_to": "2026-08-01"}, "The last day is before the first day."),
        ({"period": "2026", "zone": "Mars/Base"}, "is no IANA time zone"),
        ({"period": "2026", "backup_servers": ["9" * 30]}, "9" * 30),
        ({"period": "2026", "backup_servers": ["x"]}, "Select a valid choice"),
    ],
)
def test_a_report_that_cannot_be_asked_for(page: Client, fields: dict[str, Any], message: str) -> None:
    response = page.post("/reports/add/", {"zone": "UTC"} | fields)

    assert message in response.content.decode()
    assert not Report.objects.exists()


def test_the_pdf_of_the_current_filter(page: Client, woken: list[Any]) -> None:
    em = make_enterprise_manager()
    make_restore_session(enterprise_manager=em, started_at=START)

    everything = page.post("/restore-sessions.pdf?period=all&outcome=Success")
    page.post("/restore-sessions.pdf?period=all&outcome=Failed")
    page.post("/restore-sessions.pdf")

    all_of_it, none, month = (report.restore_session_scope() for report in Report.objects.order_by("pk"))
    assert everything.url == f"/reports/{Report.objects.order_by('pk').first().pk}/"  # type: ignore[union-attr]
    assert all_of_it.start == START
    assert all_of_it.end
    assert all_of_it.outcomes == ("Success",)
    assert none.start == none.end, "nothing to begin with"
    assert month.start
    assert month.end
    assert month.end - month.start >= timedelta(days=29)
    assert len(woken) == 3
    page.post("/restore-sessions.pdf?started_from=2999-01-01")
    assert Report.objects.first().status == "waiting"  # type: ignore[union-attr]
    assert page.get("/restore-sessions.pdf").status_code == 405


def test_a_report_in_the_making_is_looked_at_again(page: Client) -> None:
    report = make_report()
    address = f"/reports/{report.pk}/"

    html = page.get(address).content.decode()
    assert "Waiting for a worker" in html
    assert '<noscript><meta http-equiv="refresh" content="5; url=?waiting=1"></noscript>' in html
    Report.objects.update(status="rendering")
    fragment = page.get(address, headers={"HX-Request": "true"})
    assert "Being made" in fragment.content.decode()
    assert "<html" not in fragment.content.decode()
    assert "HX-Refresh" not in fragment

    Report.objects.update(**READY)
    assert page.get(address, headers={"HX-Request": "true"})["HX-Refresh"] == "true"


def test_a_failed_report_says_why(page: Client) -> None:
    report = make_report(status="failed", error="The disk is full.")

    assert "The disk is full." in page.get(f"/reports/{report.pk}/").content.decode()


def test_a_ready_report_is_downloaded_as_it_was_made(page: Client) -> None:
    report = make_report(**READY)
    _file(report)

    html = page.get(f"/reports/{report.pk}/").content.decode()
    response = page.get(f"/reports/{report.pk}/file/")

    assert "Download PDF" in html
    assert "1150" * 16 in html
    assert b"".join(response.streaming_content) == b"%PDF-1.7 the report"
    assert response["Content-Type"] == "application/pdf"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Disposition"] == 'attachment; filename="restore-report.pdf"'


def test_a_file_that_is_no_longer_kept(page: Client) -> None:
    report = make_report(**READY)
    path_of(report).unlink(missing_ok=True)

    assert "The file is no longer kept." in page.get(f"/reports/{report.pk}/").content.decode()
    assert page.get(f"/reports/{report.pk}/file/").status_code == 404
    assert page.get(f"/reports/{make_report().pk}/file/").status_code == 404


def test_periods_that_do_not_end_at_midnight(page: Client) -> None:
    make_report(scope={"start": "2026-10-14T20:10:02+00:00", "end": "2026-10-15T11:00:00+00:00"})
    make_report(scope={"start": "2026-10-14T00:00:00+00:00", "end": "2026-10-15T00:00:00+00:00"})

    html = page.get("/reports/").content.decode()

    assert "2026-10-14 20:10:02 to 2026-10-15 11:00:00" in html
    assert ">2026-10-14 <span" in html, "one day is one day"


def _schedule(**changes: Any) -> dict[str, Any]:
    return {
        "name": "Monthly",
        "recipients": "auditor@example.test\nit@example.test",
        "zone": "Europe/Berlin",
        "day": 1,
        "hour": 6,
        "begin": "next",
        "is_active": "on",
    } | changes


@pytest.mark.parametrize(("begin", "month"), [("next", 11), ("at_once", 10)])
def test_adding_a_schedule(admin_page: Client, woken: list[Any], begin: str, month: int) -> None:
    em = make_enterprise_manager()
    assert "First report" in admin_page.get("/reports/schedules/add/").content.decode()

    with time_machine.travel(datetime(2026, 10, 31, 23, 30, tzinfo=UTC), tick=False):  # 1 November there
        admin_page.force_login(User.objects.get(username="b.sample"))
        admin_page.post("/reports/schedules/add/", _schedule(begin=begin, enterprise_managers=[em.pk]))
        assert "day 1, 6:00 Europe/Berlin" in admin_page.get("/reports/").content.decode()

    schedule = ReportSchedule.objects.get()
    assert (schedule.first_month.month, schedule.addresses()[1]) == (month, "it@example.test")
    assert list(schedule.enterprise_managers.all()) == [em]
    assert woken == [("restorereports.tasks.start_due_reports", ())]


def test_switching_a_schedule_off_keeps_its_first_month(admin_page: Client) -> None:
    schedule = make_schedule()
    fields = _schedule()
    del fields["begin"], fields["is_active"]

    admin_page.post(f"/reports/schedules/{schedule.pk}/", fields)

    schedule.refresh_from_db()
    assert not schedule.is_active
    assert schedule.first_month == START.date().replace(day=1)
    assert "Switched off" in admin_page.get("/reports/").content.decode()


def test_wrong_schedules_are_refused(admin_page: Client) -> None:
    for changes in ({"recipients": "nobody"}, {"recipients": ","}, {"zone": "x"}, {"day": 29}, {"hour": 24}):
        page = admin_page.post("/reports/schedules/add/", _schedule(**changes))
        assert "Nothing was saved." in page.content.decode()
    assert not ReportSchedule.objects.exists()


def _delivery(**values: Any) -> Delivery:
    bounds = {
        "period_start_at": datetime(2026, 9, 1, tzinfo=UTC),
        "period_end_at": datetime(2026, 10, 1, tzinfo=UTC),
    }
    return Delivery.objects.create(schedule=make_schedule(), **(bounds | values))


def test_deliveries_say_what_became_of_them(page: Client) -> None:
    _delivery(status="sent", sent_at=START, report=make_report(**READY))
    _delivery(status="retrying", attempts=2, error="Connection refused", next_try_at=START)
    _delivery(status="given_up", attempts=8, error="550 rejected")
    _delivery()

    html = page.get("/reports/").content.decode()

    for text in (
        "Sent",
        "2026-09",
        "Connection refused",
        "2 tries",
        "550 rejected",
        "Planned",
        "within a minute",
    ):
        assert text in html
    assert "Send again" not in html


def test_what_was_given_up_is_sent_again_once(admin_page: Client, woken: list[Any]) -> None:
    delivery = _delivery(status="given_up", attempts=8, error="550 rejected")
    address = f"/reports/deliveries/{delivery.pk}/resend/"
    assert address in admin_page.get("/reports/").content.decode()

    assert "It will be sent again." in admin_page.post(address, follow=True).content.decode()

    delivery.refresh_from_db()
    assert (delivery.status, delivery.attempts) == ("retrying", 0)
    assert delivery.next_try_at
    assert woken == [("restorereports.tasks.start_due_reports", ())]
    assert "It was not given up" in admin_page.post(address, follow=True).content.decode()


def test_a_reports_page_shows_its_deliveries(page: Client) -> None:
    report = make_report(**READY)
    _delivery(status="sent", sent_at=START, report=report)

    assert "Deliveries" in page.get(f"/reports/{report.pk}/").content.decode()


def test_auditors_change_no_schedules(page: Client) -> None:
    schedule, delivery = make_schedule(), _delivery(status="given_up")

    assert page.get("/reports/schedules/add/").status_code == 403
    assert page.post(f"/reports/schedules/{schedule.pk}/", _schedule()).status_code == 403
    assert page.post(f"/reports/deliveries/{delivery.pk}/resend/").status_code == 403
    assert "/reports/schedules/" not in page.get("/reports/").content.decode()


def test_a_correction_begins_with_the_looks_of_what_it_replaces(page: Client) -> None:
    old = make_report(
        stage="final", status="ready", organisation="Example AG", zone="Europe/Berlin", paper="letter"
    )

    initial = page.get("/reports/add/", {"supersedes": old.pk}).context["form"].initial

    assert (initial["supersedes"], initial["stage"], initial["paper"]) == (old.pk, "final", "letter")
    assert (initial["organisation"], initial["zone"]) == ("Example AG", "Europe/Berlin")
    for nothing in ("999", "x", "9" * 30):
        form = page.get("/reports/add/", {"supersedes": nothing}).context["form"]
        assert "supersedes" not in form.initial
