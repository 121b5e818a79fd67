"""The way to EM breaks, or what comes over it is not what EM would say."""

from __future__ import annotations

import pytest

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.due import due_enterprise_managers
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Gap, Reconciliation, RestoreSession, SyncRun
from tests.faults.conftest import HOUR, MINUTE, PAGE_SIZE, ROWS, Shown, Time

QUARTER = 15 * MINUTE


def end_of(run: SyncRun) -> tuple[str, str]:
    return run.status, run.error_kind


def assert_whole(em: EnterpriseManager, shown: Shown, run: SyncRun) -> None:
    """The run was good, nothing is missing, no gap was made up, and a full run compared equal."""
    assert end_of(run) == ("good", ""), run.error_detail
    shown.assert_mirrored(em)
    assert not Gap.objects.exists()
    if run.kind == SyncRun.Kind.FULL:
        assert run.reconciliation.state == Reconciliation.State.EQUAL


def pages_asked(server: StandInServer) -> int:
    return sum(ROWS in request.query for request in server.requests)


def logons(server: StandInServer) -> int:
    return sum(request.method == "POST" for request in server.requests)


def test_em_that_is_down_for_an_hour_loses_nothing(
    em: EnterpriseManager, world: World, server: StandInServer, shown: Shown, time: Time, told
) -> None:
    assert_whole(em, shown, sync(em))

    server.stop()
    for _ in range(4):
        time.go(QUARTER)
        world.add_session(created_at=time.now - 5 * MINUTE)
        run = sync(em)
        assert end_of(run) == ("failed", "unreachable_connect")
    page = told(em)
    assert "Last sync failed" in page
    assert "Nothing accepts connections there. Check host and port (9398), the service and firewalls." in page

    with StandInServer(world, port=server.port, certificate=server.certificate):
        time.go(QUARTER)
        run = sync(em)
    assert run.new == 4
    assert_whole(em, shown, run)
    assert "Last sync failed" not in told(em)


def test_503_with_retry_after_is_honoured_and_not_hammered(
    em: EnterpriseManager, server: StandInServer, shown: Shown, time: Time, pauses: list[float], told
) -> None:
    server.faults.answer(503, retry_after=17, path=ROWS, nth=2, count=None)
    shown.look()

    run = sync(em)

    assert end_of(run) == ("failed", "server_failing")
    assert pauses == [17.0, 17.0, 17.0]
    assert pages_asked(server) == 1 + 4
    assert RestoreSession.objects.count() == PAGE_SIZE  # what came is kept
    assert "Enterprise Manager answers with error 503. Look at its service and its log" in told(em)
    assert due_enterprise_managers(as_of=time.go(MINUTE)) == []  # not before the interval is over
    assert due_enterprise_managers(as_of=time.go(QUARTER)) == [em.pk]

    server.faults.clear()
    server.faults.answer(503, retry_after=17, path=ROWS, nth=2, count=2)
    pauses.clear()
    run = sync(em)

    assert pauses == [17.0, 17.0]
    assert_whole(em, shown, run)


@pytest.mark.parametrize(
    ("fault", "kind", "sentence"),
    [
        ("reset", "unreachable_reset", "The connection broke off. Look at the network between"),
        ("truncate", "unexpected_answer", "The answer is cut off"),
    ],
)
def test_a_connection_cut_in_a_page_is_asked_again(
    em, server: StandInServer, shown: Shown, pauses, told, fault: str, kind: str, sentence: str
) -> None:
    getattr(server.faults, fault)(path=ROWS, nth=3, count=None)

    run = sync(em)

    assert end_of(run) == ("failed", kind)
    assert PAGE_SIZE < RestoreSession.objects.count() <= 2 * PAGE_SIZE
    assert sentence in told(em)
    assert len(pauses) == 3

    server.faults.clear()
    getattr(server.faults, fault)(path=ROWS, nth=3)
    assert_whole(em, shown, sync(em))
    assert len(pauses) == 4


@pytest.mark.parametrize("fault", ["garble", "half a document"])
def test_xml_that_is_garbled_or_ends_too_early_is_asked_again_and_never_stored(
    em, server: StandInServer, shown: Shown, pauses, told, fault: str
) -> None:
    def arm(count: int | None):
        if fault == "garble":
            return server.faults.garble(path=ROWS, nth=3, count=count)
        half = b'<QueryResult xmlns="http://www.veeam.com/ent/v1.0"><Entities><RestoreSessions><RestoreSession Na'
        return server.faults.body(half, path=ROWS, nth=3, count=count)

    spoilt = arm(None)
    run = sync(em)

    assert end_of(run) == ("failed", "unexpected_answer")
    assert PAGE_SIZE < RestoreSession.objects.count() <= 2 * PAGE_SIZE
    assert "An answer of Enterprise Manager could not be used: The answer is cut off or is not XML" in told(
        em
    )

    spoilt.count = 0
    arm(1)
    pauses.clear()
    assert_whole(em, shown, sync(em))
    assert len(pauses) == 1


def test_a_web_page_with_status_200_is_no_answer(
    em, server: StandInServer, shown: Shown, pauses, told
) -> None:
    page = server.faults.html(200, path=ROWS, nth=2, count=None)
    run = sync(em)
    assert end_of(run) == ("failed", "unexpected_answer")
    assert "A web page came instead of XML" in told(em)
    page.count = 0

    front = server.faults.html(200, path="/api/", count=None)  # a service that is only half up
    run = sync(em)
    assert end_of(run) == ("failed", "not_enterprise_manager")
    assert "No Enterprise Manager answers at this address" in told(em)
    assert logons(server) == 1  # of the run before: no password went to a stranger
    front.count = 0

    server.faults.html(200, path=ROWS, nth=2, count=1)
    server.faults.html(200, path="/restoreSessions", count=1)
    assert_whole(em, shown, sync(em))


@pytest.mark.parametrize("path", [ROWS, "/backupServers?format", "/restoreSessions", "/sessionMngr"])
def test_a_log_on_that_expires_between_pages_is_renewed_once(
    em, server: StandInServer, shown: Shown, told, path: str
) -> None:
    server.faults.drop_logon_sessions(path=path, nth=3 if path == ROWS else 1)

    run = sync(em)

    assert_whole(em, shown, run)
    assert logons(server) == (1 if path == "/sessionMngr" else 2)
    assert server.requests[-1].method == "DELETE"  # and the second one was ended
    assert "Last sync failed" not in told(em)


def test_a_log_on_that_holds_for_no_request_is_not_tried_for_ever(
    em, server: StandInServer, shown: Shown, told
) -> None:
    fault = server.faults.drop_logon_sessions(path=ROWS, nth=3, count=None)

    run = sync(em)

    assert end_of(run) == ("failed", "logon_lost")
    assert logons(server) == 2
    assert "Enterprise Manager ended the log-on twice in a row." in told(em)

    fault.count = 0
    assert_whole(em, shown, sync(em))


def test_a_host_that_cannot_be_resolved_is_named_and_tried_again(
    em: EnterpriseManager, world: World, shown: Shown, time: Time, told
) -> None:
    assert_whole(em, shown, sync(em))
    address = em.url
    EnterpriseManager.objects.update(url="https://em.restore-reports.invalid:9398")

    time.go(QUARTER)
    world.add_session(created_at=time.now - HOUR)
    run = sync(em)

    assert end_of(run) == ("failed", "unreachable_resolve")
    assert "The host name is not known to this machine’s DNS." in told(em).replace("'", "’")

    EnterpriseManager.objects.update(url=address)
    run = sync(em)
    assert run.new == 1
    assert_whole(em, shown, run)
