"""`manage.py report`: a PDF of a period, on record, or a sentence what to do instead."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from restorereports.models import Report
from restorereports.reports import pdf
from tests.factories import make_backup_server, make_enterprise_manager, make_restore_session

pytestmark = pytest.mark.django_db
PDF = b"%PDF-1.7 not much of one"


@pytest.fixture(autouse=True)
def _own_folder(settings, tmp_path, monkeypatch) -> None:
    settings.VAR_DIR = tmp_path / "var"
    (tmp_path / "var" / "reports").mkdir(parents=True)
    monkeypatch.setattr(pdf, "write", lambda _html, into, **_: into.write(PDF) and 9)


def run(tmp_path: Path, *options: str) -> str:
    said = io.StringIO()
    call_command("report", *options, "-o", str(tmp_path / "out.pdf"), stdout=said)
    return said.getvalue()


def scope_of() -> tuple[str, str]:
    scope = Report.objects.get().restore_session_scope()
    return f"{scope.start:%Y-%m-%dT%H:%M}", f"{scope.end:%Y-%m-%dT%H:%M}"


def test_the_file_is_written_and_on_record(tmp_path) -> None:
    make_restore_session(started_at=datetime(2026, 7, 2, tzinfo=UTC))

    said = run(tmp_path, "--period", "2026-Q3", "--organisation", "Example AG")

    report = Report.objects.get()
    assert (tmp_path / "out.pdf").read_bytes() == PDF
    assert said.splitlines() == [
        f"{tmp_path}/out.pdf: {report}, 9 pages, 1 rows",
        f"SHA-256 {hashlib.sha256(PDF).hexdigest()}",
        f"Audit trail 1:{report.audit_hash}",
    ]
    assert (report.status, report.organisation, report.requested_by) == ("ready", "Example AG", None)


@pytest.mark.parametrize(
    ("options", "period"),
    [
        (["--period", "2026-Q3"], ("2026-07-01T00:00", "2026-10-01T00:00")),
        (["--period", "2024-02"], ("2024-02-01T00:00", "2024-03-01T00:00")),
        (["--period", "2026"], ("2026-01-01T00:00", "2027-01-01T00:00")),
        (["--period", "2026-03", "--zone", "Europe/Berlin"], ("2026-02-28T23:00", "2026-03-31T22:00")),
        (["--from", "2026-07-01", "--to", "2026-10-01"], ("2026-07-01T00:00", "2026-10-01T00:00")),
        (
            ["--from", "2026-10-25", "--to", "2026-10-26", "--zone", "Europe/Berlin"],
            ("2026-10-24T22:00", "2026-10-25T23:00"),
        ),
    ],
)
def test_periods(tmp_path, options, period) -> None:
    run(tmp_path, *options)

    assert scope_of() == period


def test_enterprise_managers_and_backup_servers_narrow_it(tmp_path) -> None:
    managers = [make_enterprise_manager(name=name) for name in ("em-a", "em-b", "em-c")]
    server = make_backup_server(managers[0], name="vbr-a")

    run(tmp_path, "--period", "2026", "--em", "em-b", "--em", "em-a", "--server", "vbr-a")

    scope = Report.objects.get().restore_session_scope()
    assert scope.enterprise_managers == (managers[0].pk, managers[1].pk)
    assert scope.backup_servers == (server.pk,)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "A report needs --period, or both --from and --to."),
        (["--from", "2026-07-01"], "A report needs --period, or both --from and --to."),
        (["--period", "2026", "--to", "2026-07-01"], "Give either --period or --from and --to"),
        (["--period", "2026-Q5"], "“2026-Q5” is no period; write 2026 for a year"),
        (["--period", "2026-13"], "is no period"),
        (["--from", "2026-02-29", "--to", "2026-03-01"], "is no date that exists"),
        (["--from", "2026-07-01", "--to", "2026-06-01"], "must come after"),
        (["--period", "2026", "--zone", "Mars/Base"], "--zone must be an IANA zone"),
        (["--period", "2026", "--em", "x"], "No Enterprise Manager is called x. Known: none yet."),
        (["--period", "2026", "--server", "x"], "No backup server is called x. Known: none yet."),
        (["--period", "0001", "--zone", "Asia/Tokyo"], "between 1970 and 2999"),
        (["--from", "1500-01-01", "--to", "1500-02-01"], "between 1970 and 2999"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_written(tmp_path, options, words) -> None:
    with pytest.raises(CommandError) as refusal:
        run(tmp_path, *options)

    assert words in str(refusal.value)
    assert not (tmp_path / "out.pdf").exists()
    assert not Report.objects.exists()


def test_a_folder_that_is_not_there_is_said_before_anything_is_made(tmp_path) -> None:
    with pytest.raises(CommandError, match=r"There is no folder .*/none to write out.pdf into\."):
        run(tmp_path / "none", "--period", "2026")

    assert not Report.objects.exists()


def test_a_report_that_fails_says_why(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(pdf, "write", lambda *_a, **_k: 1 / 0)

    with pytest.raises(CommandError, match=r"RR-.*An internal fault \(ZeroDivisionError\)"):
        run(tmp_path, "--period", "2026")

    assert not (tmp_path / "out.pdf").exists()


def test_a_target_that_cannot_be_written_is_said(tmp_path) -> None:
    (tmp_path / "out.pdf").mkdir()

    with pytest.raises(CommandError, match="cannot be written: Is a directory"):
        run(tmp_path, "--period", "2026")

    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []
