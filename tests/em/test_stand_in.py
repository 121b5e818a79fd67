"""The client against the stand-in EM: its awkward rows, its faults, its certificates."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.em.check import check_connection
from restorereports.em.client import Connection, EnterpriseManagerClient
from restorereports.em.entities import RestoreSessionEntity
from restorereports.em.failures import (
    CertificateChanged,
    CertificateUntrusted,
    Forbidden,
    LogonRefused,
    ServerFailing,
    UnexpectedAnswer,
)
from restorereports.em.inventory import VmRestorePointEntity
from restorereports.emulator import accounts
from restorereports.emulator.accounts import Account
from restorereports.emulator.faults import Faults
from restorereports.emulator.records import RestoreSessionRecord
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)
ROWS = 350


@pytest.fixture(scope="module")
def history() -> World:
    """Large enough to hold every awkward row."""
    return World(sessions=ROWS, servers=3, epoch=NOW, now=lambda: NOW, late_server=False)


@pytest.fixture(scope="module")
def full_server(history: World) -> Iterator[StandInServer]:
    with StandInServer(history) as server:
        yield server


@pytest.fixture
def server(full_server: StandInServer) -> Iterator[StandInServer]:
    """The same server, with nothing armed and nothing recorded."""
    full_server.forget_requests()
    yield full_server
    full_server.faults.clear()


def client_of(server: StandInServer, **options: object) -> EnterpriseManagerClient:
    settings: dict[str, object] = {"url": server.url, "username": "mirror", "password": "mirror"}
    if server.certificate is not None:
        settings["pin_sha256"] = server.fingerprint_sha256
    connection = Connection(**(settings | options))  # type: ignore[arg-type]
    return EnterpriseManagerClient(connection, sleep=lambda seconds: None)


def mirrored(
    server: StandInServer, *, page_size: int = 500, since: datetime | None = None
) -> list[RestoreSessionEntity]:
    """What a mirror would hold after one run: the last page that shows a row wins, a new beginning voids nothing."""
    with client_of(server) as client:
        found = {
            entity.uid: entity
            for page in client.restore_session_pages(since=since, page_size=page_size)
            for entity in page.items
        }
    return list(found.values())


def expected(record: RestoreSessionRecord) -> dict[str, object]:
    return {
        "uid": record.uid,
        "name": record.name,
        "vm_name": record.vm_name or "",
        "job_type": record.job_type or "",
        "state": record.state or "",
        "result": record.result or "None",
        "progress": record.progress,
        "started_at": record.created_at,
        "ended_at": record.ended_at,
        "restore_point_uid": record.restore_point_uid or "",
        "restore_point_name": record.restore_point_name or "",
        "restored_object_ref": "",
        "failure_message": record.failure_message or "",
        "backup_server_uid": record.backup_server_uid,
        "backup_server_name": record.backup_server_name,
    }


def seen(entity: RestoreSessionEntity) -> dict[str, object]:
    left_out = ("payload", "digest_basis")
    return {name: getattr(entity, name) for name in RestoreSessionEntity.__slots__ if name not in left_out}


def test_every_row_arrives_field_by_field_however_awkward(server: StandInServer, history: World) -> None:
    entities = mirrored(server)

    records = history.visible_sessions()
    assert len(records) > ROWS * 0.9
    by_uid = {entity.uid: seen(entity) for entity in entities}
    assert by_uid == {record.uid: expected(record) for record in records}


@pytest.mark.parametrize("page_size", [1000, 50, 33])
def test_the_size_of_a_page_changes_nothing(server: StandInServer, history: World, page_size: int) -> None:
    uids = {entity.uid for entity in mirrored(server, page_size=page_size)}

    assert uids == {record.uid for record in history.visible_sessions()}


def test_only_what_was_created_since_then_is_asked_for(server: StandInServer, history: World) -> None:
    since = NOW - timedelta(days=10)

    uids = {entity.uid for entity in mirrored(server, since=since)}

    assert uids == {record.uid for record in history.visible_sessions() if record.created_at >= since}


def test_payloads_of_unchanged_rows_are_equal_from_run_to_run(server: StandInServer) -> None:
    first = {entity.uid: entity.payload for entity in mirrored(server, since=NOW - timedelta(days=20))}
    second = {
        entity.uid: entity.payload
        for entity in mirrored(server, page_size=33, since=NOW - timedelta(days=20))
    }

    assert first == second


def test_a_name_of_em_that_alternates_changes_no_digest_basis(server: StandInServer) -> None:
    since = NOW - timedelta(days=5)
    first = {entity.uid: entity.digest_basis for entity in mirrored(server, since=since)}
    server.switches.href_host = "em.other.example.test:443"
    second = {entity.uid: entity.digest_basis for entity in mirrored(server, since=since)}
    server.switches.href_host = None

    assert first == second


def test_one_row_by_id_equals_the_row_of_the_page(server: StandInServer) -> None:
    entity = mirrored(server, since=NOW - timedelta(days=5))[0]

    with client_of(server) as client:
        assert seen(client.restore_session(entity.uid)) == seen(entity)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_row_that_is_gone_is_none_whatever_the_status(server: StandInServer, status: int) -> None:
    server.switches.missing_status = status

    with client_of(server) as client:
        found = client.restore_session("urn:veeam:RestoreSession:00000000-0000-0000-0000-000000000000")

    server.switches.missing_status = 404
    assert found is None


def test_backup_servers_arrive(server: StandInServer, history: World) -> None:
    with client_of(server) as client:
        listed = {(found.uid, found.name, found.version, found.port) for found in client.backup_servers()}

    assert listed == {(one.uid, one.name, one.version, one.port) for one in history.backup_servers()}


def test_no_logon_session_is_left_behind(server: StandInServer) -> None:
    mirrored(server, page_size=100)

    deleted = [request for request in server.requests if request.method == "DELETE"]
    assert [request.status for request in deleted] == [204]
    assert not [request for request in server.requests if "cookie" in request.headers]


@pytest.mark.parametrize(
    ("role", "inferred"),
    [
        (accounts.PORTAL_ADMINISTRATOR, "Portal Administrator"),
        (accounts.PORTAL_USER, "Portal User"),
        (accounts.VM_OPERATOR, "VM or File Restore Operator"),
        (accounts.FILE_OPERATOR, "VM or File Restore Operator"),
        (accounts.SQL_OPERATOR, "Exchange, Oracle or SQL Restore Operator"),
    ],
)
def test_each_role_is_inferred(role: str, inferred: str) -> None:
    with (
        StandInServer(accounts=[Account("mirror", "mirror", role)], tls=False) as server,
        client_of(server) as client,
    ):
        assert client.infer_role() == inferred


def test_an_operator_reads_restore_sessions_without_the_servers() -> None:
    world = World.empty()
    record = world.add_session()
    operator = Account("mirror", "mirror", accounts.VM_OPERATOR)

    with StandInServer(world, accounts=[operator], tls=False) as server:
        with client_of(server) as client, pytest.raises(Forbidden):
            client.backup_servers()
        entities = mirrored(server)

    assert [entity.backup_server_name for entity in entities] == [record.backup_server_name]


def test_a_wrong_password_is_sent_once(server: StandInServer) -> None:
    with pytest.raises(LogonRefused), client_of(server, password="wrong"):
        pass

    assert [request.method for request in server.requests] == ["GET", "POST"]


Arm = Callable[[Faults], object]


@pytest.mark.parametrize(
    "arm",
    [
        lambda faults: faults.drop_logon_sessions(path="page=", nth=3),
        lambda faults: [faults.drop_logon_sessions(path="page=", nth=page) for page in (2, 4, 6)],
        lambda faults: faults.answer(503, path="page=", nth=2, retry_after=1, count=3),
        lambda faults: faults.answer(500, path="page=", nth=2, body="empty"),
        lambda faults: faults.answer(502, path="page=", nth=2, body="html"),
        lambda faults: faults.html(path="page=", nth=3),
        lambda faults: faults.html(path="/api/", method="GET"),
        lambda faults: faults.error_with_200(path="page=", nth=2),
        lambda faults: faults.truncate(path="page=", nth=2, count=2),
        lambda faults: faults.truncate(keep=0, path="page=", nth=2),
        lambda faults: faults.garble(path="page=", nth=2),
        lambda faults: faults.slow(0.3, path="page=", nth=2),
        lambda faults: faults.reset(path="page=", nth=2, count=3),
        lambda faults: faults.bom(path="/api", count=None),
        lambda faults: faults.pages_count(1, path="/query", count=None),
        lambda faults: faults.pages_count(1, path="page=", nth=3),
        lambda faults: faults.pages_count(99, path="page=", nth=7),
        lambda faults: faults.reset(method="DELETE"),
        lambda faults: faults.answer(500, method="DELETE"),
    ],
    ids=[
        "dropped-session",
        "dropped-three-times",
        "503-with-retry-after",
        "500-empty",
        "502-html",
        "html",
        "html-at-root",
        "error-with-200",
        "cut",
        "cut-to-nothing",
        "garbled",
        "slow",
        "reset",
        "byte-order-mark",
        "one-page-said",
        "shrunk-once",
        "too-many-said",
        "reset-at-log-off",
        "500-at-log-off",
    ],
)
def test_a_passing_fault_loses_no_row(server: StandInServer, history: World, arm: Arm) -> None:
    arm(server.faults)

    uids = {entity.uid for entity in mirrored(server, page_size=50)}

    assert uids == {record.uid for record in history.visible_sessions()}


@pytest.mark.parametrize(
    ("arm", "failure"),
    [
        (lambda faults: faults.answer(503, path="page=", nth=2, count=None), ServerFailing),
        (lambda faults: faults.html(path="page=", nth=2, count=None), UnexpectedAnswer),
        (lambda faults: faults.error_with_200(path="page=", nth=2, count=None), UnexpectedAnswer),
        (lambda faults: faults.garble(path="page=", nth=2, count=None), UnexpectedAnswer),
        (lambda faults: faults.answer(400, path="page=", nth=2), UnexpectedAnswer),
        (
            lambda faults: faults.body(
                b"{}", content_type="application/json", path="page=", nth=2, count=None
            ),
            UnexpectedAnswer,
        ),
    ],
    ids=["503", "html", "error with 200", "garbled", "400", "json"],
)
def test_a_lasting_fault_ends_the_run_and_logs_off(
    server: StandInServer, arm: Arm, failure: type[Exception]
) -> None:
    arm(server.faults)

    with pytest.raises(failure):
        mirrored(server, page_size=50)

    assert server.requests[-1].method == "DELETE"


def test_rows_that_come_between_two_pages_push_no_other_row_out() -> None:
    """One that comes late, behind the page being read, is itself left to the next run's overlap."""
    world = World.empty(now=lambda: NOW)
    late = NOW - timedelta(days=1)
    for minute in range(20):
        world.add_session(created_at=NOW - timedelta(minutes=60 - minute))
    with StandInServer(world, tls=False) as server:
        server.faults.call(lambda: world.add_session(created_at=NOW), path="page=", nth=2)
        server.faults.call(lambda: world.add_session(created_at=late), path="page=", nth=4)

        uids = {entity.uid for entity in mirrored(server, page_size=5)}

    assert [one.created_at for one in world.visible_sessions() if one.uid not in uids] == [late]
    assert len(uids) == 21


def read_while_rows_go(gone: slice) -> tuple[list[str], list[str], bool]:
    """22 rows in pages of 5; some go before the second page is read, and the number of pages stays at 5."""
    world = World.empty(now=lambda: NOW)
    records = [world.add_session(created_at=NOW - timedelta(minutes=60 - minute)) for minute in range(22)]
    with StandInServer(world, tls=False) as server:
        for one in records[gone]:
            server.faults.call(functools.partial(world.remove_session, one.uid), path="page=", nth=2)
        with client_of(server) as client:
            pages = list(client.restore_session_pages(since=None, page_size=5))
    uids = [item.uid for page in pages for item in page.items]
    return [record.uid for record in records], uids, any(page.restarted for page in pages)


def test_rows_that_go_between_two_pages_pull_no_other_row_out() -> None:
    records, uids, restarted = read_while_rows_go(slice(2, 4))

    assert uids == records
    assert not restarted


def test_where_the_last_row_read_has_gone_the_walk_begins_again_and_loses_none() -> None:
    records, uids, restarted = read_while_rows_go(slice(3, 5))

    assert uids == records[:5] + records[:3] + records[5:]
    assert restarted


def test_an_idle_logon_session_is_opened_anew() -> None:
    clock = [NOW]
    world = World.empty(now=lambda: clock[0])
    with StandInServer(world, tls=False) as server, client_of(server) as client:
        clock[0] += timedelta(minutes=16)

        assert len(client.backup_servers()) == 1

        logons = [request.status for request in server.requests if request.method == "POST"]
    assert logons == [201, 201]


def test_another_host_in_the_links_is_never_asked(server: StandInServer, history: World) -> None:
    server.switches.href_host = "elsewhere.example.test:1"

    count = len(mirrored(server, page_size=150))

    server.switches.href_host = None
    assert count == len(history.visible_sessions())


@pytest.mark.parametrize("kind", ["expired", "wrong_host"])
def test_a_bad_certificate_is_refused_by_its_own_ca_and_accepted_by_its_pin(kind: str) -> None:
    with StandInServer() as server:
        server.swap_certificate(kind)  # type: ignore[arg-type]

        with (
            pytest.raises(CertificateUntrusted),
            client_of(server, pin_sha256="", ca_pem=server.certificate_pem),
        ):
            pass
        with client_of(server) as client:
            assert client.api_versions == ("v1_5", "v1_6", "v1_7")


def test_a_certificate_that_changes_between_runs_is_noticed() -> None:
    with StandInServer() as server:
        pinned = server.fingerprint_sha256
        with client_of(server):
            pass
        server.swap_certificate()
        server.forget_requests()

        with pytest.raises(CertificateChanged) as changed, client_of(server, pin_sha256=pinned):
            pass

    assert (changed.value.pinned, changed.value.offered) == (pinned, server.fingerprint_sha256)
    assert server.requests == []


def test_the_check_passes_against_the_stand_in(server: StandInServer) -> None:
    connection = Connection(
        url=server.url, username="mirror", password="mirror", ca_pem=server.certificate_pem
    )

    steps = list(check_connection(connection))

    assert [step.key for step in steps if step.ok][-1] == "clock_skew"
    assert {step.key: step.facts for step in steps}["role"] == {"role": "Portal User"}
    assert server.requests[-1].method == "DELETE"


def test_the_count_and_the_list_agree_with_the_pages(server: StandInServer, history: World) -> None:
    held = history.visible_sessions()
    month, since = NOW - timedelta(days=30), NOW - timedelta(days=10)

    with client_of(server) as client:
        listed = {one.uid: one.backup_server_uid for one in client.listed_restore_sessions()}
        counts = [client.count_restore_sessions(since=moment) for moment in (None, since, NOW)]

    assert listed == {row.uid: row.backup_server_uid for row in held if row.created_at >= month}
    assert counts == [len(held), len([row for row in held if row.created_at >= since]), 0]


@pytest.mark.parametrize(
    "arm",
    [
        lambda faults: faults.drop_logon_sessions(path="restoreSessions"),
        lambda faults: faults.answer(503, path="restoreSessions", retry_after=1, count=2),
        lambda faults: faults.html(path="restoreSessions"),
        lambda faults: faults.error_with_200(path="restoreSessions"),
        lambda faults: faults.truncate(keep=0.5, path="restoreSessions"),
        lambda faults: faults.reset(path="restoreSessions"),
        lambda faults: faults.bom(path="restoreSessions"),
        lambda faults: faults.slow(0.5, path="restoreSessions"),
    ],
)
def test_a_passing_fault_leaves_the_list_whole(server: StandInServer, history: World, arm: Arm) -> None:
    """The list of a month is shorter than a piece, so that even a cut is met before the first row."""
    arm(server.faults)

    with client_of(server) as client:
        found = {one.uid for one in client.listed_restore_sessions()}

    month = NOW - timedelta(days=30)
    assert found == {row.uid for row in history.visible_sessions() if row.created_at >= month}


def test_restore_points_arrive_however_awkward(server: StandInServer, history: World) -> None:
    with client_of(server) as client:
        pages = client.vm_restore_point_pages(since=None, page_size=300)
        found = {item.uid: item for page in pages for item in page.items}
        overview = client.vms_overview()
        one = next(iter(found.values()))
        same = client.vm_restore_point(one.uid)

    assert found == {
        point.uid: VmRestorePointEntity(
            uid=point.uid,
            vm_name=point.vm_display_name or point.vm_name or point.name.rpartition("@")[0],
            created_at=point.created_at,
            hierarchy_ref=point.hierarchy_ref or "",
            backup_server_uid=point.backup_server_uid,
            backup_server_name=point.backup_server_name,
        )
        for point in history.restore_points()
    }
    assert same == one
    assert (overview.protected_vms, overview.restore_points) == (history.protected_vms(), len(found))


def test_the_restore_points_of_an_awkward_name_are_found(server: StandInServer, history: World) -> None:
    with client_of(server) as client:
        for name in ('r&d "lab" 7', "c++;build,(1)", "бухгалтерия-сервер1", "50%25 off_srv"):
            points = [point for point in history.restore_points() if point.vm_display_name == name]
            pages = client.vm_restore_points_named(
                backup_server_uid=points[0].backup_server_uid, vm_name=name, page_size=5
            )

            assert [item.uid for page in pages for item in page.items] == [point.uid for point in points]


def test_collections_and_their_events_arrive() -> None:
    clock = [NOW]
    world = World.empty(now=lambda: clock[0], servers=2, epoch=NOW, collect_interval=900)
    east, west = world.backup_servers()
    world.fail_collection(west.uid)
    clock[0] += timedelta(minutes=16)
    with StandInServer(world, tls=False) as server:
        with client_of(server, username="admin", password="admin") as client:
            newest, before, *older = client.collections()
            events = client.collection_events(newest.uid)
            server.switches.event_status = True
            with_status = client.collection_events(newest.uid)
        with client_of(server) as client, pytest.raises(Forbidden):
            client.collections()

    assert (newest.started_at, newest.ended_at) == (
        NOW + timedelta(minutes=15),
        NOW + timedelta(minutes=15, seconds=41),
    )
    assert (newest.kind, newest.state, newest.good, newest.partial) == (
        "CollectJob",
        "CompletedWarning",
        False,
        True,
    )
    assert newest.message == "1 backup server(s) could not be reached."
    assert before.good
    assert len(older) == 198
    assert [(event.state, event.failed) for event in events] == [("", False), ("", True)]
    assert [(event.state, event.failed) for event in with_status] == [("Success", False), ("Failed", True)]
    assert (east.name in events[0].text, west.name in events[1].text) == (True, True)


@pytest.mark.parametrize("page_size", [5, 7])
def test_rows_that_come_twice_hide_no_other_row(page_size: int) -> None:
    world = World.empty(now=lambda: NOW)
    for minute in range(30):
        world.add_session(created_at=NOW - timedelta(minutes=60 - minute))
    with StandInServer(world, tls=False) as server:
        server.faults.repeat_rows(2, path="/query", count=None)

        uids = {entity.uid for entity in mirrored(server, page_size=page_size)}

    assert uids == {record.uid for record in world.visible_sessions()}


def test_two_hundred_rows_that_come_between_pages_at_any_place_push_no_other_row_out() -> None:
    world = World.empty(now=lambda: NOW)
    before = [world.add_session(created_at=NOW - timedelta(minutes=300 - minute)) for minute in range(100)]
    with StandInServer(world, tls=False) as server:
        for number in range(200):
            created_at = NOW - timedelta(minutes=400 - number * 2)
            server.faults.call(
                functools.partial(world.add_session, created_at=created_at), path="page=", nth=2 + number % 9
            )

        uids = {entity.uid for entity in mirrored(server, page_size=10)}

    assert len(world.visible_sessions()) == 300
    assert {record.uid for record in before} <= uids
