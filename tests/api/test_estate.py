"""Backup servers, VMs, and Enterprise Managers with their health and completeness."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from restorereports.models import User
from restorereports.models.completeness import completeness_of
from tests.api.conftest import MARK, NOW, Caller, World, caller
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_restore_session,
    make_run,
    make_user,
)


def _names(page: dict[str, Any]) -> list[str]:
    return [item["name"] for item in page["items"]]


def test_backup_servers_are_those_that_are_granted(scoped: Caller, all_seeing: Caller, world: World) -> None:
    assert _names(scoped.json("backup-servers")) == ["vbr-own"]
    assert len(_names(all_seeing.json("backup-servers"))) == 3
    assert scoped.json("backup-servers")["items"][0]["enterprise_managers"] == [
        {"id": world.shared.pk, "name": "em-shared"}
    ]
    assert _names(scoped.json("backup-servers", name="OWN")) == ["vbr-own"]
    assert _names(scoped.json("backup-servers", name=MARK)) == []


def test_vms_are_walked_by_id_and_narrowed_by_name_and_server(
    scoped: Caller, all_seeing: Caller, world: World
) -> None:
    found, cursor = [], ""
    while cursor is not None:
        page = scoped.json("virtual-machines", limit=2, **({"cursor": cursor} if cursor else {}))
        found += page["items"]
        cursor = page["next_cursor"]

    assert [vm["name"] for vm in found] == [f"payroll-{number}" for number in range(7)]
    assert found[0]["former_names"] == ["former payroll-0"]
    assert _names(scoped.json("virtual-machines", name="ROLL-3")) == ["payroll-3"]
    assert len(_names(all_seeing.json("virtual-machines", backup_server=world.beside.pk))) == 7
    foreign = scoped.get("/api/v1/virtual-machines", {"backup_server": world.beside.pk})
    unknown = scoped.get("/api/v1/virtual-machines", {"backup_server": 987654321})
    assert foreign.content == unknown.content


def test_of_an_enterprise_manager_granted_in_part_only_that_part_is_told(
    scoped: Caller, world: World
) -> None:
    (found,) = scoped.json("enterprise-managers")["items"]
    one = scoped.json(f"enterprise-managers/{world.shared.pk}")

    for told in (found, one):
        assert (told["name"], told["whole"], told["state"]) == ("em-shared", False, "current")
        assert told["last_good_at"] is not None
        assert told["last_attempt_at"] is told["window_seconds"] is told["paused"] is None
    assert one["gaps"] is None
    assert [server["name"] for server in one["backup_servers"]] == ["vbr-own"]
    assert MARK not in str(found) + str(one)


def test_of_an_enterprise_manager_granted_as_a_whole_all_is_told(world: World) -> None:
    program = caller(make_user(User.Role.VIEWER, world.shared))

    one = program.json(f"enterprise-managers/{world.shared.pk}")

    assert one["whole"] is True
    assert one["paused"] is False
    assert one["window_seconds"] == 7 * 24 * 3600
    assert [gap["cause"] for gap in one["gaps"]] == ["failed", "failed"]
    assert [gap["detail"] for gap in one["gaps"]] == ["", f"{MARK}: refused"]
    assert len(one["backup_servers"]) == 2


def test_a_foreign_enterprise_manager_is_answered_like_an_unknown_one(scoped: Caller, world: World) -> None:
    foreign = scoped.get(f"/api/v1/enterprise-managers/{world.foreign.pk}")
    unknown = scoped.get("/api/v1/enterprise-managers/987654321")

    assert foreign.status_code == 404
    assert foreign.content == unknown.content


def test_completeness_is_that_of_the_models(scoped: Caller, world: World) -> None:
    start, end = NOW - timedelta(days=10), NOW - timedelta(days=5)
    expected = completeness_of([world.server.pk], start, end)[world.server.pk]

    one = scoped.json(
        f"enterprise-managers/{world.shared.pk}", period_from=start.isoformat(), period_to=end.isoformat()
    )

    told = one["completeness"]
    assert told["verdict"] == expected.verdict
    assert [(i["cause"], i["verdict"]) for i in told["intervals"]] == [
        (i.cause, i.verdict) for i in expected.intervals
    ]
    assert one["backup_servers"][0]["completeness"] == told


def test_a_gap_of_a_foreign_backup_server_makes_no_visible_one_incomplete(
    scoped: Caller, all_seeing: Caller, world: World
) -> None:
    world.shared.backup_server_sources.update(covered_from_at=NOW - timedelta(days=60))
    type(world.shared).objects.update(covered_from_at=NOW - timedelta(days=60))
    period = {
        "period_from": (NOW - timedelta(days=7)).isoformat(),
        "period_to": (NOW - timedelta(days=5)).isoformat(),
    }

    address = f"enterprise-managers/{world.shared.pk}"

    assert scoped.json(address, **period)["completeness"]["verdict"] == "complete"
    assert all_seeing.json(address, **period)["completeness"]["verdict"] == "incomplete"


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "current"),
        ({"paused_at": NOW, "paused_because": "logon_refused"}, "logon_refused"),
        ({"paused_at": NOW, "paused_because": "certificate_changed"}, "certificate_changed"),
        ({"is_active": False}, "switched_off"),
    ],
)
def test_the_state_is_a_word_for_programs(
    scoped: Caller, world: World, change: dict[str, Any], state: str
) -> None:
    type(world.shared).objects.filter(pk=world.shared.pk).update(**change)

    assert scoped.json("enterprise-managers")["items"][0]["state"] == state


def test_a_running_a_failed_and_a_stale_sync_are_told(
    scoped: Caller, world: World, clock_begins_at_now: Any
) -> None:
    def state() -> str:
        return str(scoped.json("enterprise-managers")["items"][0]["state"])

    run = make_run(world.shared, started_at=NOW, status="running")
    assert state() == "syncing"
    type(run).objects.filter(pk=run.pk).update(status="failed", ended_at=NOW)
    assert state() == "failed"
    clock_begins_at_now.shift(timedelta(days=2))
    assert state() == "stale"


def test_an_enterprise_manager_that_was_never_synced_is_told_as_such(db: None) -> None:
    em = make_enterprise_manager()
    program = caller(make_user(User.Role.VIEWER, em))

    one = program.json(f"enterprise-managers/{em.pk}")

    assert (one["state"], one["last_good_at"], one["backup_servers"]) == ("never_synced", None, [])
    assert one["completeness"]["verdict"] == "not_yet_known"


def test_somebody_without_any_grant_sees_empty_lists(world: World) -> None:
    program = caller(make_user(everything=False))

    for address in (
        "restore-sessions",
        "backup-servers",
        "virtual-machines",
        "enterprise-managers",
        "reports",
    ):
        assert program.json(address) == {"items": [], "next_cursor": None}
    assert program.json("restore-sessions/counts")["total"] == 0


@pytest.mark.parametrize(
    "query",
    [
        {"period_from": (NOW + timedelta(hours=1)).isoformat()},
        {"period_from": "2026-10-02T00:00:00Z", "period_to": "2026-10-01T00:00:00Z"},
    ],
)
def test_a_period_ends_after_its_start(scoped: Caller, query: dict[str, str]) -> None:
    answer = scoped.get("/api/v1/enterprise-managers", query)

    assert answer.status_code == 422
    assert answer.json()["parameters"][0]["name"] == "period_from"


@pytest.mark.parametrize("who", ["scoped", "all_seeing"])
def test_the_number_of_queries_does_not_grow_with_the_estate(
    request: pytest.FixtureRequest, world: World, who: str
) -> None:
    program = request.getfixturevalue(who)
    addresses = (
        "backup-servers",
        "virtual-machines",
        "enterprise-managers",
        f"enterprise-managers/{world.shared.pk}",
    )

    def queries() -> list[int]:
        counted = []
        for address in addresses:
            with CaptureQueriesContext(connection) as captured:
                program.json(address)
            assert not any("OFFSET" in query["sql"] for query in captured)
            counted.append(len(captured))
        return counted

    before = queries()
    for _ in range(5):
        em = make_enterprise_manager()
        server = make_backup_server(em)
        make_full_run(em, started_at=NOW)
        make_restore_session(server, vm_name="another")
        make_restore_session(world.server, vm_name="yet-another")

    assert queries() == before
    assert max(before) <= 14
