"""`manage.py verify_audit`: what it prints, and its exit code."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connections

from restorereports.audit import COMMAND_LINE, Action, head, record
from restorereports.models import AuditEntry, AuditHead
from tests.factories import make_report
from tests.test_audit import bend, remove, write

pytestmark = pytest.mark.django_db


def run(*options: str) -> tuple[list[str], int]:
    """The lines that were printed, and the exit code."""
    out, code = StringIO(), 0
    try:
        call_command("verify_audit", *options, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    return out.getvalue().splitlines(), code


def test_a_whole_trail() -> None:
    write()
    end = head()
    make_report(audit_length=8, audit_hash=end.hash)

    said, code = run("--expect", f"8:{end.hash.upper()}")

    assert code == 0
    assert said == [
        "Entries: 8",
        f"Head: 8:{end.hash}",
        "Compared with what was printed: 2 time(s)",
        "The audit trail is whole: no entry was changed, removed or put in.",
    ]


def test_no_trail_yet() -> None:
    said, code = run()

    assert (said[0], said[1], code) == ("Entries: 0", f"Head: 0:{'0' * 64}", 0)


def test_each_fault_stands_in_a_line_with_the_last_good_entry() -> None:
    write()
    bend(6, details="{}")
    remove(1)

    said, code = run()

    assert code == 1
    assert said[3:] == [
        "FAULT: entry 1 is missing; last good entry: none",
        "FAULT: entry 6 was changed after it was written; last good entry: none",
    ]


def test_what_a_mail_printed_finds_a_cut_tail() -> None:
    entries = write()
    remove(*range(1, 9))
    AuditHead.objects.all().delete()
    record(Action.BACKED_UP, COMMAND_LINE)

    said, code = run("--expect", f"8:{entries[7].hash}")

    assert code == 1
    assert said[3:] == ["FAULT: the tail is cut: --expect 8 saw 8 entries, 1 are here; last good entry: 1"]


@pytest.mark.parametrize(
    "text", ["", "8", "8:abc", f"x:{'0' * 64}", f"8:{'g' * 64}", f"{'9' * 30}:{'0' * 64}"]
)
def test_what_is_no_state_of_a_trail_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="is no state of the trail; write it as a report prints it"):
        call_command("verify_audit", "--expect", text)

    assert AuditEntry.objects.count() == 0


def test_it_is_the_first_that_asks_the_database(transactional_db) -> None:
    """As in a process of its own, where nothing has connected yet."""
    write()
    of_the_tests = connections["default"]
    of_the_tests.close()
    del connections["default"]

    try:
        said, code = run()
    finally:
        connections["default"].close()
        connections["default"] = of_the_tests

    assert (said[0], code) == ("Entries: 8", 0)
