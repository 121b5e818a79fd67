"""Drafts become final, once; the register says what was issued and what took its place."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from restorereports.audit.chain import GENESIS
from restorereports.models import AuditEntry, RegisterEntry, Report, User
from restorereports.models.append_only import NeverChanged
from restorereports.reports import files, pdf, register
from restorereports.reports.issuing import NotPossible, may_become_final
from restorereports.reports.render import render_report, waiting_reports
from tests.factories import make_user

from .issued import LATER, ask, final, finalise, made, told
from .issued import written as written
from .population import AS_OF, july, make_population

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]


def test_a_draft_is_in_no_register_and_a_final_report_is_with_what_proves_it() -> None:
    make_population()
    draft, report = made(), final()

    entry = RegisterEntry.objects.get()

    assert (draft.stage, draft.finalised_at) == ("draft", None)
    assert (entry.number, entry.kind, entry.report, entry.previous_hash) == (1, "issued", report, GENESIS)
    facts = {
        name: entry.facts[name] for name in ("report", "sha256", "data_sha256", "rows", "by", "supersedes")
    }
    assert facts == {
        "report": str(report),
        "sha256": report.sha256,
        "data_sha256": report.data_sha256,
        "rows": 13,
        "by": "Command line",
        "supersedes": None,
    }
    assert (register.head().length, register.head().hash) == (1, entry.hash)
    assert told() == []


def test_a_final_report_prints_where_the_register_ended_before_it(written: list[str]) -> None:
    first = final()
    entry = RegisterEntry.objects.get()

    second = final()

    assert first.manifest["register"] == {"length": 0, "hash": GENESIS}
    assert second.manifest["register"] == {"length": 1, "hash": entry.hash}
    assert second.manifest["audit_trail"]["length"] == second.audit_length


def test_a_draft_becomes_final_from_the_same_figures_whatever_came_into_the_tables_since() -> None:
    population = make_population()
    person = make_user(User.Role.AUDITOR, everything=True)
    report = made(requested_by=person)
    before, draft_sha256 = report.data_sha256, report.sha256
    population.add(population.a, "late", july(20))

    finalise(report, person)

    assert (report.stage, report.status, report.finalised_by) == ("final", "ready", person)
    assert (report.finalised_at, report.as_of) == (LATER, AS_OF)
    assert (report.data_sha256, report.rows) == (before, 13)
    assert report.sha256 != draft_sha256
    assert report.manifest["stage"] == "final"
    assert report.manifest["made_final_by"] == person.shown_name
    actions = list(AuditEntry.objects.order_by("number").values_list("action", "via"))
    assert actions[-3:] == [
        ("report_requested", "web"),
        ("report_issued", "system"),
        ("report_made", "system"),
    ]
    assert told() == []


def test_a_final_report_is_never_rendered_again(written: list[str]) -> None:
    person = make_user(User.Role.AUDITOR, everything=True)
    report = final(requested_by=person)
    bytes_then = files.path_of(report).read_bytes()

    render_report(report.pk, as_of=LATER)
    with pytest.raises(NotPossible, match="cannot become final"):
        finalise(report, person)
    Report.objects.filter(pk=report.pk).update(status=Report.Status.WAITING)
    render_report(report.pk, as_of=LATER)

    assert waiting_reports(as_of=LATER) == []
    assert len(written) == 1
    assert files.path_of(report).read_bytes() == bytes_then


def test_a_try_at_the_final_form_that_failed_can_be_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    person = make_user(User.Role.AUDITOR, everything=True)
    report = made(requested_by=person)
    right = pdf.write
    monkeypatch.setattr(pdf, "write", lambda *_a, **_k: 1 / 0)
    finalise(report, person)
    assert (report.status, report.stage, RegisterEntry.objects.count()) == ("failed", "final", 0)
    monkeypatch.setattr(pdf, "write", right)

    finalise(report, person)

    assert (report.status, RegisterEntry.objects.count()) == ("ready", 1)
    assert told() == []


def test_frozen_files_that_were_changed_become_no_final_report() -> None:
    make_population()
    person = make_user(User.Role.AUDITOR, everything=True)
    report = made(requested_by=person)
    path = files.frozen_folder(report) / "sessions.csv"
    path.write_text(path.read_text().replace("vm1", "vmX"))

    finalise(report, person)

    assert (report.status, report.error) == ("failed", "The frozen file sessions.csv was changed.")
    assert RegisterEntry.objects.count() == 0


def test_who_may_no_longer_report_issues_nothing() -> None:
    person = make_user(User.Role.AUDITOR, everything=True)
    report = made()
    User.objects.filter(pk=person.pk).update(is_active=False)

    finalise(report, person)

    assert report.status == Report.Status.FAILED
    assert "may no longer ask for reports" in report.error


def test_a_draft_whose_files_are_gone_cannot_become_final(settings: Any) -> None:
    settings.REPORT_KEEP_DAYS = 30
    report, kept = made(at=AS_OF), final()

    files.sweep(as_of=AS_OF + timedelta(days=31))

    report.refresh_from_db()
    assert not may_become_final(report)
    assert not files.frozen_folder(report).exists()
    assert files.path_of(kept).exists()
    assert files.frozen_folder(kept).exists()


def test_a_correction_supersedes_and_both_stay() -> None:
    old = final()

    new = final(supersedes=old)

    old.refresh_from_db()
    assert old.superseded_by == new
    kinds = RegisterEntry.objects.order_by("number").values_list("kind", "report")
    assert list(kinds) == [("issued", old.pk), ("issued", new.pk), ("superseded", old.pk)]
    assert RegisterEntry.objects.get(kind="superseded").facts["superseded_by"] == str(new)
    assert files.path_of(old).exists()
    assert told() == []


def test_a_correction_that_failed_leaves_the_place_to_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    old = final()
    right = pdf.write
    monkeypatch.setattr(pdf, "write", lambda *_a, **_k: 1 / 0)
    failed = ask(stage=Report.Stage.FINAL, supersedes=old)
    render_report(failed.pk, as_of=AS_OF)
    monkeypatch.setattr(pdf, "write", right)

    new = final(supersedes=old)

    failed.refresh_from_db()
    assert (failed.status, failed.supersedes, new.supersedes) == ("failed", None, old)
    assert told() == []


def test_entries_of_the_register_are_written_once() -> None:
    final()
    entry = RegisterEntry.objects.get()

    with pytest.raises(NeverChanged):
        entry.save()
    with pytest.raises(NeverChanged):
        RegisterEntry.objects.all().delete()
