"""Final reports are kept for ever, or for months; a legal hold goes before; a deletion leaves what proves them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from restorereports import audit, tasks
from restorereports.audit import Action
from restorereports.models import AuditEntry, RegisterEntry, Report, User
from restorereports.reports import files, retention
from restorereports.reports.issuing import NotPossible
from restorereports.reports.retention import months_before
from tests.factories import make_user

from .issued import final, made, told
from .issued import written as written
from .population import AS_OF

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]
YEARS = timedelta(days=3660)


@pytest.fixture
def actor() -> audit.Actor:
    return audit.Actor(person=make_user(User.Role.ADMINISTRATOR, username="root"), via=audit.Via.WEB)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files go when the act is committed; inside a test's transaction that is at once."""
    monkeypatch.setattr("restorereports.reports.retention.transaction.on_commit", lambda act, **_: act())


def test_final_reports_are_kept_for_ever_unless_it_is_said_otherwise() -> None:
    report = final()

    files.sweep(as_of=AS_OF + YEARS)
    retention.sweep(as_of=AS_OF + YEARS)

    assert files.path_of(report).exists()
    assert told() == []


def test_after_the_months_the_files_go_and_what_proves_them_stays(settings: Any) -> None:
    settings.EVIDENCE_KEEP_MONTHS = 13
    report = final()
    edge = AS_OF.replace(year=2027, month=9)

    retention.sweep(as_of=edge)
    assert files.path_of(report).exists()
    retention.sweep(as_of=edge + timedelta(seconds=1))
    retention.sweep(as_of=edge + timedelta(seconds=2))

    report.refresh_from_db()
    entry = RegisterEntry.objects.get(kind="deleted")
    assert not files.path_of(report).exists()
    assert not files.frozen_folder(report).exists()
    assert report.error == "Deleted on 2027-09-01: Kept for 13 months, as EVIDENCE_KEEP_MONTHS says."
    assert {name: entry.facts[name] for name in ("report", "sha256", "data_sha256", "rows")} == {
        "report": str(report),
        "sha256": report.sha256,
        "data_sha256": report.data_sha256,
        "rows": 0,
    }
    assert AuditEntry.objects.filter(action=Action.REPORT_DELETED).count() == 1
    assert told() == []


def test_the_daily_sweep_looks_after_both(settings: Any) -> None:
    settings.EVIDENCE_KEEP_MONTHS = 13
    draft = made(at=datetime(2020, 1, 1, tzinfo=UTC))
    report = final(at=datetime(2020, 1, 1, tzinfo=UTC))
    Report.objects.all().update(created_at=datetime(2020, 1, 1, tzinfo=UTC))

    tasks.sweep_expired()

    for one in (draft, report):
        one.refresh_from_db()
        assert one.error
        assert not files.path_of(one).exists()


def test_a_held_report_is_not_deleted_until_the_hold_is_lifted(settings: Any, actor: audit.Actor) -> None:
    settings.EVIDENCE_KEEP_MONTHS = 13
    report = final()
    retention.hold(report, actor, "Case 4711", at=AS_OF)
    retention.sweep(as_of=AS_OF + YEARS)
    with pytest.raises(NotPossible, match="under legal hold"):
        retention.delete(report, actor, "please", at=AS_OF + YEARS)
    assert files.path_of(report).exists()
    assert told() == []

    retention.release(report, actor, "Case closed", at=AS_OF + YEARS)
    retention.sweep(as_of=AS_OF + YEARS)

    assert not files.path_of(report).exists()
    kinds = RegisterEntry.objects.order_by("number").values_list("kind", flat=True)
    assert list(kinds) == ["issued", "held", "released", "deleted"]
    assert RegisterEntry.objects.get(kind="held").facts["reason"] == "Case 4711"
    actions = AuditEntry.objects.filter(action__in=[Action.REPORT_HELD, Action.REPORT_RELEASED])
    assert [entry.person for entry in actions] == [actor.person, actor.person]
    assert told() == []


def test_nothing_younger_than_thirteen_months_is_deleted_by_hand(actor: audit.Actor) -> None:
    report = final()

    with pytest.raises(NotPossible, match="Evidence is kept for at least 13 months"):
        retention.delete(report, actor, "please", at=AS_OF + timedelta(days=390))
    retention.delete(report, actor, "The customer left.", at=AS_OF + timedelta(days=400))

    report.refresh_from_db()
    assert "The customer left." in report.error
    assert not files.path_of(report).exists()
    with pytest.raises(NotPossible, match="deleted already"):
        retention.delete(report, actor, "again", at=AS_OF + timedelta(days=400))
    assert told() == []


def test_a_draft_is_neither_held_nor_deleted_by_hand(actor: audit.Actor) -> None:
    draft = made()

    with pytest.raises(NotPossible, match="make it final first"):
        retention.hold(draft, actor, "why", at=AS_OF)
    with pytest.raises(NotPossible, match="Only final reports"):
        retention.delete(draft, actor, "why", at=AS_OF + YEARS)


def test_of_two_holds_at_once_one_is_entered(actor: audit.Actor) -> None:
    report = final()
    retention.hold(report, actor, "one", at=AS_OF)

    with pytest.raises(NotPossible, match="Somebody else did it"):
        retention.hold(report, actor, "two", at=AS_OF)

    assert RegisterEntry.objects.filter(kind="held").count() == 1


@pytest.mark.parametrize(
    ("at", "months", "before"),
    [
        ((2026, 8, 1), 13, (2025, 7, 1)),
        ((2026, 3, 31), 13, (2025, 2, 28)),
        ((2025, 3, 29), 13, (2024, 2, 29)),
        ((2026, 1, 15), 24, (2024, 1, 15)),
        ((2026, 12, 31), 18, (2025, 6, 30)),
    ],
)
def test_months_are_those_of_the_calendar(at: Any, months: int, before: Any) -> None:
    assert months_before(datetime(*at, 5, tzinfo=UTC), months) == datetime(*before, 5, tzinfo=UTC)
