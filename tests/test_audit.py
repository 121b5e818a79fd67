"""The audit trail: what it keeps, and that whatever somebody does to it afterwards is named."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connection, connections, transaction
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase as DatabaseCase

from restorereports.audit import COMMAND_LINE, THE_INSTALLATION, Action, Actor, Via, faults, head, record
from restorereports.audit.chain import GENESIS, hash_of, seal_of_head, storable
from restorereports.audit.entries import NotWritable
from restorereports.audit.verification import MOST_FAULTS, Anchor, Fault, verify
from restorereports.models import AuditEntry, AuditHead, EnterpriseManager, Report
from restorereports.models.append_only import NeverChanged
from restorereports.models.snapshot import snapshot
from restorereports.sign_in.actor import actor_of
from tests.factories import make_enterprise_manager, make_report, make_user

AT = datetime(2026, 11, 23, 12, 0, 0, 123_457, tzinfo=UTC)
HOSTILE = (
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "\u202egnp.exe",
    "n" * 1000,
    "👩‍💻🚒",
    "a\nb\r\nc",
    "\0nul",
    "\ud800 alone",
)


def write(count: int = 8) -> list[AuditEntry]:
    return [record(Action.NOTE_WRITTEN, COMMAND_LINE, details={"n": n}) for n in range(1, count + 1)]


def bend(number: int, /, **values: Any) -> None:
    """Change a row as somebody with the database would, past the model that refuses it."""
    table = AuditEntry._meta.db_table
    for column, value in values.items():
        with connection.cursor() as cursor:
            cursor.execute(f'UPDATE {table} SET "{column}" = %s WHERE number = %s', [value, number])


def remove(*numbers: int) -> None:
    with connection.cursor() as cursor:
        for number in numbers:
            cursor.execute(f"DELETE FROM {AuditEntry._meta.db_table} WHERE number = %s", [number])


def rebuild(start: int) -> None:
    """Compute hashes and links anew from there on, as somebody without the key can; the seals stay as they are."""
    before = AuditEntry.objects.filter(number=start - 1).values_list("hash", flat=True).first() or GENESIS
    for entry in AuditEntry.objects.filter(number__gte=start).order_by("number"):
        entry.previous_hash = before
        before = hash_of(entry)
        bend(entry.number, previous_hash=entry.previous_hash, hash=before)
    AuditHead.objects.update(length=entry.number, hash=before)


def told(known: tuple[Anchor, ...] = ()) -> list[tuple[int, str, int]]:
    return [(fault.number, fault.what, fault.last_good) for fault in faults(known)]


# --- what is kept ---------------------------------------------------------------------------------------------


def test_an_entry_says_who_did_what_to_which_thing(db) -> None:
    em, person = make_enterprise_manager(name="em-prod"), make_user(username="b.sample")
    actor = Actor(person=person, via=Via.WEB, address="192.0.2.7")

    with time_machine.travel(AT, tick=False):
        entry = record(Action.EM_CHANGED, actor, of=em, details={"interval_minutes": [15, 30]})

    kept = AuditEntry.objects.get()
    assert (kept.number, kept.at, kept.action, kept.via) == (1, AT, "em_changed", "web")
    assert (kept.person, kept.person_name, kept.address) == (person, "b.sample", "192.0.2.7")
    assert (kept.object_type, kept.object_id, kept.object_name) == ("enterprisemanager", em.pk, "em-prod")
    assert (kept.enterprise_manager, kept.details) == (em, {"interval_minutes": [15, 30]})
    assert (kept.previous_hash, kept.hash, hash_of(kept)) == (GENESIS, entry.hash, entry.hash)
    assert (head().length, head().hash) == (1, kept.hash)


def test_a_trail_that_nobody_touched_has_no_fault(db) -> None:
    write()
    seen = head()

    found = verify([Anchor(seen.length, seen.hash, "the mail"), Anchor(0, GENESIS, "the first report")])

    assert (found.entries, found.anchors, found.total, found.faults) == (8, 2, 0, ())


def test_an_empty_trail_has_no_fault(db) -> None:
    assert faults([Anchor(0, GENESIS, "the first report")]) == ()


def test_an_entry_is_never_changed_or_deleted_by_the_program(db) -> None:
    (entry,) = write(1)

    for act in (entry.save, entry.delete, AuditEntry.objects.all().delete):
        with pytest.raises(NeverChanged):
            act()
    with pytest.raises(NeverChanged):
        AuditEntry.objects.update(action="refused")


def test_what_is_rolled_back_leaves_no_entry(db) -> None:
    write(2)

    with transaction.atomic():
        record(Action.NOTE_WRITTEN, COMMAND_LINE)
        transaction.set_rollback(True)

    assert (head().length, AuditEntry.objects.count(), faults()) == (2, 2, ())


def test_the_log_gets_a_copy_without_names_once_it_is_committed(
    db, caplog, django_capture_on_commit_callbacks
) -> None:
    caplog.set_level(logging.INFO, "restorereports.audit")
    em = make_enterprise_manager(name="<script>\n=cmd")

    with django_capture_on_commit_callbacks(execute=True):
        entry = record(Action.EM_CHANGED, COMMAND_LINE, of=em, details={"name": "\u202ex"})
        assert caplog.messages == []

    assert caplog.messages == [f"audit 1 em_changed {entry.hash}"]


def test_nothing_is_recorded_inside_a_frozen_view(transactional_db) -> None:
    """PostgreSQL refuses the write itself."""
    with pytest.raises((NotWritable, DatabaseError)), snapshot():
        record(Action.EXPORT_ENDED, COMMAND_LINE)

    assert head().length == 0


def test_what_is_no_plain_value_is_refused(db) -> None:
    with pytest.raises(TypeError, match="plain values, not datetime"):
        record(Action.NOTE_WRITTEN, COMMAND_LINE, details={"at": AT})

    assert head().length == 0


def test_an_actor_is_who_is_logged_in(db, rf) -> None:
    request = rf.get("/", REMOTE_ADDR="192.0.2.9")
    request.user = make_user(username="c.specimen")

    entry = record(Action.LOGGED_OUT, actor_of(request))

    assert (entry.person_name, entry.address, entry.via) == ("c.specimen", "192.0.2.9", "web")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_verify(db, name: str) -> None:
    record(Action.EM_CHANGED, THE_INSTALLATION, name=name, details={name: name, "n": [name]})

    assert faults() == ()


_TEXTS = st.text(st.characters(exclude_categories=())) | st.sampled_from(HOSTILE)  # surrogates and NUL too
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(_TEXTS, part, max_size=4),
    max_leaves=12,
)


class WhateverIsRecorded(DatabaseCase):
    """Hypothesis' own case rolls back after each example."""

    @given(details=st.dictionaries(_TEXTS, _VALUES, max_size=5), name=_TEXTS, address=st.ip_addresses())
    def test_comes_back_as_it_was_hashed(self, details: dict[str, Any], name: str, address: Any) -> None:
        actor = Actor(address=str(address))

        record(Action.EM_CHANGED, actor, name=name, details=details)
        record(Action.NOTE_WRITTEN, actor)

        assert faults() == ()
        assert AuditEntry.objects.get(number=1).details == storable(details)


@pytest.mark.parametrize("value", [2**53 + 1, -(2**70), 1.0, 0.1, 1e400, float("nan"), -0.0])
def test_numbers_that_engines_write_otherwise_are_kept_as_text(value: Any) -> None:
    kept = storable(value)

    assert isinstance(kept, str)
    assert storable([value, (value,)]) == [kept, [kept]]


# --- several at once ----------------------------------------------------------------------------------------------


def test_entries_of_several_at_once_stand_one_after_the_other(transactional_db) -> None:
    def act() -> None:
        try:
            for _ in range(10):
                with transaction.atomic():
                    make_enterprise_manager()
                    record(Action.EM_ADDED, COMMAND_LINE)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(AuditEntry.objects.order_by("number").values_list("number", flat=True)) == list(range(1, 41))
    assert (EnterpriseManager.objects.count(), faults()) == (40, ())


def test_outside_of_a_transaction_an_entry_is_one_of_its_own(transactional_db, caplog) -> None:
    caplog.set_level(logging.INFO, "restorereports.audit")

    entry = record(Action.BACKED_UP, COMMAND_LINE)

    assert caplog.messages == [f"audit 1 backed_up {entry.hash}"]
    assert faults() == ()


# --- what somebody does to it ---------------------------------------------------------------------------------

_OTHER: dict[str, Callable[[AuditEntry], Any]] = {
    "number": lambda _entry: 99,
    "at": lambda entry: entry.at + timedelta(microseconds=1),
    "action": lambda _entry: "note_writtem",
    "via": lambda _entry: "commane",
    "person_id": lambda _entry: make_user().pk,
    "person_name": lambda _entry: "B.sample",
    "address": lambda _entry: "192.0.2.8",
    "object_type": lambda _entry: "report",
    "object_id": lambda entry: entry.object_id + 1,
    "object_name": lambda entry: f"{entry.object_name} ",
    "enterprise_manager_id": lambda _entry: make_enterprise_manager().pk,
    "details": lambda _entry: '{"n": 2}',
    "previous_hash": lambda entry: f"{entry.previous_hash[:-1]}{'01'[entry.previous_hash[-1] == '0']}",
    "hash": lambda entry: f"{entry.hash[:-1]}{'01'[entry.hash[-1] == '0']}",
    "seal": lambda entry: f"{entry.seal[:-1]}{'01'[entry.seal[-1] == '0']}",
}


def test_every_column_is_covered_by_the_test_below() -> None:
    columns = {field.column for field in AuditEntry._meta.concrete_fields}

    assert columns - set(_OTHER) == {"id"}  # the row's own number, which says nothing


@pytest.mark.parametrize("column", _OTHER)
def test_one_byte_changed_in_any_column_is_named(db, column: str) -> None:
    em, actor = make_enterprise_manager(), Actor(person=make_user(username="b.sample"), address="192.0.2.7")
    entries = [record(Action.NOTE_WRITTEN, actor, of=em, details={"n": 1}) for _ in range(8)]
    assert faults() == ()

    bend(5, **{column: _OTHER[column](entries[4])})

    found = faults()
    assert found
    assert (found[0].number, {fault.last_good for fault in found}) == (5, {4})


def test_a_changed_entry_is_named(db) -> None:
    write()

    bend(5, details='{"n": 50}')

    assert told() == [(5, "entry 5 was changed after it was written", 4)]


def test_a_changed_seal_is_named(db) -> None:
    write()

    bend(5, seal="0" * 64)

    assert told() == [(5, "the seal of entry 5 was changed", 4)]


@pytest.mark.parametrize(
    ("numbers", "words", "last_good"),
    [
        ((4,), "entry 4 is missing", 3),
        ((1,), "entry 1 is missing", 0),
        ((1, 2, 3), "entries 1 to 3 are missing", 0),
        ((5, 6), "entries 5 to 6 are missing", 4),
    ],
)
def test_removed_entries_are_named(db, numbers: tuple[int, ...], words: str, last_good: int) -> None:
    write()

    remove(*numbers)

    assert told() == [(numbers[0], words, last_good)]


def test_a_cut_tail_is_named_by_the_head(db) -> None:
    write()

    remove(7, 8)

    assert told() == [(7, "the tail is cut: 8 entries were written, 6 are here", 6)]


def test_a_cut_tail_with_a_head_written_without_the_key_is_named(db) -> None:
    write()

    remove(7, 8)
    AuditHead.objects.update(length=6, hash=AuditEntry.objects.get(number=6).hash)

    assert told() == [(7, "the head was changed: it bears no seal of this installation", 6)]


def test_a_cut_tail_without_a_head_is_named(db) -> None:
    write()

    remove(7, 8)
    AuditHead.objects.all().delete()

    assert told() == [(7, "the head is missing: nothing says where the trail ended", 6)]


def test_a_trail_that_was_wiped_out_is_named_by_a_report(db) -> None:
    entries = write()
    report = make_report(audit_length=8, audit_hash=entries[7].hash)

    remove(*range(1, 9))
    AuditHead.objects.all().delete()

    assert told() == [(1, f"the tail is cut: {report} saw 8 entries, 0 are here", 0)]


@pytest.mark.parametrize("harm", ["changed", "missing", "behind"])
def test_the_next_act_does_not_cover_up_what_was_done_to_the_head(db, harm: str) -> None:
    write()
    if harm == "behind":
        AuditEntry.objects.bulk_create([_invented(9)])
    else:
        remove(7, 8)
    if harm == "missing":
        AuditHead.objects.all().delete()
    elif harm == "changed":
        AuditHead.objects.update(length=6, hash=AuditEntry.objects.get(number=6).hash)

    write(1)

    found = told()
    last = 9 if harm == "behind" else 6
    assert AuditEntry.objects.get(number=last + 1).details == {"head": harm}
    words = "before entry %d the head was missing or changed: entries may have been cut off there"
    assert (last + 1, words % (last + 1), 8 if harm == "behind" else 6) in found


def _invented(number: int) -> AuditEntry:
    last = AuditEntry.objects.first()
    entry = AuditEntry(number=number, at=AT, action="logged_in", via="web", previous_hash=last.hash)
    entry.hash, entry.seal = hash_of(entry), "0" * 64
    return entry


def test_a_cut_tail_stays_named_when_the_trail_goes_on(db) -> None:
    write()
    remove(7, 8)

    write(2)

    assert told() == [(7, "entries 7 to 8 are missing", 6)]


def test_a_chain_rebuilt_from_the_middle_without_the_key_is_named(db) -> None:
    write()
    bend(5, details='{"n": 50}')

    rebuild(5)

    assert [(number, good) for number, _words, good in told()] == [(5, 4), (9, 4)]
    assert told()[0][1].startswith("the trail was rebuilt from entry 5 on without its key")


def test_a_chain_rebuilt_up_to_the_middle_is_named(db) -> None:
    write()
    bend(3, details='{"n": 30}')
    last = AuditEntry.objects.get(number=5).hash

    rebuild(3)
    remove(6, 7, 8)

    assert AuditEntry.objects.get(number=5).hash != last
    assert [(number, good) for number, _words, good in told()] == [(3, 2), (6, 2)]


def test_a_chain_rebuilt_with_the_key_is_named_by_a_report(db) -> None:
    entries = write()
    vouched = make_report(audit_length=3, audit_hash=entries[2].hash)
    seen = make_report(audit_length=6, audit_hash=entries[5].hash)

    _rebuild_with_key(5)

    words = f"entry 6 is not the one that {seen} names: the trail was rebuilt with its key, or what is named was changed"
    assert told() == [(6, words, vouched.audit_length)]


def test_a_chain_rebuilt_with_the_key_is_named_by_what_a_mail_says(db) -> None:
    entries = write()

    _rebuild_with_key(5)

    known = (Anchor(4, entries[3].hash, "mail of May"), Anchor(8, entries[7].hash, "mail of June"))
    assert [(number, good) for number, _words, good in told(known)] == [(8, 4)]


def _rebuild_with_key(start: int) -> None:
    kept = list(AuditEntry.objects.filter(number__lt=start).order_by("number"))
    count = AuditEntry.objects.count()
    remove(*range(start, count + 1))
    AuditHead.objects.all().delete()
    last = kept[-1]
    end = AuditHead(length=last.number, hash=last.hash)
    end.seal = seal_of_head(end)
    end.save()
    for number in range(start, count + 1):
        record(Action.NOTE_WRITTEN, COMMAND_LINE, details={"n": number * 10})


def test_entries_that_changed_places_are_named(db) -> None:
    write()

    bend(4, number=100)
    bend(5, number=4)
    bend(100, number=5)

    found = told()
    assert (4, "entry 4 was changed after it was written", 3) in found
    assert (5, "entry 5 was changed after it was written", 3) in found


@pytest.mark.parametrize("number", [0, 9])
def test_an_entry_that_was_put_in_at_an_end_is_named(db, number: int) -> None:
    write()

    AuditEntry.objects.bulk_create([_invented(number)])

    assert {good for _number, _words, good in told()} == {8 if number else 0}


def test_an_entry_that_was_put_in_between_is_named(db) -> None:
    write()
    for later in (8, 7, 6, 5):
        bend(later, number=later + 1)

    AuditEntry.objects.bulk_create([_invented(5)])

    found = told()
    assert found[0][0] == 5
    assert {good for _number, _words, good in found} == {4}


def test_another_key_opens_no_trail(db, settings) -> None:
    write()

    settings.AUDIT_KEY = "the key of somebody else"

    assert [(number, good) for number, _words, good in told()] == [(1, 0), (9, 0)]


def test_an_anchor_among_removed_entries_is_no_cut_tail(db) -> None:
    entries = write()
    make_report(audit_length=5, audit_hash=entries[4].hash)

    remove(5)

    assert told() == [(5, "entry 5 is missing", 4)]


def test_so_many_faults_are_named_and_the_rest_counted(db) -> None:
    write(MOST_FAULTS + 5)
    for number in range(1, MOST_FAULTS + 6):
        bend(number, details="{}")

    found = verify()

    assert (len(found.faults), found.total) == (MOST_FAULTS, MOST_FAULTS + 5)
    assert found.faults[0] == Fault(1, "entry 1 was changed after it was written", 0)


def test_reports_without_an_anchor_say_nothing(db) -> None:
    make_report()
    write(2)

    assert (verify().anchors, Report.objects.count()) == (0, 1)
