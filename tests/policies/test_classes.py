"""Test or real: rules at first sight, people over rules, changed rules over old restore sessions only when asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from restorereports.audit import COMMAND_LINE
from restorereports.models import AuditEntry, ClassChange, ClassRules, RestoreSession
from restorereports.models.append_only import NeverChanged
from restorereports.policies.class_rules import ClassRule, classifier, latest_rules, plain_rules, read_rules
from restorereports.policies.classes import change_rules, preview_run, run_rules, set_by_hand
from restorereports.policies.terms import TermsError
from tests.factories import START, make_backup_server, make_restore_session, make_user

pytestmark = pytest.mark.django_db
NIGHTS = ClassRule(session_class="test", weekdays=(5, 6), from_hour=22, to_hour=6, zone="Europe/Berlin")
LAB = ClassRule(session_class="test", name="lab-*")
REST = ClassRule(session_class="real", backup_server="vbr-*")


def change(*rules: ClassRule) -> ClassRules:
    return change_rules(tuple(rules), note="", person=None, actor=COMMAND_LINE, at=START)


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        (datetime(2026, 10, 24, 20, tzinfo=UTC), "test"),  # Saturday 22:00 CEST
        (datetime(2026, 10, 24, 19, 59, tzinfo=UTC), ""),  # Saturday 21:59
        (datetime(2026, 10, 25, 4, 59, tzinfo=UTC), "test"),  # Sunday 05:59 CET, the clocks went back
        (datetime(2026, 10, 25, 5, tzinfo=UTC), ""),  # Sunday 06:00
        (datetime(2026, 10, 26, 4, tzinfo=UTC), ""),  # Monday 05:00: the weekday is that of the start
    ],
)
def test_hours_and_weekdays_are_those_of_the_rules_zone(when: datetime, wanted: str) -> None:
    assert classifier((NIGHTS,))("vm", "server", when) == wanted


def test_the_first_rule_that_fits_counts() -> None:
    classify = classifier((LAB, REST))

    assert classify("LAB-1", "vbr-1", START) == "test"
    assert classify("db", "VBR-1", START) == "real"
    assert classify("db", "other", START) == ""


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        ([{"session_class": "drill", "name": "x"}], "Rule 1: the class must be test or real."),
        ([{"session_class": "", "name": "x"}], "Rule 1: the class must be test or real."),
        ([{"session_class": "test"}], "Rule 1 fits every restore session"),
        ([{"session_class": "test", "from_hour": 5, "to_hour": 5}], "Rule 1 fits every"),
        ([{"session_class": "test", "weekdays": [7]}], "weekdays are 0"),
        ([{"session_class": "test", "from_hour": 24, "to_hour": 3}], "hours are 0 to 24"),
        ([{"session_class": "test", "name": "x" * 201}], "at most 200 characters"),
        ([{"session_class": "test", "name": "x", "zone": "Mars/Base"}], "no IANA time zone"),
        ([{"session_class": "test", "name": "x"}] * 101, "at most 100 rules"),
        ([{"name": "x"}], "cannot be read at"),
        ("x", "cannot be read at"),
    ],
)
def test_wrong_rules_are_refused_with_their_number(plain: Any, sentence: str) -> None:
    with pytest.raises(TermsError, match=sentence):
        read_rules(plain)


def test_rules_come_back_from_json_as_they_were() -> None:
    assert read_rules(plain_rules((NIGHTS, LAB, REST))) == (NIGHTS, LAB, REST)


def test_a_change_is_a_new_number_and_stands_in_the_trail() -> None:
    first, second = change(LAB), change(REST)

    assert (first.number, second.number, latest_rules()) == (1, 2, (REST,))
    entry = AuditEntry.objects.filter(action="class_rules_changed").order_by("-number")[0]
    assert (entry.details["number"], entry.details["rules"][0]["backup_server"]) == (2, "vbr-*")
    with pytest.raises(NeverChanged):
        first.save()


def test_a_wrong_change_changes_nothing() -> None:
    with pytest.raises(TermsError):
        change(ClassRule(session_class="test"))

    assert ClassRules.objects.count() == AuditEntry.objects.count() == 0


def test_by_hand_needs_a_reason_and_is_kept_with_it() -> None:
    row, person = make_restore_session(session_class="test"), make_user("operator")

    with pytest.raises(ValueError, match="Say why"):
        set_by_hand(row, session_class="real", reason=" ", person=person, actor=COMMAND_LINE, at=START)
    with pytest.raises(ValueError, match="is no class"):
        set_by_hand(row, session_class="drill", reason="x", person=person, actor=COMMAND_LINE, at=START)
    set_by_hand(row, session_class="real", reason="Incident 7", person=person, actor=COMMAND_LINE, at=START)

    row.refresh_from_db()
    kept = ClassChange.objects.get()
    assert (row.session_class, row.class_by_hand) == ("real", True)
    assert (kept.before, kept.after, kept.reason, kept.by) == ("test", "real", "Incident 7", person)
    assert AuditEntry.objects.get(action="class_set").details["class"] == ["test", "real"]


def test_a_run_over_old_ones_is_previewed_spares_the_hands_and_is_logged() -> None:
    server, person = make_backup_server(name="vbr-1"), make_user("policy_owner")
    old = make_restore_session(server, vm_name="lab-1", started_at=START - timedelta(days=9))
    lab, plain = (make_restore_session(server, vm_name=name) for name in ("lab-2", "db"))
    hand = make_restore_session(server, vm_name="lab-3", session_class="real", class_by_hand=True)
    change(LAB, REST)
    since = START - timedelta(days=1)

    preview = preview_run(since=since)
    assert set(RestoreSession.objects.values_list("session_class", flat=True)) == {"", "real"}
    done = run_rules(since=since, reason="Rules of May", person=person, actor=COMMAND_LINE, at=START)

    assert preview == done
    assert (done.rules, done.rows, done.by_hand, done.changed) == (1, 2, 1, 2)
    assert done.changes == {("", "test"): 1, ("", "real"): 1}
    classes = dict(RestoreSession.objects.values_list("pk", "session_class"))
    assert classes == {old.pk: "", lab.pk: "test", plain.pk: "real", hand.pk: "real"}
    assert set(ClassChange.objects.values_list("run", "reason")) == {(1, "Rules of May")}
    entry = AuditEntry.objects.get(action="class_rules_run")
    assert entry.details["rows"] == 2
    assert entry.details["changed"] == {"unset > real": 1, "unset > test": 1}
    assert run_rules(since=since, reason="again", person=person, actor=COMMAND_LINE, at=START).changed == 0


def test_a_run_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="Say why"):
        run_rules(since=START, reason="", person=None, actor=COMMAND_LINE, at=START)
