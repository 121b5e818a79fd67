"""`manage.py export_sessions`: what it writes, what it refuses, and that it writes whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from restorereports.models import EnterpriseManager
from tests.factories import make_backup_server, make_enterprise_manager, make_restore_session

pytestmark = pytest.mark.django_db


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.fixture(autouse=True)
def _estate() -> None:
    north, south = make_enterprise_manager(name="em-north"), make_enterprise_manager(name="em-south")
    east, west = make_backup_server(north, name="vbr-east"), make_backup_server(south, name="vbr-west")
    for vm_name, server, manager, started, values in (
        ("a", east, north, "2026-07-01T00:00:00+02:00", {}),
        ("b", east, north, "2026-07-01T00:00:00+00:00", {"result": "Failed"}),
        ("c", west, south, "2026-07-31T23:59:59+00:00", {"result": "Cancelled"}),
        ("=d", west, south, "2026-08-01T00:00:00+00:00", {"state": "Working", "result": "None"}),
        ("A-long", west, south, "2026-08-02T00:00:00+00:00", {"job_type": "FileLevelRestore", "result": ""}),
        ("gone", west, south, "2026-08-03T00:00:00+00:00", {"state": "Stopping", "outcome": "Unknown"}),
    ):
        make_restore_session(
            server, enterprise_manager=manager, vm_name=vm_name, started_at=at(started), **values
        )


def export(tmp_path: Path, *options: str) -> list[str]:
    """The VM names of the exported rows, in order."""
    target = tmp_path / "out.csv"
    call_command("export_sessions", *options, "-o", str(target), stderr=io.StringIO())
    with target.open(newline="", encoding="utf-8") as file:
        return [row["vm_name"] for row in csv.DictReader(file)]


ALL = ["a", "b", "c", "=d", "A-long", "gone"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ([], ALL),
        (["--from", "2026-07-01"], ["b", "c", "=d", "A-long", "gone"]),
        (["--from", "2026-07-01", "--zone", "Europe/Berlin"], ALL),
        (["--from", "2026-07-01", "--to", "2026-08-01"], ["b", "c"]),
        (["--from", "2026-07-01T00:00:00+02:00", "--to", "2026-07-01T00:00Z"], ["a"]),
        (["--em", "em-north"], ["a", "b"]),
        (["--em", "em-north", "--em", "em-south"], ALL),
        (["--server", "vbr-west"], ["c", "=d", "A-long", "gone"]),
        (["--vm", "a"], ["a"]),
        (["--vm-contains", "A"], ["a", "A-long"]),
        (["--vm", "nobody"], []),
        (["--result", "failed"], ["b"]),
        (["--result", "None"], ["=d", "A-long"]),
        (["--result", "cancelled"], ["c"]),
        (["--result", "Running"], ["=d"]),
        (["--result", "running", "--result", "FAILED"], ["b", "=d"]),
        (["--result", "None", "--result", "Running"], ["=d", "A-long"]),
        (["--result", "unknown"], ["gone"]),
        (["--result", "Unknown", "--result", "running", "--result", "Failed"], ["b", "=d", "gone"]),
        (["--result", "Warning"], []),
        (["--state", "stopped"], ["a", "b", "c", "A-long"]),
        (["--type", "filelevelrestore"], ["A-long"]),
        (["--type", "RestoreVm", "--state", "Working"], ["=d"]),
    ],
)
def test_filters(tmp_path, options, names) -> None:
    assert export(tmp_path, *options) == names


def test_a_server_is_found_by_the_name_that_another_enterprise_manager_gives_it(tmp_path) -> None:
    server = EnterpriseManager.objects.get(name="em-north").backup_server_sources.get()
    server.name = "vbr-east.example.test"
    server.save()

    assert export(tmp_path, "--server", "vbr-east.example.test") == ["a", "b"]


def test_a_word_that_enterprise_manager_sent_is_known(tmp_path) -> None:
    make_restore_session(vm_name="odd", job_type="RestoreVApp", state="Pausing")

    assert export(tmp_path, "--type", "restorevapp") == ["odd"]
    assert export(tmp_path, "--state", "pausing") == ["odd"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "2026-02-30"], "--from “2026-02-30” is no date that exists; write it like 2026-07-01"),
        (["--from", "yesterday"], "is no date that exists"),
        (["--to", "2026-07-01T12:00"], "has no offset from UTC; write 2026-07-01T12:00Z"),
        (["--from", "0001-01-01", "--zone", "Asia/Tokyo"], "is no date that exists"),
        (["--from", "2026-07-01", "--to", "2026-07-01"], "must come after --from 2026-07-01"),
        (["--from", "2026-07-02", "--to", "2026-07-01"], "must come after --from 2026-07-02"),
        (["--zone", "Berlin"], "--zone must be an IANA zone like Europe/Berlin, not “Berlin”"),
        (["--zone", "../etc/passwd"], "--zone must be an IANA zone"),
        (["--em", "em-east"], "No Enterprise Manager is called em-east. Known: em-north, em-south."),
        (["--server", "vbr"], "No backup server is called vbr. Known: vbr-east, vbr-west."),
        (
            ["--result", "Sucess"],
            "No result is called Sucess. Known: Cancelled, Failed, None, Running, Success,",
        ),
        (["--state", "Done"], "No state is called Done. Known: Starting, Stopped, Stopping, Working."),
        (["--type", "Restore"], "No type is called Restore. Known: FileLevelRestore, RestoreVm."),
        (["--result", "Running", "--result", "Cancelled"], "not with Cancelled"),
        (
            ["--result", "Unknown", "--result", "Cancelled"],
            "--result Unknown goes with EM's own results only",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_remedy_and_nothing_is_written(
    tmp_path, options, words
) -> None:
    with pytest.raises(CommandError) as refusal:
        export(tmp_path, *options)

    assert words in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_the_number_of_rows_is_told_apart_from_the_rows(tmp_path) -> None:
    told = io.StringIO()

    call_command("export_sessions", "-o", str(tmp_path / "out.csv"), stderr=told)

    assert told.getvalue() == "6 rows\n"


def test_plain_by_default_and_safe_for_spreadsheets_when_asked(tmp_path) -> None:
    assert "=d" in export(tmp_path)
    assert "'=d" in export(tmp_path, "--spreadsheet-safe")


def test_standard_output_gets_the_same_bytes(tmp_path, capfdbinary) -> None:
    make_restore_session(vm_name="файл")
    call_command("export_sessions", "-o", str(tmp_path / "out.csv"), stderr=io.StringIO())

    call_command("export_sessions", "-o", "-", stderr=io.StringIO())

    assert capfdbinary.readouterr().out == (tmp_path / "out.csv").read_bytes()


def test_a_failure_in_the_middle_leaves_what_was_there(tmp_path, monkeypatch) -> None:
    target = tmp_path / "out.csv"
    target.write_text("before")

    def broken(*_args: object, **_kwargs: object):
        yield "header\n"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("restorereports.management.commands.export_sessions.lines", broken)

    with pytest.raises(CommandError, match="cannot be written: No space left on device"):
        call_command("export_sessions", "-o", str(target), stderr=io.StringIO())

    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_is_not_there_is_said(tmp_path) -> None:
    with pytest.raises(CommandError, match="No such file or directory"):
        call_command("export_sessions", "-o", str(tmp_path / "none" / "out.csv"), stderr=io.StringIO())


@pytest.mark.processes
def test_a_reader_that_has_enough_ends_it_quietly(tmp_path) -> None:
    environment = os.environ | {
        "VAR_DIR": str(tmp_path),
        "DATABASE_URL": f"sqlite:///{tmp_path}/x.sqlite3",
        "LOG_LEVEL": "WARNING",
    }
    manage = [sys.executable, "manage.py"]
    root = Path(__file__).resolve().parent.parent.parent
    subprocess.run([*manage, "migrate", "-v", "0"], env=environment, cwd=root, check=True)
    read, write = os.pipe()
    os.close(read)  # as `head` does, when it has seen enough

    done = subprocess.run(
        [*manage, "export_sessions", "-o", "-"],
        env=environment,
        cwd=root,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    )

    assert (done.returncode, done.stderr) == (0, "")
