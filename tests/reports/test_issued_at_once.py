"""Several workers and people enter things in the register at the same moment: no hole, no deadlock, nothing twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from restorereports import audit
from restorereports.models import AuditEntry, RegisterEntry, Report, User
from restorereports.reports import retention
from restorereports.reports.issuing import NotPossible, make_final
from restorereports.reports.render import render_report
from tests.factories import make_user

from .issued import ask, final, made, told
from .issued import written as written
from .population import AS_OF

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("transactional_db", "written")]
YEARS = AS_OF + timedelta(days=3660)


def at_once(*works: Callable[[], object]) -> list[BaseException]:
    """Each in a thread of its own, begun together; what they raised."""
    together = threading.Barrier(len(works))
    raised: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            together.wait(20)
            work()
        except BaseException as failure:  # noqa: BLE001 - shown by the test
            raised.append(failure)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return raised


def numbers() -> list[int]:
    return list(RegisterEntry.objects.order_by("number").values_list("number", flat=True))


def test_reports_issued_at_once_follow_each_other_without_a_hole() -> None:
    reports = [ask(stage=Report.Stage.FINAL) for _ in range(4)]

    raised = at_once(*[lambda pk=one.pk: render_report(pk, as_of=AS_OF) for one in reports])

    assert raised == []
    assert [one.status for one in Report.objects.all()] == ["ready"] * 4
    assert numbers() == [1, 2, 3, 4]
    issued = AuditEntry.objects.filter(action="report_issued")
    assert sorted(issued.values_list("object_id", flat=True)) == [one.pk for one in reports]
    assert told() == []


def test_one_report_that_several_workers_take_is_issued_once() -> None:
    report = ask(stage=Report.Stage.FINAL)

    raised = at_once(*[lambda: render_report(report.pk, as_of=AS_OF)] * 4)

    assert raised == []
    assert numbers() == [1]
    assert told() == []


def test_two_people_who_make_one_draft_final_issue_it_once() -> None:
    report = made()
    people = [make_user(User.Role.AUDITOR, everything=True) for _ in range(2)]

    def press(person: User) -> None:
        looked_at = Report.objects.get(pk=report.pk)
        make_final(looked_at, person, audit.Actor(person=person, via=audit.Via.WEB))
        render_report(report.pk, as_of=AS_OF)

    raised = at_once(*[lambda person=person: press(person) for person in people])

    assert [type(failure) for failure in raised] in ([], [NotPossible])
    assert numbers() == [1]
    assert told() == []


def test_holds_deletions_issues_and_acts_of_the_trail_do_not_wait_for_each_other_for_ever() -> None:
    """The register's lock is taken before the trail's, and rows before both: in this order no circle can form."""
    held, gone, old = final(), final(), final()
    actor = audit.Actor(person=make_user(User.Role.ADMINISTRATOR))
    newer = ask(stage=Report.Stage.FINAL, supersedes=old)

    def only_the_trail() -> None:
        for _ in range(10):
            audit.record(audit.Action.NOTE_WRITTEN, audit.COMMAND_LINE)

    works: list[Callable[[], Any]] = [
        lambda: retention.hold(held, actor, "A case.", at=AS_OF),
        lambda: retention.hold(old, actor, "A case.", at=AS_OF),
        lambda: retention.delete(gone, actor, "The customer left.", at=YEARS),
        lambda: render_report(newer.pk, as_of=AS_OF),
        only_the_trail,
    ]
    raised = at_once(*works)

    assert raised == []
    kinds = sorted(RegisterEntry.objects.filter(number__gt=3).values_list("kind", flat=True))
    assert kinds == ["deleted", "held", "held", "issued", "superseded"]
    assert numbers() == list(range(1, 9))
    assert told() == []
    assert audit.faults() == ()


def test_of_a_hold_and_a_deletion_at_once_one_goes_before_and_nothing_is_lost_under_hold() -> None:
    report = final()
    actor = audit.Actor(person=make_user(User.Role.ADMINISTRATOR))

    raised = at_once(
        lambda: retention.hold(Report.objects.get(pk=report.pk), actor, "A case.", at=YEARS),
        lambda: retention.delete(report, actor, "The customer left.", at=YEARS),
    )

    assert [type(failure) for failure in raised] == [NotPossible]
    report.refresh_from_db()
    assert report.held is not bool(report.error)
    assert numbers() == [1, 2]
    assert told() == []
