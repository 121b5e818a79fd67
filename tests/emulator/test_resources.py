from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import NAMESPACE, Caller, error, rows, text, xml

Calling = Callable[..., Caller]


def test_restore_sessions_of_the_last_30_days_are_listed_in_no_order(
    em_with_history: Caller, history: World
) -> None:
    recent = [
        row for row in history.visible_sessions() if row.created_at >= history.now() - timedelta(days=30)
    ]

    references = rows(em_with_history.call("restoreSessions"), "Ref")
    entities = rows(em_with_history.call("restoreSessions?format=entity"))

    uids = [row.get("UID") for row in entities]
    assert uids == [row.get("UID") for row in references]
    assert sorted(filter(None, uids)) == sorted(row.uid for row in recent)
    assert uids != [row.uid for row in recent]


def test_one_restore_session_in_short_and_in_full(em: Caller, world: World) -> None:
    row = world.add_session(vm_name="payroll-db2")

    short, full = (
        em.call(f"restoreSessions/{row.guid}"),
        em.call(f"restoresessions/{row.guid}/?format=Entity"),
    )

    assert xml(short).tag == f"{NAMESPACE}EntityRef"
    assert xml(short).get("Type") == "RestoreSessionReference"
    assert xml(full).tag == f"{NAMESPACE}RestoreSession"
    assert xml(full).get("VmDisplayName") == "payroll-db2"


@pytest.mark.parametrize("status", [404, 400, 500])
@pytest.mark.parametrize(
    "path",
    ["restoreSessions", "backupServers", "vmRestorePoints", "restorePoints", "tasks", "systemSessions"],
)
def test_what_is_gone_is_missing_in_the_way_chosen(
    server: StandInServer, caller: Calling, path: str, status: int
) -> None:
    server.switches.missing_status = status

    answer = caller(server, "admin").call(f"{path}/00000000-0000-4000-8000-000000000000?format=Entity")

    assert error(answer)[0] == status


def test_backup_servers_in_short_and_in_full(em_with_history: Caller, history: World) -> None:
    references = rows(em_with_history.call("backupServers"), "Ref")
    entities = rows(em_with_history.call("backupservers/?format=Entity"), "BackupServer")

    assert len(references) == len(entities) == 4
    first = entities[0]
    assert first.get("UID") == history.backup_servers()[0].uid
    assert (text(first, "Port"), text(first, "WcfPort")) == ("9392", "9405")
    assert any(" P2" in (text(row, "Version") or "") for row in entities)
    assert len(text(first, "VbrCertificateThumbprint") or "") == 40


def test_one_backup_server_is_found_by_its_guid(em_with_history: Caller, history: World) -> None:
    server = history.backup_servers()[1]

    answer = em_with_history.call(f"backupServers/{server.guid}?format=Entity")

    assert xml(answer).get("Name") == server.name


@pytest.mark.parametrize("kind", ["vmRestorePoints", "restorePoints"])
def test_restore_points_in_short_and_in_full(em_with_history: Caller, kind: str) -> None:
    references = rows(em_with_history.call(kind), "Ref")
    entities = xml(em_with_history.call(f"{kind}?format=Entity"))
    address = (references[0].get("Href") or "").partition("/api/")[2]

    one = xml(em_with_history.call(f"{address}?format=Entity"))

    assert len(references) == len(entities) > 10
    assert one.get("UID") == references[0].get("UID")
    assert (one.get("VmDisplayName") is None) or kind == "vmRestorePoints"


def test_the_catalogue_lists_vm_names_without_a_server(em_with_history: Caller, history: World) -> None:
    found = rows(em_with_history.call("catalog/vms"), "Ref")

    assert [row.get("Name") for row in found] == history.vm_names()
    assert all(row.get("UID") == f"urn:veeam:CatalogVm:{row.get('Name')}" for row in found)


def test_the_overview_counts_vms_and_points(em_with_history: Caller, history: World) -> None:
    body = xml(em_with_history.call("reports/summary/vms_overview"))

    assert body.tag == f"{NAMESPACE}VmsOverviewReportFrame"
    assert text(body, "ProtectedVms") == str(history.protected_vms())
    assert text(body, "RestorePoints") == str(len(history.restore_points()))


def test_system_sessions_tell_how_collections_went(
    clock: ManualClock, serve: Callable[..., StandInServer], caller: Calling
) -> None:
    clock.advance(10)
    world = World.empty(now=clock, servers=2, collect_interval=900)
    east, west = world.backup_servers()
    administrator = caller(serve(world), "admin")
    clock.advance(60)
    world.fail_collection(east.uid)
    clock.advance(880)
    administrator.log_on("admin", "admin")
    one_down = rows(administrator.call("systemSessions"), "Sessions")
    world.fail_collection(west.uid)
    clock.advance(855)
    administrator.log_on("admin", "admin")

    sessions = rows(administrator.call("systemSessions"), "Sessions")

    states = [text(row, "State") for row in sessions]
    assert states[:3] == ["InProgress", "CompletedWarning", "CompletedSuccessfully"]
    assert text(one_down[0], "State") == "CompletedWarning"
    assert text(sessions[0], "EndTimeUTC") is None
    assert 2870 < len(sessions) <= 2881
    result = next(sessions[1].iter(f"{NAMESPACE}Result"))
    assert text(result, "Message") == "1 backup server(s) could not be reached."
    assert text(result, "IsCanceled") == "false"
    clock.advance(120)
    administrator.log_on("admin", "admin")
    newest = rows(administrator.call("systemSessions"), "Sessions")[0]
    assert text(newest, "State") == "Failed"


def test_one_system_session_is_found_by_its_guid(
    clock: ManualClock, serve: Callable[..., StandInServer], caller: Calling
) -> None:
    administrator = caller(serve(World.empty(now=clock, collect_interval=3600)), "admin")
    listed = administrator.call("systemSessions", json=True).json()["Sessions"][5]

    answer = administrator.call(f"systemSessions/{listed['UID'].rpartition(':')[2]}", json=True)

    assert answer.json() == listed
    assert listed["Result"]["Result"] == "CompletedSuccessfully"


def test_a_world_that_is_collected_at_once_has_one_system_session(
    server: StandInServer, caller: Calling
) -> None:
    assert len(rows(caller(server, "admin").call("systemSessions"), "Sessions")) == 1


def test_the_query_service_lists_the_types_of_the_role(em: Caller) -> None:
    found = [link.get("Type") for link in rows(em.call("querySvc"), "Link")]

    assert found[:3] == ["RestoreSession", "BackupServer", "VmRestorePoint"]


def test_a_collection_on_demand_brings_the_rows_in(
    clock: ManualClock, serve: Callable[..., StandInServer], caller: Calling
) -> None:
    clock.advance(1)
    world = World.empty(now=clock, collect_interval=900)
    user = caller(serve(world))
    world.add_session(vm_name="fresh")
    before = user.names()

    answer = user.call(f"backupServers/{world.backup_servers()[0].guid}?action=collect", method="POST")

    task = xml(answer)
    finished = xml(user.call(f"tasks/{text(task, 'TaskId')}"))
    assert before == []
    assert user.names() == ["fresh"]
    assert answer.status_code == 202
    assert (text(task, "State"), text(task, "Operation")) == ("Running", "CollectingBackupServer")
    assert text(finished, "State") == "Finished"
    assert next(finished.iter(f"{NAMESPACE}Result")).get("Success") == "true"


def test_an_unknown_action_is_refused(em: Caller, world: World) -> None:
    answer = em.call(f"backupServers/{world.backup_servers()[0].guid}?action=explode", method="POST")

    assert error(answer)[0] == 400


@pytest.mark.parametrize(
    "path", ["/", "/index.html", "/api/nothing", "/api/restoreSessions/a/b", "/v1/sessions"]
)
def test_what_does_not_exist_is_missing(em: Caller, path: str) -> None:
    assert error(em.call(f"{em.url}{path}"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path"), [("PUT", "restoreSessions"), ("POST", ""), ("GET", "sessionMngr"), ("PATCH", "query")]
)
def test_a_method_that_does_not_fit_is_not_allowed(em: Caller, method: str, path: str) -> None:
    assert error(em.call(path, method=method))[0] == 405


def test_a_head_request_gets_no_body(em: Caller) -> None:
    answer = em.call("restoreSessions", method="HEAD")

    assert (answer.status_code, answer.content) == (405, b"")
    assert em.call("restoreSessions").status_code == 200


def test_the_events_of_a_collection_name_each_backup_server(
    clock: ManualClock, serve: Callable[..., StandInServer], caller: Calling
) -> None:
    world = World.empty(now=clock, servers=2, collect_interval=900)
    east, west = world.backup_servers()
    world.fail_collection(west.uid)
    server = serve(world)
    clock.advance(950)
    administrator = caller(server, "admin")
    newest = rows(administrator.call("systemSessions"), "Sessions")[0]
    address = next(
        link.get("Href") or ""
        for link in newest.iter(f"{NAMESPACE}Link")
        if link.get("Type") == "SystemSessionEvents"
    ).partition("/api/")[2]

    plain = administrator.call(address)
    server.switches.event_status = True
    with_status = rows(administrator.call(address), "Events")

    assert xml(plain).tag == f"{NAMESPACE}SystemSessionEvents"
    assert [
        [text(row, name) for name in ("Message", "Order", "Status")] for row in rows(plain, "Events")
    ] == [
        [f"Collecting data from {east.name}", "1", None],
        [f"Failed to collect data from {west.name}: the backup server cannot be reached.", "2", None],
    ]
    assert [text(row, "Status") for row in with_status] == ["Success", "Failed"]
    assert not (text(with_status[0], "CreationTimeUTC") or "Z").endswith("Z")


def test_a_collection_that_runs_or_is_unknown_has_no_events(
    clock: ManualClock, serve: Callable[..., StandInServer], caller: Calling
) -> None:
    server = serve(World.empty(now=clock, collect_interval=900))
    administrator = caller(server, "admin")
    newest = rows(administrator.call("systemSessions"), "Sessions")[0]

    running = administrator.call(f"systemSessions/{(newest.get('UID') or '').rpartition(':')[2]}/events")
    unknown = administrator.call("systemSessions/00000000-0000-4000-8000-000000000000/events")
    denied = caller(server).call("systemSessions/1/events")

    assert rows(running, "Events") == []
    assert (error(unknown)[0], error(denied)[0]) == (404, 403)


def test_a_month_of_collections_every_minute_is_listed_whole(
    clock: ManualClock, serve: Callable[..., StandInServer], caller: Calling
) -> None:
    administrator = caller(serve(World.empty(now=clock, collect_interval=60)), "admin")

    assert len(rows(administrator.call("systemSessions"), "Sessions")) == 30 * 24 * 60 + 1


def test_a_removed_server_leaves_the_overview(world: World, em: Caller) -> None:
    second = world.add_server()
    for server, vm in ((None, "a"), (second.uid, "b"), (second.uid, "c")):
        world.add_restore_point(vm_name=vm, backup_server_uid=server)
    before = text(xml(em.call("reports/summary/vms_overview")), "ProtectedVms")

    world.remove_server(second.uid)

    after = xml(em.call("reports/summary/vms_overview"))
    assert before == "3"
    assert (text(after, "ProtectedVms"), text(after, "BackedUpVms"), text(after, "RestorePoints")) == (
        "1",
        "1",
        "1",
    )


def test_an_empty_list_is_an_empty_root(em: Caller) -> None:
    answer = em.call("restoreSessions")

    assert len(xml(answer)) == 0
    assert em.call("restoreSessions", json=True).json() == {"Refs": []}


def test_a_clock_that_is_ahead_shows_in_the_date_and_in_what_is_30_days_old(
    server: StandInServer, em: Caller, world: World, clock: ManualClock
) -> None:
    old, new = (world.add_session(created_at=clock() - timedelta(days=days)) for days in (29, 20))
    server.switches.query_days = 30
    server.switches.clock_offset_seconds = 2 * 86_400

    listed, queried = em.call("restoreSessions"), em.query()

    ahead = parsedate_to_datetime(listed.headers["Date"]) - clock()
    assert ahead == timedelta(days=2)
    assert [row.get("UID") for row in rows(listed, "Ref")] == [new.uid]
    assert [row.get("UID") for row in rows(queried)] == [new.uid]
    assert text(rows(queried)[0], "CreationTimeUTC") == new.created_text
    assert old.uid in {row.uid for row in world.visible_sessions()}
