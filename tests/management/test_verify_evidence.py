"""`manage.py verify_evidence` as an operator or a monitoring job runs it: what it prints, and its exit code."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from restorereports.audit.chain import GENESIS
from restorereports.models import RegisterEntry
from restorereports.reports import files, verification
from tests.reports.issued import final, made, sql
from tests.reports.issued import written as written
from tests.reports.population import make_population

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    settings.VAR_DIR = tmp_path


def run(*options: str) -> tuple[int, list[str]]:
    said = io.StringIO()
    try:
        call_command("verify_evidence", *options, stdout=said)
    except SystemExit as end:
        return int(end.code or 0), said.getvalue().splitlines()
    return 0, said.getvalue().splitlines()


def test_an_installation_without_a_final_report_is_whole() -> None:
    made()

    assert run() == (
        0,
        [
            "Entries: 0",
            f"Head: 0:{GENESIS}",
            "Compared with what was printed: 0 time(s)",
            "Final reports: 0, of which deleted on record: 0",
            "The evidence is whole: the register, and every final report that it issued.",
        ],
    )


def test_it_compares_with_what_every_report_prints_and_with_what_is_given() -> None:
    final()
    final()
    first, second = RegisterEntry.objects.order_by("number")

    code, said = run("--expect", f"1:{first.hash}", "--expect", f"2:{second.hash.upper()}")

    assert code == 0
    assert said[1:3] == [f"Head: 2:{second.hash}", "Compared with what was printed: 4 time(s)"]


def test_each_fault_is_a_line_with_the_report_and_the_exit_code_is_1() -> None:
    make_population()
    bent, whole, gone = final(), final(), final()
    with files.path_of(bent).open("r+b") as file:
        file.write(b"#")
    files.path_of(gone).unlink()

    code, said = run()

    assert code == 1
    assert said[4:] == [
        f"FAULT: {bent}: {bent}.pdf was changed: its SHA-256 is not the one on record",
        f"FAULT: {gone}: {gone}.pdf is missing",
    ]
    assert not any(str(whole) in line for line in said)


def test_a_cut_register_is_told_with_the_last_good_entry() -> None:
    final()
    last = final()
    sql("DELETE FROM restorereports_registerentry WHERE number=2")

    code, said = run()

    assert code == 1
    assert "FAULT: register: the tail is cut: 2 entries were written, 1 are here; last good entry: 1" in said
    assert any(line.startswith(f"FAULT: {last}: the register has no entry of its issue") for line in said)


def test_what_was_printed_and_is_not_here_is_told() -> None:
    final()

    code, said = run("--expect", f"1:{'a' * 64}")

    assert code == 1
    words = (
        "FAULT: register: entry 1 is not the one that --expect 1 names: the register was rebuilt with its key"
    )
    assert any(line.startswith(words) for line in said)


@pytest.mark.parametrize(
    "text", ["", "1", "1:", f"x:{'a' * 64}", f"-1:{'a' * 64}", f"1:{'g' * 64}", f"1:{'a' * 63}"]
)
def test_what_is_no_state_of_the_register_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="is no state of the register"):
        run(f"--expect={text}")


def test_a_thousand_faults_are_counted_and_the_first_ones_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "MOST_FAULTS", 2)
    reports = [final() for _ in range(4)]
    for report in reports:
        files.path_of(report).unlink()

    code, said = run()

    assert code == 1
    assert said[-3:] == [
        f"FAULT: {reports[0]}: {reports[0]}.pdf is missing",
        f"FAULT: {reports[1]}: {reports[1]}.pdf is missing",
        "FAULT: and 2 more",
    ]


def test_it_changes_nothing() -> None:
    final()
    before = list(RegisterEntry.objects.values())
    stamps = {path: path.stat().st_mtime_ns for path in sorted(files.folder().rglob("*"))}

    run()

    assert list(RegisterEntry.objects.values()) == before
    assert {path: path.stat().st_mtime_ns for path in sorted(files.folder().rglob("*"))} == stamps
