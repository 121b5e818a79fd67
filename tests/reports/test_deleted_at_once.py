"""Sweeps and deletions at the moment somebody else works on the same report: no evidence is lost, nothing is left over."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from restorereports import audit
from restorereports.models import RegisterEntry, Report, User
from restorereports.reports import faults_of_report, files, pdf, retention
from restorereports.reports.issuing import NotPossible, make_final, may_become_final
from tests.factories import make_user

from .issued import final, finalise, made, told
from .issued import written as written
from .population import AS_OF, make_population

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]
OLD = AS_OF + timedelta(days=31)
YEARS = AS_OF + timedelta(days=3660)


@pytest.fixture(autouse=True)
def _thirty_days(settings: Any) -> None:
    settings.REPORT_KEEP_DAYS = 30


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go when the act is committed; inside a test's transaction that is at once."""
    monkeypatch.setattr("restorereports.reports.retention.transaction.on_commit", lambda act, **_: act())


@pytest.fixture
def person() -> User:
    return make_user(User.Role.ADMINISTRATOR, everything=True)


def meanwhile(monkeypatch: pytest.MonkeyPatch, report: Report, act: Any) -> None:
    """Do something between the sweep's reading of its list and its coming to this report."""
    done: list[Report] = []

    def keeping(self: Any, *args: Any, **values: Any) -> Any:
        if not done:
            done.append(report)
            act()
        return update(self, *args, **values)

    query_set = type(Report.objects.all())
    update = query_set.update
    monkeypatch.setattr(query_set, "update", keeping)


def test_a_draft_that_becomes_final_while_the_sweep_runs_keeps_its_files(
    monkeypatch: pytest.MonkeyPatch, person: User
) -> None:
    make_population()
    report = made(requested_by=person)
    meanwhile(monkeypatch, report, lambda: finalise(Report.objects.get(pk=report.pk), person, at=OLD))

    files.sweep(as_of=OLD)

    report.refresh_from_db()
    assert (report.stage, report.error) == ("final", "")
    assert files.path_of(report).exists()
    assert files.frozen_folder(report).exists()
    assert told() == []


def test_a_draft_that_was_swept_a_moment_ago_is_not_made_final(person: User) -> None:
    report = made(requested_by=person)
    looked_at = Report.objects.get(pk=report.pk)
    Report.objects.filter(pk=report.pk).update(error="The PDF was deleted.")  # its files go in a moment

    with pytest.raises(NotPossible, match="somebody else"):
        make_final(looked_at, person, audit.COMMAND_LINE)
    assert not may_become_final(Report.objects.get(pk=report.pk))


def test_tries_at_a_final_report_that_failed_go_with_the_drafts(
    monkeypatch: pytest.MonkeyPatch, person: User
) -> None:
    report = made(requested_by=person)
    monkeypatch.setattr(pdf, "write", lambda *_a, **_k: 1 / 0)
    finalise(report, person)
    looked_at = Report.objects.get(pk=report.pk)
    files.sweep(as_of=AS_OF + timedelta(days=29))
    assert may_become_final(looked_at)

    files.sweep(as_of=OLD)

    assert not files.frozen_folder(report).exists()
    assert not files.path_of(report).exists()
    with pytest.raises(NotPossible):
        make_final(looked_at, person, audit.COMMAND_LINE)


def test_a_failed_try_that_is_made_again_while_the_sweep_runs_keeps_its_files(
    monkeypatch: pytest.MonkeyPatch, person: User
) -> None:
    report = made(requested_by=person)
    right = pdf.write
    monkeypatch.setattr(pdf, "write", lambda *_a, **_k: 1 / 0)
    finalise(report, person)
    monkeypatch.setattr(pdf, "write", right)
    meanwhile(monkeypatch, report, lambda: finalise(Report.objects.get(pk=report.pk), person, at=OLD))

    files.sweep(as_of=OLD)

    report.refresh_from_db()
    assert (report.stage, report.status) == ("final", "ready")
    assert files.path_of(report).exists()
    assert told() == []


def test_files_that_a_deletion_left_behind_go_with_the_next_sweep(
    monkeypatch: pytest.MonkeyPatch, person: User
) -> None:
    report = final()
    monkeypatch.setattr("restorereports.reports.retention.transaction.on_commit", lambda *_a, **_k: None)
    retention.delete(report, audit.Actor(person=person), "The customer left.", at=YEARS)
    assert told() == [f"{report}: the register says that it was deleted, and its files are there"]

    retention.sweep(as_of=YEARS)

    assert not files.path_of(report).exists()
    assert told() == []
    assert RegisterEntry.objects.filter(kind="deleted").count() == 1


@pytest.mark.usefixtures("at_once")
def test_what_is_deleted_while_it_is_verified_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, person: User
) -> None:
    report = final()
    right = faults_of_report.sha256_of

    def slow(path: Any) -> str:
        if RegisterEntry.objects.filter(kind="deleted").count() == 0:
            retention.delete(report, audit.Actor(person=person), "The customer left.", at=YEARS)
        return right(path)

    monkeypatch.setattr(faults_of_report, "sha256_of", slow)

    assert told() == []
    assert not files.path_of(report).exists()


@pytest.mark.usefixtures("at_once")
def test_what_is_deleted_is_not_held_any_more(person: User) -> None:
    report = final()
    stale = Report.objects.get(pk=report.pk)
    actor = audit.Actor(person=person)
    retention.delete(report, actor, "The customer left.", at=YEARS)

    with pytest.raises(NotPossible, match="nothing left to hold"):
        retention.hold(Report.objects.get(pk=report.pk), actor, "A case.", at=YEARS)
    with pytest.raises(NotPossible, match="Somebody else did it"):
        retention.hold(stale, actor, "A case.", at=YEARS)
    assert told() == []
