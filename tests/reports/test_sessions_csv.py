"""The CSV holds what Enterprise Manager sent, row by row, whatever the names contain."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.models import SYSTEM, RestoreSessionScope
from restorereports.reports import sessions_csv
from restorereports.reports.sessions_csv import COLUMNS, stream
from restorereports.wording import utc_text
from tests.factories import (
    START,
    make_backup_server,
    make_enterprise_manager,
    make_restore_session,
    make_source,
    make_user,
)

pytestmark = pytest.mark.django_db


def rows(scope: RestoreSessionScope | None = None, **options) -> list[dict[str, str]]:
    text = "".join(stream(scope or RestoreSessionScope(), reader=SYSTEM, **options))
    return list(csv.DictReader(text.splitlines(keepends=True)))


def test_the_columns_stand_in_the_agreed_order() -> None:
    assert next(stream(RestoreSessionScope(), reader=SYSTEM)) == (
        "enterprise_manager,backup_server,vm_name,name,job_type,state,result,progress,"
        "started_at,ended_at,duration_seconds,restore_point_name,uid,session_class\n"
    )


def test_a_row_is_written_as_enterprise_manager_gave_it() -> None:
    manager = make_enterprise_manager(name="em-north")
    make_restore_session(
        make_backup_server(manager, name="vbr-east"),
        enterprise_manager=manager,
        started_at=datetime(2026, 10, 21, 17, 10, 2, 17999, tzinfo=UTC),
        ended_at=datetime(2026, 10, 21, 17, 41, 4, 20000, tzinfo=UTC),
        duration_ms=1_862_003,
        restore_point_name="payroll-db2@2026-10-20",
        session_class="test",
        uid="urn:veeam:RestoreSession:1",
        name="payroll-db2@2026-10-21 17:10:02",
    )

    assert rows() == [
        {
            "enterprise_manager": "em-north",
            "backup_server": "vbr-east",
            "vm_name": "payroll-db2",
            "name": "payroll-db2@2026-10-21 17:10:02",
            "job_type": "RestoreVm",
            "state": "Stopped",
            "result": "Success",
            "progress": "100",
            "started_at": "2026-10-21T17:10:02.017Z",
            "ended_at": "2026-10-21T17:41:04.020Z",
            "duration_seconds": "1862.003",
            "restore_point_name": "payroll-db2@2026-10-20",
            "uid": "urn:veeam:RestoreSession:1",
            "session_class": "test",
        }
    ]


def test_what_is_not_known_is_empty_and_no_result_is_the_word_none() -> None:
    make_restore_session(state="Working", result="", progress=None, ended_at=None, duration_ms=None)
    make_restore_session(started_at=START + timedelta(1), duration_ms=-5, vm_name="")

    running, negative = rows()

    assert running["result"] == "None"
    assert running["progress"] == running["ended_at"] == running["duration_seconds"] == ""
    assert negative["duration_seconds"] == negative["vm_name"] == ""


HOSTILE = [
    'he said "restore", twice',
    "a,b;c",
    "two\nlines",
    "carriage\rreturn alone",
    "both\r\nends",
    "\ttab first",
    '"',
    "'already quoted",
    " blanks around ",
    "=cmd|' /C calc'!A0",
    "+49 89",
    "-1",
    "@SUM(A1)",
    "файл 服务器 🖥 \u202egnp.exe",
    "x" * 1000,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_comes_back_exactly(name: str) -> None:
    make_restore_session(vm_name=name, name=name, restore_point_name=name)

    (row,) = rows()

    assert (row["vm_name"], row["name"], row["restore_point_name"]) == (name, name, name)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r"])
def test_spreadsheet_safe_text_puts_an_apostrophe_before_formulas(first: str) -> None:
    make_restore_session(vm_name=f"{first}1+1", name="plain = name")

    (row,) = rows(spreadsheet_safe=True)

    assert row["vm_name"] == f"'{first}1+1"
    assert row["name"] == "plain = name"


def test_several_enterprise_managers_are_joined_in_order() -> None:
    south, north = make_enterprise_manager(name="em-south"), make_enterprise_manager(name="em-north")
    session = make_restore_session(make_backup_server(south), enterprise_manager=south)
    make_source(session, north)

    assert rows()[0]["enterprise_manager"] == "em-north;em-south"


def test_rows_are_ordered_by_start_then_id_over_all_chunks(monkeypatch) -> None:
    monkeypatch.setattr(sessions_csv, "CHUNK", 3)
    server = make_backup_server()
    made = [make_restore_session(server, started_at=START + timedelta(hours=n % 4)) for n in range(11)]

    expected = sorted(made, key=lambda session: (session.started_at, session.pk))
    assert [row["uid"] for row in rows()] == [session.uid for session in expected]


def test_queries_grow_with_chunks_not_with_rows(monkeypatch, django_assert_max_num_queries) -> None:
    manager = make_enterprise_manager()
    server = make_backup_server(manager)
    for n in range(12):
        make_restore_session(server, enterprise_manager=manager, started_at=START + timedelta(minutes=n))
    monkeypatch.setattr(sessions_csv, "CHUNK", 6)

    with django_assert_max_num_queries(2 + 2 * 3):
        assert len(rows()) == 12


def test_the_scope_narrows_the_rows() -> None:
    make_restore_session(started_at=START)
    later = make_restore_session(started_at=START + timedelta(days=1))

    assert [row["uid"] for row in rows(RestoreSessionScope(start=later.started_at))] == [later.uid]


def test_a_reader_who_may_no_longer_read_gets_the_header_alone() -> None:
    make_restore_session()
    reader = make_user(is_active=False)

    text = "".join(stream(RestoreSessionScope(), reader=reader))

    assert text == ",".join(COLUMNS) + "\n"


def test_the_database_writes_times_and_names_as_python_would() -> None:
    one, two = make_enterprise_manager(name="em-b"), make_enterprise_manager(name="em-a")
    server = make_backup_server(one)
    moments = [
        datetime(2026, 10, 21, 17, 10, 2, micros, tzinfo=UTC)
        for micros in (0, 999, 1000, 17_000, 999_999, 500_500)
    ]
    for at in moments:
        row = make_restore_session(server, enterprise_manager=one, started_at=at, ended_at=at)
    make_source(row, two)
    make_restore_session(server, started_at=moments[-1] + timedelta(days=1), ended_at=None)

    found = rows()

    assert [row["started_at"] for row in found][:6] == sorted(utc_text(at) for at in moments)
    assert sorted({row["enterprise_manager"] for row in found}) == ["", "em-a;em-b", "em-b"]
    assert (found[-1]["ended_at"], found[-1]["duration_seconds"]) == ("", "")
