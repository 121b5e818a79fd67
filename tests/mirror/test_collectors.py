"""EM's own collector: its state on each run, and the backup servers that it could not reach."""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from restorereports.emulator.accounts import Account
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import BackupServer, CollectorOutage, EnterpriseManager
from restorereports.models.completeness import Cause, completeness

DAY = timedelta(days=1)
QUARTER = 15 * 60


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(timezone.now() - 2 * DAY)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World.empty(servers=2, now=clock, collect_interval=QUARTER)


@pytest.fixture
def server(world: World):
    with StandInServer(world, accounts=[Account("mirror", "mirror", "Portal Administrator")]) as running:
        yield running


def test_a_collector_that_works_is_noted_with_its_last_time(
    em: EnterpriseManager, world: World, clock: ManualClock
) -> None:
    clock.set(timezone.now())

    run = sync(em)

    assert run.collector == "good"
    assert timedelta() <= run.started_at - run.collected_at <= timedelta(seconds=2 * QUARTER)
    assert run.read_to_at == min(run.collected_at, run.started_at)
    assert CollectorOutage.objects.count() == 0


def test_a_backup_server_that_em_cannot_collect_is_stale_from_then_on(
    em: EnterpriseManager, world: World, clock: ManualClock
) -> None:
    _first, second = world.backup_servers()
    before = clock()
    world.fail_collection(second.uid)
    clock.set(timezone.now())

    run = sync(em)

    [outage] = CollectorOutage.objects.all()
    assert (run.collector, outage.backup_server.uid, outage.to_at) == ("partial", second.uid, None)
    assert outage.from_at <= before < outage.from_at + timedelta(seconds=2 * QUARTER)
    stale = completeness(outage.backup_server, timezone.now() - 3 * DAY, timezone.now() - 3600 * DAY / 86400)
    assert Cause.COLLECTOR in {interval.cause for interval in stale.intervals}

    world.heal_collection(second.uid)
    clock.set(timezone.now() + timedelta(seconds=2 * QUARTER))
    again = sync(em)

    outage.refresh_from_db()
    assert (again.collector, outage.closed_run) == ("good", again)
    assert outage.to_at > outage.from_at


def test_an_outage_that_began_before_em_s_list_of_collections_begins_where_all_was_collected(
    em: EnterpriseManager, world: World, clock: ManualClock
) -> None:
    clock.set(timezone.now())
    first = sync(em)
    world.fail_collection(world.backup_servers()[1].uid)

    with time_machine.travel(timezone.now() + 4 * DAY, tick=False):
        clock.set(timezone.now())
        sync(em)

        [outage] = CollectorOutage.objects.all()
        assert outage.from_at == first.collected_at
        assert not completeness(outage.backup_server, timezone.now() - 3 * DAY, timezone.now() - DAY).complete


def test_an_outage_is_opened_once(em: EnterpriseManager, world: World, clock: ManualClock) -> None:
    world.fail_collection(world.backup_servers()[1].uid)
    clock.set(timezone.now())

    for _ in range(3):
        sync(em)

    assert CollectorOutage.objects.count() == 1


def test_a_collector_that_fails_for_all_concerns_all(
    em: EnterpriseManager, world: World, clock: ManualClock
) -> None:
    for one in world.backup_servers():
        world.fail_collection(one.uid)
    clock.set(timezone.now())

    run = sync(em)

    [outage] = CollectorOutage.objects.all()
    assert (run.collector, outage.backup_server) == ("failed", None)
    assert run.read_to_at < run.started_at - DAY
    for one in BackupServer.objects.all():
        assert not completeness(one, timezone.now() - 3 * DAY, timezone.now() - DAY).complete


def test_a_role_that_may_not_look_is_said_so(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    server.accounts[:] = [Account("mirror", "mirror", "Portal User")]

    run = sync(em)

    assert (run.status, run.collector, run.collected_at) == ("good", "not_readable", None)
    assert run.read_to_at is not None


def test_a_collector_that_cannot_be_asked_does_not_fail_the_run(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    server.faults.answer(500, path="/systemSessions", count=None)

    run = sync(em)

    assert (run.status, run.collector) == ("good", "unknown")
