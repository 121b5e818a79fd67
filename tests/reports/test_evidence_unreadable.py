"""What no program ever wrote into the tables of the evidence is a fault of that report and hinders no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection

from restorereports.reports import files
from tests.factories import make_backup_server

from .issued import final, sql, told
from .issued import written as written

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]
ANYTHING: list[Any] = [[], "x", 5, {}, {"report": [], "sha256": {}}]


def assert_only(report: object) -> None:
    """This one has faults, and the other report has none."""
    found = told()
    assert found
    assert [what for what in found if what.startswith("RR-") and not what.startswith(f"{report}: ")] == []


@pytest.mark.parametrize("facts", ANYTHING)
def test_facts_of_another_shape(facts: Any) -> None:
    report, _whole = final(), final()

    sql("UPDATE restorereports_registerentry SET facts=%s WHERE number=1", json.dumps(facts))

    assert_only(report)
    assert "entry 1 was changed after it was written" in told()


@pytest.mark.parametrize(
    "manifest",
    [
        *ANYTHING,
        {"register": 5},
        {"register": {"length": True, "hash": 5}},
        {"register": {"length": 10**30, "hash": "0" * 64}},
        {"attachments": 5, "policy": [], "audit_trail": 7},
        {"attachments": [5]},
        {"attachments": [{"name": [], "sha256": {}}]},
    ],
)
def test_a_manifest_of_another_shape(manifest: Any) -> None:
    report, _whole = final(), final()

    sql("UPDATE restorereports_report SET manifest=%s WHERE id=%s", json.dumps(manifest), report.pk)

    assert_only(report)


@pytest.mark.parametrize(
    "index",
    ["[5]", "{}", "5", "[[]]", "[" * 100_000, '[{"name": "../../secret"}]', "\x00", "null", '[{"name": []}]'],
    ids=range(9),
)
def test_an_index_of_another_shape(index: str) -> None:
    report, _whole = final(), final()

    (files.frozen_folder(report) / "index.json").write_text(index)

    assert_only(report)


@pytest.mark.parametrize("name", ["index.json", "figures.json", "sessions.csv"])
def test_a_folder_or_a_loop_in_place_of_a_file(name: str) -> None:
    report, other, _whole = final(), final(), final()
    for one in (report, other):
        (files.frozen_folder(one) / name).unlink()
    (files.frozen_folder(report) / name).mkdir()
    (files.frozen_folder(other) / name).symlink_to(name)

    found = told()

    assert {what.split(":")[0] for what in found} == {str(report), str(other)}


def test_a_folder_in_place_of_the_pdf() -> None:
    report, _whole = final(), final()
    files.path_of(report).unlink()
    files.path_of(report).mkdir()

    assert_only(report)


@pytest.mark.parametrize("column", ["created_at", "as_of", "finalised_at"])
def test_a_time_that_is_none(column: str) -> None:
    report, whole = final(), final()
    no_time = "no time" if connection.vendor == "sqlite" else "infinity"

    sql(f"UPDATE restorereports_report SET {column}=%s WHERE id=%s", no_time, report.pk)

    found = told()
    assert any(what.startswith((f"report {report.pk}: ", f"{report}: ")) for what in found)
    assert not any(what.startswith(f"{whole}: ") for what in found)


def test_who_may_see_it_is_on_record() -> None:
    server = make_backup_server()
    report, whole = final(), final()

    report.covers.add(server)

    assert f"{report}: its row and the register differ: covers" in told()
    assert not any(what.startswith(f"{whole}: ") for what in told())
