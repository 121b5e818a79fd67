"""A report is rendered once, whoever comes first; a failure stays on its row with a reason."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from datetime import timedelta
from typing import IO, Any

import pytest
from django.db import connection
from django.utils import timezone

from restorereports.audit import COMMAND_LINE, Action, faults, record
from restorereports.models import AuditEntry, Report
from restorereports.reports import files, pdf, render
from restorereports.reports.render import render_report, waiting_reports
from restorereports.reports.request import request_report
from tests.factories import make_report, make_schedule, make_user

from .population import AS_OF, JULY, make_population

PDF = b"%PDF-1.7 not much of one"


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """Identifiers of the PDFs made; the layout itself is tested elsewhere."""
    found: list[str] = []

    def write(_html: str, into: IO[bytes], *, identifier: str, **_options: object) -> int:
        found.append(identifier.partition(" ")[0])
        return into.write(PDF) and 9

    monkeypatch.setattr(pdf, "write", write)
    return found


def ask(**values) -> Report:
    values = {"scope": JULY, "zone": "UTC", "organisation": "", "requested_by": None, "at": AS_OF} | values
    return request_report(**values)


@pytest.mark.django_db
def test_a_waiting_report_becomes_a_file_with_its_facts_on_record(made) -> None:
    make_population()
    report = ask()

    render_report(report.pk, as_of=AS_OF)

    report.refresh_from_db()
    assert report.status == Report.Status.READY
    assert files.path_of(report).read_bytes() == PDF
    assert (report.sha256, report.size) == (hashlib.sha256(PDF).hexdigest(), len(PDF))
    assert (report.pages, report.rows, report.as_of, report.attempts) == (9, 13, AS_OF, 1)
    assert report.file_name == f"restore-report-2026-07-01-to-2026-07-31-{report}.pdf"
    assert report.key_figures["success"] == 6
    assert list(files.folder().glob("*.part")) == []


@pytest.mark.django_db
def test_a_report_keeps_where_the_trail_ended_and_goes_on_record(made, monkeypatch) -> None:
    make_population()
    person = make_user()
    before = record(Action.NOTE_WRITTEN, COMMAND_LINE)
    report = ask(requested_by=person)
    html: list[str] = []
    monkeypatch.setattr(pdf, "write", lambda text, into, **_: html.append(text) or (into.write(PDF) and 9))

    render_report(report.pk, as_of=AS_OF)

    report.refresh_from_db()
    assert (report.audit_length, report.audit_hash) == (1, before.hash)
    assert f"1:{before.hash}" in html[0]
    entry = AuditEntry.objects.get(action="report_made")
    assert (entry.person, entry.via, entry.object_name) == (person, "system", str(report))
    assert entry.details == {
        "report": str(report),
        "stage": "draft",
        "sha256": hashlib.sha256(PDF).hexdigest(),
        "data_sha256": report.data_sha256,
        "pages": 9,
        "rows": report.rows,
    }
    assert faults() == ()


@pytest.mark.django_db
def test_a_finished_report_is_not_rendered_again(made) -> None:
    report = ask()
    render_report(report.pk, as_of=AS_OF)

    render_report(report.pk, as_of=AS_OF + timedelta(days=1))

    assert made == [str(report)]
    assert waiting_reports(as_of=AS_OF + timedelta(days=1)) == []


@pytest.mark.django_db
def test_a_report_whose_worker_died_is_taken_up_after_ten_minutes(made) -> None:
    report = ask()
    Report.objects.filter(pk=report.pk).update(status=Report.Status.RENDERING, started_at=AS_OF, attempts=1)

    assert waiting_reports(as_of=AS_OF + timedelta(minutes=10)) == []
    render_report(report.pk, as_of=AS_OF + timedelta(minutes=10))
    assert made == []

    later = AS_OF + timedelta(minutes=10, seconds=1)
    assert waiting_reports(as_of=later) == [report.pk]
    render_report(report.pk, as_of=later)

    report.refresh_from_db()
    assert (report.status, report.attempts) == (Report.Status.READY, 2)


@pytest.mark.django_db
def test_after_three_deaths_it_is_failed_with_the_reason(made) -> None:
    report = ask()
    Report.objects.filter(pk=report.pk).update(status=Report.Status.RENDERING, started_at=AS_OF, attempts=3)

    render_report(report.pk, as_of=AS_OF + timedelta(hours=1))

    report.refresh_from_db()
    assert report.status == Report.Status.FAILED
    assert report.error.startswith("The worker stopped 3 times")
    assert made == []


@pytest.mark.django_db
def test_a_worker_that_comes_too_late_changes_nothing(made, monkeypatch) -> None:
    report = ask()

    def slow(_html: str, into: IO[bytes], **_options: object) -> int:
        Report.objects.filter(pk=report.pk).update(attempts=2)  # another one claimed it meanwhile
        return into.write(PDF) and 9

    monkeypatch.setattr(pdf, "write", slow)
    render_report(report.pk, as_of=AS_OF)

    report.refresh_from_db()
    assert report.status == Report.Status.RENDERING
    assert not files.path_of(report).exists()
    assert list(files.folder().glob("*.part")) == []


@pytest.mark.django_db
def test_a_fault_is_told_plainly_and_logged(monkeypatch, caplog) -> None:
    report = ask()
    monkeypatch.setattr(pdf, "write", lambda *_a, **_k: 1 / 0)

    render_report(report.pk, as_of=AS_OF)

    report.refresh_from_db()
    assert report.status == Report.Status.FAILED
    assert report.error == (
        f"An internal fault (ZeroDivisionError) ended it; the log has the details under report-{report.pk}."
    )
    assert "could not be made" in caplog.text


@pytest.mark.django_db
def test_figures_that_contradict_each_other_fail_the_report_and_are_named(made, monkeypatch) -> None:
    make_population()
    report = ask()
    monkeypatch.setattr("restorereports.reports.places.virtual_machines_per_server", lambda rows: {})

    render_report(report.pk, as_of=AS_OF)

    report.refresh_from_db()
    assert report.status == Report.Status.FAILED
    assert "VMs restored: 4, the sum of VMs over the backup servers: 0" in report.error
    assert made == []


@pytest.mark.django_db
def test_a_report_of_a_person_who_was_switched_off_says_so_instead_of_zero_rows(made) -> None:
    report = ask(requested_by=make_user(is_active=False))

    render_report(report.pk, as_of=AS_OF)

    report.refresh_from_db()
    assert report.status == Report.Status.FAILED
    assert "may no longer ask for reports" in report.error


@pytest.mark.django_db(transaction=True)
def test_of_several_workers_at_once_one_renders(made, monkeypatch) -> None:
    report = ask()
    fast = pdf.write

    def slow(html: str, into: IO[bytes], **options: Any) -> int:
        time.sleep(0.2)
        return fast(html, into, **options)

    monkeypatch.setattr(pdf, "write", slow)
    barrier = threading.Barrier(4)

    def work() -> None:
        barrier.wait()
        try:
            render.render_report(report.pk, as_of=AS_OF)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made == [str(report)]
    report.refresh_from_db()
    assert (report.status, report.attempts) == (Report.Status.READY, 1)


@pytest.mark.django_db
def test_old_files_go_and_their_rows_stay_and_say_so(made, settings) -> None:
    settings.REPORT_KEEP_DAYS = 30
    old, kept = ask(at=AS_OF - timedelta(days=31)), ask(at=AS_OF - timedelta(days=29))
    scheduled = ask(at=AS_OF - timedelta(days=400), schedule=make_schedule())
    for report in (old, kept, scheduled):
        render_report(report.pk, as_of=AS_OF)
    failed = make_report(status=Report.Status.FAILED, error="why", created_at=AS_OF - timedelta(days=50))

    files.sweep(as_of=AS_OF)
    files.sweep(as_of=AS_OF)

    old.refresh_from_db()
    failed.refresh_from_db()
    assert not files.path_of(old).exists()
    assert (old.status, old.error[:39]) == (Report.Status.READY, "The PDF was deleted after 30 days. Ask ")
    assert len(old.sha256) == 64
    assert files.path_of(kept).exists()
    assert files.path_of(scheduled).exists()
    assert failed.error == "why"


@pytest.mark.django_db
def test_drafts_that_a_killed_worker_left_are_swept_and_fresh_ones_are_not() -> None:
    files.folder().mkdir(parents=True, exist_ok=True)
    stray, fresh = files.folder() / "RR-1.1.99.part", files.folder() / "RR-2.1.99.part"
    now = timezone.now()
    for path, hours in ((stray, 2), (fresh, 0)):
        path.write_bytes(b"half")
        os.utime(path, (now.timestamp() - hours * 3600,) * 2)

    files.sweep(as_of=now)

    assert not stray.exists()
    assert fresh.exists()
    fresh.unlink()
