"""Reports: the list, one, and its file."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from restorereports.models import AuditEntry, Report
from restorereports.reports.files import path_of
from tests.api.conftest import MARK, NOW, PDF, Caller, World
from tests.factories import make_report


def test_the_list_holds_what_may_be_seen_newest_first(
    scoped: Caller, all_seeing: Caller, world: World
) -> None:
    assert [row["id"] for row in scoped.json("reports")["items"]] == [world.report.pk]
    every = [world.hidden_report.pk, world.report.pk]
    assert [row["id"] for row in all_seeing.json("reports")["items"]] == every
    first = all_seeing.json("reports", limit=1)
    rest = all_seeing.json("reports", limit=1, cursor=first["next_cursor"])
    assert [row["id"] for row in first["items"] + rest["items"]] == every
    assert rest["next_cursor"] is None


def test_one_report_tells_what_it_covers_and_where_the_trail_was(scoped: Caller, world: World) -> None:
    found = scoped.json(f"reports/{world.report.pk}")

    assert found["number"] == str(world.report)
    assert (found["period_from"], found["period_to"]) == (
        "2026-07-01T00:00:00.000000Z",
        "2026-10-01T00:00:00.000000Z",
    )
    assert found["filters"]["backup_servers"] == [world.server.pk]
    assert {"label": "Backup server", "values": ["vbr-own"], "more": 0} in found["filter_words"]
    assert (found["sha256"], found["pages"], found["rows"]) == ("ab" * 32, 2, 3)
    assert (found["audit_length"], found["audit_hash"]) == (7, "cd" * 32)
    assert found["file_there"] is True


def test_ids_in_a_scope_are_told_only_where_they_may_be_seen(scoped: Caller, world: World) -> None:
    world.report.scope |= {"enterprise_managers": [world.shared.pk, world.foreign.pk]}
    world.report.save()

    found = scoped.json(f"reports/{world.report.pk}")

    assert found["filters"]["enterprise_managers"] == [world.shared.pk]
    assert MARK not in str(found)


@pytest.mark.parametrize("tail", ["", "/file"])
def test_a_foreign_report_is_answered_like_an_unknown_one(scoped: Caller, world: World, tail: str) -> None:
    foreign = scoped.get(f"/api/v1/reports/{world.hidden_report.pk}{tail}")
    unknown = scoped.get(f"/api/v1/reports/987654321{tail}")

    assert foreign.status_code == 404
    assert foreign.content == unknown.content
    assert not AuditEntry.objects.filter(action="report_downloaded").exists()


def test_the_file_is_a_hardened_download_and_on_record(scoped: Caller, world: World) -> None:
    answer = scoped.get(f"/api/v1/reports/{world.report.pk}/file")

    assert b"".join(answer.streaming_content) == PDF
    assert answer["Content-Type"] == "application/pdf"
    assert answer["Content-Disposition"] == 'attachment; filename="own.pdf"'
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "no-store" in answer["Cache-Control"]
    entry = AuditEntry.objects.get(action="report_downloaded")
    assert (entry.via, entry.object_id) == ("api", world.report.pk)
    assert entry.details["sha256"] == "ab" * 32
    assert entry.details["token"] == scoped.text[:10]
    assert scoped.text not in str(entry.__dict__)


def test_a_file_that_is_gone_or_not_made_yet_is_not_found(scoped: Caller, world: World) -> None:
    path_of(world.report).unlink()
    assert scoped.get(f"/api/v1/reports/{world.report.pk}/file").status_code == 404
    assert scoped.json(f"reports/{world.report.pk}")["file_there"] is False

    waiting = make_report(covers_everything=False, created_at=NOW)
    waiting.covers.add(world.server)

    assert scoped.get(f"/api/v1/reports/{waiting.pk}/file").status_code == 404
    assert scoped.json(f"reports/{waiting.pk}")["status"] == Report.Status.WAITING


def test_the_number_of_queries_does_not_grow_with_the_reports(scoped: Caller, world: World) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            scoped.json("reports")
        return len(captured)

    before = queries()
    for _ in range(9):
        make_report(covers_everything=False).covers.add(world.server)

    assert queries() == before
