"""Restore sessions: pages, filters, one, counts; and nothing foreign in any of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from restorereports.models import RestoreSession
from restorereports.models.counts import BoundedCount
from tests.api.conftest import MARK, NOW, Caller, World
from tests.factories import make_restore_session, make_source

LIST = "restore-sessions"


def _walk(program: Caller, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = program.json(LIST, **query, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize("order", ["started_at", "-started_at"])
@pytest.mark.parametrize("limit", [1, 2, 3, 7, 500])
def test_a_walk_by_cursors_shows_each_row_once_in_order(
    scoped: Caller, world: World, order: str, limit: int
) -> None:
    sign = "-" if order.startswith("-") else ""
    rows = RestoreSession.objects.filter(backup_server=world.server).order_by(order, f"{sign}id")

    found = _walk(scoped, order=order, limit=limit)

    assert [row["id"] for row in found] == [row.pk for row in rows]


def test_one_restore_session_has_every_field_and_its_sources(scoped: Caller, world: World) -> None:
    found = scoped.json(f"{LIST}/{world.own.pk}")

    assert found["uid"] == world.own.uid
    assert found["started_at"] == world.own.started_at.isoformat(timespec="microseconds").replace(
        "+00:00", "Z"
    )
    assert found["backup_server"] == {"id": world.server.pk, "name": "vbr-own"}
    assert found["enterprise_managers"] == [{"id": world.shared.pk, "name": "em-shared"}]
    assert [source["uid"] for source in found["sources"]] == [world.own.uid]
    assert found["vm_name"] == world.own.vm_name
    assert found["duration_ms"] == 31 * 60 * 1000


def test_a_foreign_one_and_an_unknown_one_are_answered_alike(scoped: Caller, world: World) -> None:
    foreign = scoped.get(f"/api/v1/{LIST}/{world.hidden.pk}")
    unknown = scoped.get(f"/api/v1/{LIST}/987654321")

    assert foreign.status_code == 404
    assert foreign.content == unknown.content
    assert set(foreign.headers) == set(unknown.headers)


@pytest.mark.parametrize(
    ("query", "vms"),
    [
        ({"vm": "PAYROLL-1"}, {"payroll-1"}),
        ({"vm": "former"}, {"payroll-0"}),
        ({"vm_exact": "payroll-2"}, {"payroll-2"}),
        ({"vm_exact": "payroll"}, set()),
        ({"outcome": "Failed"}, {"payroll-3"}),
        ({"outcome": ["Failed", "Warning"]}, {"payroll-3"}),
        ({"job_type": "FileLevelRestore", "state": "Stopped", "outcome": "Failed"}, {"payroll-3"}),
        ({"state": "Working"}, set()),
        ({"started_from": (NOW - timedelta(minutes=2)).isoformat()}, {"payroll-0", "payroll-1"}),
        ({"started_to": (NOW - timedelta(hours=3)).isoformat()}, {"payroll-6"}),
        ({"started_to": (NOW - timedelta(hours=3, minutes=1)).isoformat()}, set()),
    ],
)
def test_filters_narrow_list_and_counts_alike(scoped: Caller, query: dict[str, Any], vms: set[str]) -> None:
    found = _walk(scoped, **query)
    counts = scoped.json(f"{LIST}/counts", **query)

    assert {row["vm_name"] for row in found} == vms
    assert counts["total"] == len(found) == sum(counts["counts"].values())


def test_ids_narrow_too(all_seeing: Caller, scoped: Caller, world: World) -> None:
    by_server = _walk(all_seeing, backup_server=world.elsewhere.pk)
    by_manager = _walk(all_seeing, enterprise_manager=[world.shared.pk, world.foreign.pk])
    of_both = _walk(scoped, backup_server=[world.server.pk, world.elsewhere.pk])

    assert (len(by_server), len(by_manager), len(of_both)) == (7, 21, 7)


@pytest.mark.parametrize(
    "query",
    [
        lambda world: ({"backup_server": world.elsewhere.pk}, {"backup_server": 987654321}),
        lambda world: ({"enterprise_manager": world.foreign.pk}, {"enterprise_manager": 987654321}),
        lambda world: ({"vm": f"{MARK}-elsewhere-1"}, {"vm": "nothing of that name"}),
        lambda world: ({"vm_exact": f"{MARK}-elsewhere-1"}, {"vm_exact": "nothing of that name"}),
        lambda world: ({"job_type": f"{MARK}Type"}, {"job_type": "NothingOfThatName"}),
    ],
)
@pytest.mark.parametrize("address", [LIST, f"{LIST}/counts"])
def test_a_filter_by_something_foreign_answers_like_one_by_nothing(
    scoped: Caller, world: World, query: Any, address: str
) -> None:
    foreign, unknown = query(world)

    answers = [scoped.get(f"/api/v1/{address}", asked) for asked in (foreign, unknown)]

    assert answers[0].status_code == 200
    assert answers[0].content == answers[1].content


def test_a_row_that_a_foreign_manager_shows_as_well_does_not_name_it(scoped: Caller, world: World) -> None:
    make_source(world.own, world.foreign)

    one = scoped.get(f"/api/v1/{LIST}/{world.own.pk}")
    every = scoped.get(f"/api/v1/{LIST}")

    assert MARK.encode() not in one.content + every.content


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("limit=0", "limit", "at least 1"),
        ("limit=501", "limit", "at most 500"),
        ("limit=ten", "limit", "whole number"),
        ("limit=1&limit=2", "limit", "once"),
        ("order=vm_name", "order", "started_at"),
        ("outcome=success", "outcome", "Success"),
        ("started_from=yesterday", "started_from", "offset"),
        ("started_from=2026-10-14", "started_from", "offset"),
        ("started_from=2026-10-14T20:10:02", "started_from", "offset"),
        ("started_from=2026-02-30T20:10:02Z", "started_from", "offset"),
        ("started_from=0001-01-01T00:00:00%2B14:00", "started_from", "offset"),
        ("started_from=1969-12-31T23:59:59Z", "started_from", "1970"),
        ("started_from=1700000000", "started_from", "offset"),
        ("started_from=", "started_from", "offset"),
        ("started_from=2026-10-14T00:00:00Z&started_to=2026-10-13T00:00:00Z", "started_to", "before"),
        ("vm=%00", "vm", "NUL"),
        (f"vm={'x' * 1001}", "vm", "1000"),
        ("backup_server=x", "backup_server", "whole number"),
        (f"backup_server={2**63}", "backup_server", "at most"),
        (f"backup_server={'9' * 5000}", "backup_server", "too large"),
        ("&".join(["backup_server=1"] * 101), "backup_server", "100 times"),
        ("outcomes=Failed", "outcomes", "no such parameter"),
        ("{x}=%7By%7D", "{x}", "no such parameter"),
        ("cursor=x", "cursor", "no cursor of this API"),
    ],
)
def test_parameters_that_cannot_be_read_are_named_with_a_sentence(
    scoped: Caller, query: str, name: str, words: str
) -> None:
    answer = scoped.get(f"/api/v1/{LIST}?{query}")

    assert answer.status_code == 422
    told = answer.json()
    assert told["error"] == "bad_parameters"
    assert told["parameters"][0]["name"] == name
    assert words in told["parameters"][0]["message"]


def test_a_cursor_that_was_bent_or_is_of_another_list_is_refused(scoped: Caller) -> None:
    cursor = scoped.json(LIST, limit=2)["next_cursor"]
    bent = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    of_servers = {"limit": 2, "cursor": cursor}

    for query, words in (
        ({"cursor": bent}, "no cursor of this API"),
        ({"cursor": cursor, "order": "started_at"}, "another order"),
        ({"cursor": cursor, "vm": "payroll"}, "other filters"),
    ):
        answer = scoped.get(f"/api/v1/{LIST}", query)
        assert answer.status_code == 422
        assert words in answer.json()["parameters"][0]["message"]
    assert scoped.get("/api/v1/virtual-machines", of_servers).status_code == 422


def test_a_page_may_change_its_size_on_the_way(scoped: Caller) -> None:
    first = scoped.json(LIST, limit=2)
    rest = scoped.json(LIST, limit=500, cursor=first["next_cursor"])

    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 5, None)


def test_a_time_may_have_any_offset(scoped: Caller) -> None:
    at = (NOW - timedelta(minutes=2)).isoformat().replace("+00:00", "Z")

    in_utc = scoped.get(f"/api/v1/{LIST}?started_from={at}")
    there = scoped.get(f"/api/v1/{LIST}?started_from={quote(_elsewhere(at))}")

    assert len(in_utc.json()["items"]) == 2
    assert in_utc.json()["items"] == there.json()["items"]


def _elsewhere(at: str) -> str:
    return datetime.fromisoformat(at).astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()


def test_beyond_the_limit_nothing_is_counted(scoped: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "restorereports.api.restore_sessions.count_up_to", lambda rows: BoundedCount(10_000, True)
    )

    found = scoped.json(f"{LIST}/counts")

    assert found == {"over_limit": True, "limit": 10_000, "total": None, "counts": None}


def test_the_number_of_queries_does_not_grow_with_the_rows(scoped: Caller, world: World) -> None:
    def queries(address: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            scoped.json(address)
        return len([query for query in captured if "OFFSET" not in query["sql"]])

    addresses = (LIST, f"{LIST}/counts", f"{LIST}/{world.own.pk}")
    before = [queries(address) for address in addresses]
    for _ in range(20):
        make_source(make_restore_session(world.server, vm_name="another"), world.shared)

    assert [queries(address) for address in addresses] == before
    assert max(before) <= 9


def test_names_of_others_are_not_even_looked_at(scoped: Caller) -> None:
    with CaptureQueriesContext(connection) as captured:
        scoped.json(LIST, vm="payroll")

    (sql,) = [query["sql"] for query in captured if "UNION" in query["sql"]]
    assert sql.count('."backup_server_id" IN (') == 3  # of the rows, the names, and the former names
