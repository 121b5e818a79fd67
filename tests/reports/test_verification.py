"""Every tampering with evidence is found and named: file, frozen data, manifest, row, register, trail."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from restorereports import audit
from restorereports.audit import COMMAND_LINE
from restorereports.models import RegisterEntry, RegisterHead, Report
from restorereports.reports import files, freezing, register
from restorereports.reports.frozen import sha256_of
from restorereports.reports.register import REGISTER

from .issued import final, sql, told
from .issued import written as written
from .population import make_population

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]


def entry_of(number: int) -> RegisterEntry:
    found: RegisterEntry = RegisterEntry.objects.get(number=number)
    return found


def rebuild(settings: Any, *, key: str, first: int = 1) -> None:
    """What who holds the database does: compute every hash and seal anew, with this key."""
    right, settings.AUDIT_KEY = settings.AUDIT_KEY, key
    before = "0" * 64 if first == 1 else entry_of(first - 1).hash
    last = 0
    for entry in RegisterEntry.objects.filter(number__gte=first).order_by("number"):
        entry.previous_hash = before
        before, last = REGISTER.hash_of(entry), entry.number
        sql(
            "UPDATE restorereports_registerentry SET previous_hash=%s, hash=%s, seal=%s WHERE id=%s",
            *(entry.previous_hash, before, _sealed(entry, before), entry.pk),
        )
    head = RegisterHead(length=last, hash=before)
    RegisterHead.objects.update(length=last, hash=before, seal=REGISTER.seal_of_head(head))
    settings.AUDIT_KEY = right


def _sealed(entry: RegisterEntry, hash_now: str) -> str:
    entry.hash = hash_now
    return REGISTER.seal_of_entry(entry)


def test_a_changed_byte_in_a_stored_report_is_named() -> None:
    make_population()
    report, whole = final(), final()
    path = files.path_of(report)
    found = bytearray(path.read_bytes())
    found[10] ^= 1
    path.write_bytes(found)

    assert told() == [f"{report}: {report}.pdf was changed: its SHA-256 is not the one on record"]
    assert whole.sha256


def test_a_missing_file_is_named_and_so_is_an_empty_one() -> None:
    gone, emptied = final(), final()
    files.path_of(gone).unlink()
    files.path_of(emptied).write_bytes(b"")

    assert told() == [
        f"{gone}: {gone}.pdf is missing",
        f"{emptied}: {emptied}.pdf was changed: its SHA-256 is not the one on record",
        f"{emptied}: {emptied}.pdf cannot be read: cannot mmap an empty file",
    ]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("sessions.csv", "its frozen file sessions.csv was changed"),
        ("figures.json", "its frozen figures or rows are not those of the data hash on record"),
        ("index.json", "The frozen file index.json was changed."),
    ],
)
def test_changed_frozen_files_are_named(name: str, what: str) -> None:
    make_population()
    report = final()
    path = files.frozen_folder(report) / name
    path.write_bytes(path.read_bytes().replace(b"1", b"2").replace(b"[", b"{"))

    assert told() == [f"{report}: {what}"]


@pytest.mark.parametrize("name", ["sessions.csv", "figures.json", "index.json"])
def test_a_missing_frozen_file_is_named(name: str) -> None:
    report = final()
    (files.frozen_folder(report) / name).unlink()

    assert told() == [f"{report}: its frozen file {name} is missing"]


def test_rows_that_were_exchanged_together_with_their_index_are_found_by_the_data_hash(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_population()
    monkeypatch.setattr(freezing, "GZIPPED_OVER", 100)
    report = final()
    folder = files.frozen_folder(report)
    packed = folder / "sessions.csv.gz"
    packed.write_bytes(
        gzip.compress(gzip.decompress(packed.read_bytes()).replace(b"Failed", b"Success"), mtime=0)
    )
    index = json.loads((folder / "index.json").read_bytes())
    index[0]["sha256"] = sha256_of(packed)
    (folder / "index.json").write_text(json.dumps(index))
    rows = f"{report}: its frozen file sessions.csv.gz does not hold the rows that the data hash covers"
    listed = f"{report}: its frozen files are not those that its manifest lists"

    assert told() == [rows, listed]
    index[0]["plain_sha256"] = hashlib.sha256(gzip.decompress(packed.read_bytes())).hexdigest()
    (folder / "index.json").write_text(json.dumps(index))
    assert told() == [
        f"{report}: its frozen figures or rows are not those of the data hash on record",
        listed,
    ]


def test_a_changed_row_is_compared_with_the_register_field_by_field() -> None:
    make_population()
    report = final()
    Report.objects.filter(pk=report.pk).update(rows=12, sha256="0" * 64)

    assert told() == [
        f"{report}: its row and the register differ: sha256",
        f"{report}: its row and the register differ: rows",
        f"{report}: {report}.pdf was changed: its SHA-256 is not the one on record",
    ]


def test_a_changed_manifest_is_neither_the_one_in_the_pdf_nor_the_registers() -> None:
    report = final()
    Report.objects.filter(pk=report.pk).update(manifest=report.manifest | {"version": "9.9.9"})

    assert told() == [
        f"{report}: its row and the register differ: manifest_sha256",
        f"{report}: manifest.json in {report}.pdf is not the one on record",
    ]


@pytest.mark.parametrize("column", ["held", "error"])
def test_hold_and_deletion_past_the_register_are_found(column: str) -> None:
    report = final()
    Report.objects.filter(pk=report.pk).update(**{column: True if column == "held" else "gone"})

    assert len(told()) == 1
    assert "its row and the register differ on whether it" in told()[0]


def test_a_report_that_was_made_a_draft_again_or_removed_is_named_by_the_register() -> None:
    report, gone = final(), final()
    Report.objects.filter(pk=report.pk).update(stage="draft")
    sql("DELETE FROM restorereports_report WHERE id=%s", gone.pk)

    words = "the register says that it was issued; no final report bears that number"
    assert told() == [f"{report}: {words}", f"{gone}: {words}"]


def test_a_changed_entry_is_named() -> None:
    final()
    final()
    entry = entry_of(1)
    sql(
        "UPDATE restorereports_registerentry SET facts=%s WHERE id=%s",
        json.dumps(entry.facts | {"rows": 7}),
        entry.pk,
    )

    assert told()[0] == "entry 1 was changed after it was written"
    assert told()[1].endswith("its row and the register differ: rows")


def test_a_removed_entry_is_named_and_so_is_its_report() -> None:
    reports = [final() for _ in range(3)]
    sql("DELETE FROM restorereports_registerentry WHERE number=2")

    assert told() == [
        "entry 2 is missing",
        f"{reports[1]}: the register has no entry of its issue: it was removed, or the report was never issued",
    ]


def test_a_cut_tail_is_named_with_the_report_that_lacks_its_entry() -> None:
    final()
    last = final()
    sql("DELETE FROM restorereports_registerentry WHERE number=2")

    assert told() == [
        "the tail is cut: 2 entries were written, 1 are here",
        f"{last}: the register has no entry of its issue: it was removed, or the report was never issued",
    ]


def test_a_cut_tail_whose_report_went_with_it_is_found_by_what_left_the_house() -> None:
    final()
    last = final()
    left = entry_of(2)
    sql("DELETE FROM restorereports_registerentry WHERE number=2")
    sql("DELETE FROM restorereports_report WHERE id=%s", last.pk)
    head = RegisterHead(length=1, hash=entry_of(1).hash)
    RegisterHead.objects.update(length=1, hash=head.hash, seal=REGISTER.seal_of_head(head))
    said = io.StringIO()

    assert told() == []
    with pytest.raises(SystemExit, match="1"):
        call_command("verify_evidence", "--expect", f"2:{left.hash}", stdout=said)

    assert "FAULT: register: the tail is cut: --expect 2 saw 2 entries, 1 are here" in said.getvalue()


def test_a_register_rebuilt_without_the_key_bears_no_seal(settings: Any) -> None:
    final()
    report = final()
    sql(
        "UPDATE restorereports_registerentry SET facts=%s WHERE number=2",
        json.dumps(entry_of(2).facts | {"rows": 7}),
    )
    rebuild(settings, key="somebody's own", first=2)

    found = told()

    assert any("the register was rebuilt from entry 2 on without its key" in what for what in found)
    assert any("the head was changed: it bears no seal" in what for what in found)
    assert f"{report}: its row and the register differ: rows" in found


def test_a_register_rebuilt_with_the_key_is_found_by_what_the_next_report_prints(settings: Any) -> None:
    first, second = final(), final()
    facts = entry_of(1).facts | {"rows": 7}
    sql("UPDATE restorereports_registerentry SET facts=%s WHERE number=1", json.dumps(facts))
    rebuild(settings, key=settings.AUDIT_KEY)

    assert told() == [
        f"entry 1 is not the one that {second} names: the register was rebuilt with its key, or what is named was changed",
        f"{first}: its row and the register differ: rows",
    ]


def test_a_lost_head_is_a_fault_and_stays_one_after_the_next_entry() -> None:
    final()
    RegisterHead.objects.all().delete()
    assert told() == ["the head is missing: nothing says where the register ended"]

    final()

    assert entry_of(2).facts[register.LOST_HEAD] == "missing"
    words = "before entry 2 the head was missing or changed: entries may have been cut off there"
    assert told() == [words]


def test_a_seal_of_the_trail_is_none_of_the_register() -> None:
    report = final()
    entry = entry_of(1)
    trail = audit.record(audit.Action.NOTE_WRITTEN, COMMAND_LINE, of=report)

    assert not REGISTER.is_sealed(RegisterEntry(hash=trail.hash, seal=trail.seal))
    assert REGISTER.is_sealed(entry)


def test_a_cut_audit_trail_is_told_by_the_report_that_saw_it() -> None:
    audit.record(audit.Action.NOTE_WRITTEN, COMMAND_LINE)
    report = final()
    sql("UPDATE restorereports_auditentry SET hash=%s WHERE number=1", "f" * 64)

    assert told() == [
        f"{report}: the audit trail has at entry 1 not the hash that it prints; verify_audit says more"
    ]


def test_the_command_says_what_was_looked_at_and_that_it_is_whole() -> None:
    make_population()
    final()
    entry = entry_of(1)
    said = io.StringIO()

    call_command("verify_evidence", "--expect", f"1:{entry.hash}", stdout=said)

    assert said.getvalue().splitlines() == [
        "Entries: 1",
        f"Head: 1:{entry.hash}",
        "Compared with what was printed: 2 time(s)",
        "Final reports: 1, of which deleted on record: 0",
        "The evidence is whole: the register, and every final report that it issued.",
    ]


def test_the_command_refuses_what_is_no_state_of_the_register() -> None:
    with pytest.raises(CommandError, match="is no state of the register; write it as a report prints it"):
        call_command("verify_evidence", "--expect", "12")


def test_an_installation_without_evidence_is_whole() -> None:
    assert told() == []
