"""The comparison with EM by a way of its own: its list of 30 days, UID by UID, and its count."""

from datetime import timedelta

import pytest
from django.utils import timezone

from restorereports.emulator.accounts import Account
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Reconciliation, RestoreSession, RestoreSessionSource
from restorereports.models.completeness import Verdict, completeness

DAY = timedelta(days=1)


def filled(world: World, count: int = 12) -> None:
    """Every fourth day one, on both backup servers: eight within 30 days, the rest older."""
    servers = world.backup_servers()
    for n in range(count):
        world.add_session(
            vm_name=f"vm-{n}",
            created_at=timezone.now() - n * 4 * DAY,
            backup_server_uid=servers[n % 2].uid,
        )


def test_equal_sides_are_reconciled_with_their_counts(em: EnterpriseManager, world: World) -> None:
    filled(world)

    run = sync(em)

    found = Reconciliation.objects.get(run=run)
    assert (found.state, found.retried) == ("equal", False)
    assert (found.listed, found.held, found.counted, found.mirrored) == (8, 8, 12, 12)
    assert sorted(pair[1:] for pair in found.servers) == [[4, 4], [4, 4]]


def test_an_incremental_run_compares_nothing(em: EnterpriseManager, world: World) -> None:
    filled(world)
    sync(em)

    run = sync(em)

    assert run.kind == "incremental"
    assert not Reconciliation.objects.filter(run=run).exists()


def test_what_came_while_we_read_is_fetched_and_is_no_difference(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    filled(world)
    server.faults.call(lambda: world.add_session(vm_name="late"), path="/api/restoreSessions")

    run = sync(em)

    found = Reconciliation.objects.get(run=run)
    assert (found.state, found.retried, found.listed, found.held) == ("equal", True, 9, 9)
    assert RestoreSession.objects.filter(vm_name="late").exists()


def test_what_vanished_from_em_is_named_on_the_mirror_s_side(em: EnterpriseManager, world: World) -> None:
    filled(world)
    sync(em)
    record = world.visible_sessions()[-3]
    world.remove_session(record.uid)

    run = sync(em, full=True)

    found = Reconciliation.objects.get(run=run)
    assert (run.status, found.state, found.retried) == ("good", "different", True)
    assert (found.only_em_count, found.only_mirror_count) == (0, 1)
    assert found.only_mirror == [record.uid]
    assert (found.listed, found.held, found.counted, found.mirrored) == (7, 8, 11, 11)


def test_what_em_lists_but_cannot_tell_is_named_on_em_s_side_and_closes_no_period(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    filled(world)
    sync(em)
    record = world.visible_sessions()[-3]
    RestoreSessionSource.objects.filter(uid=record.uid).delete()
    server.faults.answer(404, path=f"/restoreSessions/{record.guid}", count=None)
    mark = f'UID="{record.uid}"'.encode()
    hiding = server.faults.call(lambda: None, path="format=Entities", count=None)
    hiding.after = lambda reply: setattr(reply, "body", _without(reply.body, mark))

    run = sync(em, full=True)

    found = Reconciliation.objects.get(run=run)
    assert (found.state, found.only_em, found.only_em_count) == ("different", [record.uid], 1)


def _without(body: bytes, mark: bytes) -> bytes:
    head, tag, rest = body.partition(b"<RestoreSession ")
    rows = (tag + rest).split(b"</RestoreSession>")
    return head + b"</RestoreSession>".join(row for row in rows if mark not in row)


def test_a_count_that_lies_is_asked_for_once_more_and_shown(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    filled(world)
    server.faults.pages_count(40, path="pageSize=1&", count=None)

    run = sync(em)

    found = Reconciliation.objects.get(run=run)
    assert (run.status, found.state, found.retried) == ("good", "different", True)
    assert (found.counted, found.mirrored) == (40, 12)
    server_here = RestoreSession.objects.filter(started_at__gt=timezone.now() - 4 * DAY).first().backup_server
    period = (timezone.now() - 2 * DAY, timezone.now() - DAY)
    assert completeness(server_here, *period).verdict == Verdict.NOT_YET_KNOWN
    assert sum(request.path == "/api/restoreSessions" for request in server.requests) == 2


def test_rows_of_a_removed_backup_server_are_no_difference(em: EnterpriseManager, world: World) -> None:
    filled(world)
    sync(em)
    world.remove_server(world.backup_servers()[1].uid)

    run = sync(em, full=True)

    found = Reconciliation.objects.get(run=run)
    assert (found.state, found.listed, found.held) == ("equal", 4, 4)


def test_a_list_that_cannot_be_read_is_a_state_and_no_failure_of_the_run(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    filled(world)
    server.faults.answer(403, path="/api/restoreSessions", count=None)
    refused = sync(em)
    server.faults.clear()
    server.faults.answer(500, path="/api/restoreSessions", count=None)
    failing = sync(em, full=True)

    states = {found.run_id: found.state for found in Reconciliation.objects.all()}
    assert {refused.status, failing.status} == {"good"}
    assert states == {refused.pk: "not_readable", failing.pk: "failed"}
    assert Reconciliation.objects.get(run=failing).error


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_em_s_clock_an_hour_off_makes_no_difference(
    em: EnterpriseManager, world: World, server: StandInServer, ahead: int
) -> None:
    for minutes in range(-120, 130, 20):
        world.add_session(created_at=timezone.now() - 30 * DAY + timedelta(minutes=minutes))
    filled(world)
    server.switches.clock_offset_seconds = ahead

    run = sync(em)

    found = Reconciliation.objects.get(run=run)
    assert abs(run.clock_skew_seconds - ahead) < 3
    assert (found.state, found.retried) == ("equal", False)


def test_an_em_that_lists_more_than_30_days_is_compared_too(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    filled(world)
    server.switches.list_days = 400

    run = sync(em)

    found = Reconciliation.objects.get(run=run)
    assert (found.state, found.listed, found.held) == ("equal", 12, 12)


def test_uids_of_another_shape_are_compared_as_they_are(em: EnterpriseManager, world: World) -> None:
    world.add_session(uid="urn:veeam:RestoreSession:ABC_1-not-a-guid")

    run = sync(em)

    assert Reconciliation.objects.get(run=run).state == "equal"


def test_a_role_of_the_least_right_can_be_reconciled(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    server.accounts[:] = [Account("mirror", "mirror", "VM Restore Operator")]
    filled(world)

    run = sync(em)

    assert Reconciliation.objects.get(run=run).state == "equal"
