"""What SQLite keeps in any column, a text that is no time or no UTF-8 among it, is named and stops nobody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection

from restorereports.audit import COMMAND_LINE, Action, record
from restorereports.audit.verification import verify
from restorereports.models import AuditEntry, Report
from tests.factories import make_report

ENTRY, HEAD = AuditEntry._meta.db_table, "restorereports_audithead"


@pytest.fixture
def five(transactional_db: None) -> Iterator[None]:
    for number in range(5):
        record(Action.BACKED_UP, COMMAND_LINE, name=f"backup {number}")
    yield
    _run(f"delete from {ENTRY}", f"delete from {HEAD}")  # before Django reads what the test left


def _run(*statements: str) -> None:
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("pragma ignore_check_constraints = on")
        for statement in statements:
            cursor.execute(statement)


# what is written into the third entry: on SQLite whatever one likes, on PostgreSQL what its columns take
WRITTEN = {
    "sqlite": (
        "at = '2026-13-01 00:00:00'",
        "at = 'x'",
        "object_name = cast(x'ff' as text)",
        "hash = x'ff'",
        "seal = x'ff'",
        "details = 'no json'",
        "number = 'x'",
        "number = 3.5",
    ),
    "postgresql": (
        "at = 'infinity'",
        "at = '294000-01-01'",
        "details = '[1e400]'",
        "hash = ''",
    ),
}


HEADS = {
    "sqlite": ("seal = x'ff'", "length = 'x'", "hash = x'ff'"),
    "postgresql": ("seal = ''", "hash = ''"),
}


@pytest.mark.parametrize("written", WRITTEN[connection.vendor])
def test_an_entry_that_cannot_be_read_is_named_and_the_next_act_is_written(five: None, written: str) -> None:
    _run(f"update {ENTRY} set {written} where number = 3")

    found = verify()
    entry = record(Action.BACKED_UP, COMMAND_LINE, name="later")

    assert found.total
    assert {fault.last_good for fault in found.faults} == {2}
    assert entry.number == 6


@pytest.mark.parametrize("written", HEADS[connection.vendor])
def test_a_head_that_cannot_be_read_is_named_and_the_next_act_says_so(five: None, written: str) -> None:
    _run(f"update {HEAD} set {written}")

    found = verify()
    record(Action.BACKED_UP, COMMAND_LINE, name="later")

    assert [fault.number for fault in found.faults] == [6]
    actions = list(AuditEntry.objects.order_by("number").values_list("action", flat=True))
    assert actions[-2:] == [Action.HEAD_MISSING, Action.BACKED_UP]


def test_what_a_report_says_and_cannot_be_read_is_named(five: None) -> None:
    report = make_report(audit_length=3, audit_hash="x")
    if connection.vendor == "sqlite":
        _run(f"update {Report._meta.db_table} set audit_length = 'x'")

    found = verify()
    Report.objects.filter(pk=report.pk).update(audit_length=None)

    assert any(str(report) in fault.what or f"report {report.pk}" in fault.what for fault in found.faults)
