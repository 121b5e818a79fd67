"""Which VMs are protected, since when until when, by what EM shows of its restore points."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from restorereports.em.failures import Stopped
from restorereports.emulator.accounts import Account
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror import inventory as inventory_module
from restorereports.mirror import links, vanished
from restorereports.mirror.lock import RunTakenOver, claim
from restorereports.models import (
    BackupServerSource,
    EnterpriseManager,
    Inventory,
    Presence,
    SyncRun,
    VirtualMachine,
)
from tests.factories import make_backup_server, make_restore_session
from tests.mirror.reading import read
from tests.sizes import examples

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World.empty(now=clock, servers=2)


def add(world: World, name: str = "payroll-db2", **fields: Any) -> Any:
    """A restore point of the VM of this name, which is the same object each time."""
    return world.add_restore_point(
        **{"vm_name": name, "hierarchy_ref": f"urn:VMware:Vm:root.{name}"} | fields
    )


def protected(moment: datetime) -> set[str]:
    return set(VirtualMachine.objects.protected_at(moment).values_list("name", flat=True))


def written(queries: CaptureQueriesContext) -> set[str]:
    return {
        query["sql"].split('"')[1]
        for query in queries
        if query["sql"].lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
    }


def asked(server: StandInServer, path: str) -> int:
    return sum(path in request.path for request in server.requests)


def test_all_restore_points_are_read_once_then_the_recent_ones(em, world: World, clock: ManualClock) -> None:
    old = add(world, "archive-01", created_at=clock() - 400 * DAY)
    for days in (3, 2, 1):
        newest = add(world, created_at=clock() - days * DAY)

    long = read(em, clock())
    clock.advance(86_400)
    short = read(em, clock())

    assert (long.state, long.since_at, long.restore_points, long.vms, long.appeared) == (
        *("good", None),
        *(4, 2, 2),
    )
    assert (short.since_at, short.restore_points, short.vms) == (clock() - 8 * DAY, 3, 2)
    assert (short.appeared, short.vanished) == (0, 0)
    presence = Presence.objects.get(virtual_machine__name="payroll-db2")
    assert (presence.from_at, presence.to_at) == (newest.created_at - 2 * DAY, None)
    assert (presence.newest_point_uid, presence.restore_points) == (newest.uid, 3)
    assert Presence.objects.get(virtual_machine__name="archive-01").from_at == old.created_at


def test_a_new_backup_server_makes_all_be_read_again(em, world: World, clock: ManualClock) -> None:
    add(world)
    read(em, clock())
    clock.advance(86_400)
    added = world.add_server("vbr-new.example.test")
    make_backup_server_source(em, added.uid, clock())
    add(world, "old-and-new", backup_server_uid=added.uid, created_at=clock() - 100 * DAY)

    again = read(em, clock())
    clock.advance(86_400)
    after = read(em, clock())

    assert (again.since_at, again.vms) == (None, 2)
    assert after.since_at is not None


def make_backup_server_source(em: EnterpriseManager, uid: str, at: datetime) -> None:
    server = make_backup_server(uid=uid)
    BackupServerSource.objects.create(
        enterprise_manager=em, backup_server=server, uid=uid, name=server.name, first_seen_at=at
    )


def test_nothing_made_since_the_last_good_reading_is_left_out(em, world: World, clock: ManualClock) -> None:
    add(world)
    good = read(em, clock())
    add(world, "monthly", created_at=clock() + 5 * DAY)
    clock.advance(30 * 86_400)

    late = read(em, clock())

    assert late.since_at == good.at - DAY
    assert protected(clock()) == {"payroll-db2", "monthly"}


def test_a_vm_without_a_recent_restore_point_is_asked_for_by_id(em, world, server, clock) -> None:
    add(world, "archive-01")
    read(em, clock())
    clock.advance(20 * 86_400)
    read(em, clock())
    server.forget_requests()
    clock.advance(86_400)

    inventory = read(em, clock())

    assert (inventory.vms, inventory.vanished, asked(server, "/vmRestorePoints/")) == (1, 0, 1)
    assert Presence.objects.get().checked_at == clock()


def test_vanished_and_returned_is_two_intervals(em, world: World, clock: ManualClock) -> None:
    point = add(world)
    began = clock()
    read(em, began)
    clock.advance(86_400)
    world.remove_restore_point(point.uid)
    gone = clock()
    inventory = read(em, gone)
    clock.advance(5 * 86_400)
    add(world)
    back = clock()

    read(em, back)

    assert (inventory.vms, inventory.vanished) == (0, 1)
    assert list(Presence.objects.values_list("from_at", "to_at")) == [(began, gone), (back, None)]
    assert [protected(moment) for moment in (began, gone, gone + DAY, back)] == [
        *({"payroll-db2"}, set()),
        *(set(), {"payroll-db2"}),
    ]
    assert VirtualMachine.objects.count() == 1


def test_old_restore_points_that_are_shown_again_fill_no_past_absence(em, world, clock) -> None:
    point = add(world)
    read(em, clock())
    clock.advance(86_400)
    world.remove_restore_point(point.uid)
    read(em, clock())
    clock.advance(86_400)
    add(world, created_at=point.created_at)

    read(em, clock())

    assert Presence.objects.get(to_at=None).from_at == clock()
    assert protected(clock() - HOUR) == set()


def test_an_older_restore_point_that_is_left_becomes_the_last_known_one(em, world, clock) -> None:
    older = add(world, created_at=clock() - 20 * DAY)
    newest = add(world, created_at=clock() - 12 * DAY)
    read(em, clock())
    world.remove_restore_point(newest.uid)
    clock.advance(86_400)

    inventory = read(em, clock())

    presence = Presence.objects.get()
    assert inventory.vanished == 0
    assert (presence.newest_point_uid, presence.newest_point_at) == (older.uid, older.created_at)
    assert (presence.to_at, presence.checked_at) == (None, clock())


def test_an_older_restore_point_under_a_former_name_is_found(em, world, clock) -> None:
    ref = "urn:VMware:Vm:root.vm-7"
    add(world, "erp-old", hierarchy_ref=ref, created_at=clock() - 20 * DAY)
    newest = add(world, "erp-new", hierarchy_ref=ref, created_at=clock() - 12 * DAY)
    read(em, clock())
    world.remove_restore_point(newest.uid)
    clock.advance(86_400)

    assert read(em, clock()).vanished == 0


def test_a_namesake_keeps_no_vanished_vm_alive(em, world, clock) -> None:
    gone = add(world, "web01", hierarchy_ref="urn:VMware:Vm:root.vm-1", created_at=clock() - 20 * DAY)
    add(world, "web01", hierarchy_ref="urn:VMware:Vm:root.vm-2", created_at=clock() - 20 * DAY)
    read(em, clock())
    world.remove_restore_point(gone.uid)
    clock.advance(86_400)

    inventory = read(em, clock())

    assert (inventory.vms, inventory.vanished) == (1, 1)
    assert Presence.objects.get(to_at=None).virtual_machine.object_ref.endswith("vm-2")


def test_the_longest_unasked_come_first(em, world, server, clock, monkeypatch) -> None:
    monkeypatch.setattr(vanished, "ASK_LIMIT", 2)
    for number in range(5):
        add(world, f"archive-{number}")
    read(em, clock())
    clock.advance(20 * 86_400)
    read(em, clock())

    checked = []
    for _ in range(3):
        clock.advance(86_400)
        read(em, clock())
        checked.append(Presence.objects.filter(checked_at=clock()).count())

    assert checked == [2, 2, 2]
    assert not Presence.objects.filter(checked_at__lt=clock() - 2 * DAY).exists()


def test_one_that_em_cannot_tell_keeps_no_other_from_being_asked(em, world, server, clock) -> None:
    stuck = add(world, "stuck")
    gone = add(world, "gone")
    read(em, clock())
    clock.advance(20 * 86_400)
    read(em, clock())
    world.remove_restore_point(gone.uid)
    clock.advance(86_400)
    server.faults.answer(503, path=f"/vmRestorePoints/{stuck.guid}", count=None)

    inventory = read(em, clock())

    assert (inventory.state, inventory.vanished, inventory.vms) == ("failed", 1, 1)
    assert inventory.error


def test_after_all_were_read_who_was_not_seen_is_gone(em, world, server, clock) -> None:
    gone = add(world, "gone", created_at=clock() - 30 * DAY)
    add(world, "here", created_at=clock() - 30 * DAY)
    read(em, clock())
    world.remove_restore_point(gone.uid)
    clock.advance(86_400)
    make_backup_server_source(em, world.add_server().uid, clock())
    server.forget_requests()

    inventory = read(em, clock())

    assert (inventory.since_at, inventory.vanished, inventory.vms) == (None, 1, 1)
    assert asked(server, "/vmRestorePoints/") == 0


def test_a_reading_that_broke_off_closes_nobody(em, world, server, clock, monkeypatch) -> None:
    monkeypatch.setattr(inventory_module, "PAGE_SIZE", 2)
    for number in range(6):
        add(world, f"vm-{number}", created_at=clock() - (9 - number) * HOUR)
    read(em, clock())
    clock.advance(86_400)
    make_backup_server_source(em, world.add_server().uid, clock())
    server.faults.answer(503, path="type=VmRestorePoint", nth=2, count=None)

    inventory = read(em, clock())

    assert (inventory.state, inventory.vanished, inventory.vms, inventory.restore_points) == (
        "failed",
        0,
        6,
        2,
    )
    server.faults.clear()
    assert read(em, clock()).since_at is None


def test_vms_of_a_removed_backup_server_are_closed_and_come_back_with_it(em, world, clock) -> None:
    one, two = world.backup_servers()
    add(world, "old", backup_server_uid=two.uid, created_at=clock() - 50 * DAY)
    add(world, "recent", backup_server_uid=two.uid)
    add(world, "elsewhere", backup_server_uid=one.uid)
    read(em, clock())
    clock.advance(86_400)
    world.remove_server(two.uid)
    BackupServerSource.objects.filter(uid=two.uid).update(removed_at=clock())

    removed = read(em, clock())

    assert (removed.vanished, protected(clock())) == (2, {"elsewhere"})
    clock.advance(86_400)
    world.add_server(two.name, uid=two.uid)
    returned = read(em, clock())
    assert (returned.since_at, returned.appeared) == (None, 2)
    assert protected(clock()) == {"old", "recent", "elsewhere"}


def test_two_ems_over_one_server_are_one_vm_with_two_presences(em, world, clock, add_em) -> None:
    point = add(world)
    add(world, "bare", hierarchy_ref=None)
    with StandInServer(world) as second:
        south = add_em(second, "em-south")
        read(em, clock())
        read(south, clock())
        clock.advance(86_400)
        world.remove_restore_point(point.uid)
        read(south, clock())

    assert VirtualMachine.objects.count() == 2
    assert Presence.objects.count() == 4
    assert VirtualMachine.objects.protected_at(clock()).count() == 2
    read(em, clock())
    assert protected(clock()) == {"bare"}


def test_an_unchanged_second_reading_writes_nothing_but_itself(em, world, clock, monkeypatch) -> None:
    monkeypatch.setattr(inventory_module, "PAGE_SIZE", 7)
    ref = "urn:VMware:Vm:root.renamed"
    add(world, "before", hierarchy_ref=ref, created_at=clock() - 2 * DAY)
    add(world, "after", hierarchy_ref=ref, created_at=clock() - DAY)
    for number in range(20):
        add(
            world,
            f"vm-{number % 10}",
            hierarchy_ref=None if number % 3 else f"urn:VMware:Vm:root.{number % 10}",
        )
    read(em, clock())
    clock.advance(3600)

    with CaptureQueriesContext(connection) as short:
        inventory = read(em, clock())
    Inventory.objects.all()._raw_delete(using="default")
    with CaptureQueriesContext(connection) as long:
        read(em, clock())

    assert inventory.restore_points == 22
    assert written(short) == written(long) == {SyncRun._meta.db_table, Inventory._meta.db_table}


def test_the_number_of_queries_does_not_grow_with_the_vms(em, world, clock) -> None:
    def count(number: int, day: int) -> tuple[int, int]:
        for n in range(number):
            add(world, f"vm-{day}-{n}")
        clock.advance(60)
        with CaptureQueriesContext(connection) as first:
            read(em, clock())
        for n in range(number):
            add(world, f"renamed-{day}-{n}", hierarchy_ref=f"urn:VMware:Vm:root.vm-{day}-{n}")
        clock.advance(60)
        with CaptureQueriesContext(connection) as second:
            read(em, clock())
        return len(first), len(second)

    count(3, 1)

    assert count(3, 2) == count(60, 3)


def test_a_page_border_changes_nothing(em, world, clock, monkeypatch) -> None:
    monkeypatch.setattr(inventory_module, "PAGE_SIZE", 3)
    monkeypatch.setattr(inventory_module, "LINKED_AT_ONCE", 4)
    for number in range(20):
        add(world, f"vm-{number % 5}", created_at=clock() - (20 - number) * HOUR)
    for _ in range(4):
        add(world, "same-moment", created_at=clock())

    inventory = read(em, clock())

    assert (inventory.restore_points, inventory.vms) == (24, 6)
    assert set(Presence.objects.values_list("restore_points", flat=True)) == {4}


def test_a_walk_that_begins_again_counts_nothing_twice(em, world, server, clock, monkeypatch) -> None:
    monkeypatch.setattr(inventory_module, "PAGE_SIZE", 3)
    for number in range(8):
        point = add(world, f"vm-{number % 2}", created_at=clock() - (20 - number) * HOUR)
        if number == 1:
            gone = add(world, "gone", created_at=clock() - 18 * HOUR - HOUR / 2)
    server.faults.call(lambda: world.remove_restore_point(gone.uid), path="type=VmRestorePoint", nth=2)

    inventory = read(em, clock())

    assert (inventory.restore_points, inventory.vms, inventory.vanished) == (8, 2, 1)
    presence = Presence.objects.get(newest_point_uid=point.uid)
    assert presence.restore_points == 4


def test_a_walk_that_begins_again_in_the_middle_forgets_nobody(em, world, server, clock, monkeypatch) -> None:
    monkeypatch.setattr(inventory_module, "PAGE_SIZE", 2)
    add(world, "early", created_at=clock() - DAY)
    together = [add(world, f"vm-{number}", created_at=clock() - HOUR) for number in range(7)]

    def remove() -> None:
        for point in together[-3:]:
            world.remove_restore_point(point.uid)

    server.faults.call(remove, path="type=VmRestorePoint", nth=4)

    inventory = read(em, clock())

    assert inventory.state == "good"
    assert {"early", "vm-0", "vm-1", "vm-2", "vm-3"} <= protected(clock())
    assert set(Presence.objects.values_list("restore_points", flat=True)) == {1}


def test_an_impossible_uid_is_an_unexpected_answer(em, world, clock) -> None:
    add(world, uid="urn:veeam:VmRestorePoint:" + "x" * 300)

    inventory = read(em, clock())

    assert (inventory.state, inventory.vms) == ("failed", 0)


def test_restore_sessions_follow_in_chunks(em, world, clock, monkeypatch) -> None:
    monkeypatch.setattr(links, "READ_AT_ONCE", 2)
    monkeypatch.setattr(links, "WRITTEN_AT_ONCE", 2)
    points = [add(world, f"vm-{n}", created_at=clock() - 3 * HOUR) for n in range(7)]
    read(em, clock())
    server = VirtualMachine.objects.first().backup_server
    sessions = [
        make_restore_session(server, vm_name="by name", started_at=clock(), restore_point_uid=point.uid)
        for point in points
    ]

    read(em, clock())

    for point, session in zip(points, sessions, strict=True):
        session.refresh_from_db()
        assert session.virtual_machine.name == point.vm_name


def test_a_role_that_may_not_read_restore_points_is_a_state(em, world, server, clock) -> None:
    add(world)
    server.accounts[:] = [Account("mirror", "mirror", "SQL Restore Operator")]

    inventory = read(em, clock())

    assert (inventory.state, inventory.vms) == ("not_readable", 0)
    assert inventory.error


def test_a_role_that_may_not_read_the_overview_still_reads_well(em, world, server, clock) -> None:
    add(world)
    server.accounts[:] = [Account("mirror", "mirror", "VM Restore Operator")]

    inventory = read(em, clock())

    assert (inventory.state, inventory.vms, inventory.overview_protected) == ("good", 1, None)


def test_the_overview_stands_beside_as_a_control_figure(em, world, clock) -> None:
    add(world)
    add(world)
    add(world, "another")

    inventory = read(em, clock())

    assert (inventory.overview_protected, inventory.overview_restore_points) == (2, 3)
    assert inventory.vms == 2


def test_an_overview_that_fails_spoils_no_reading(em, world, server, clock) -> None:
    add(world)
    server.faults.answer(503, path="/reports/summary", count=None)

    inventory = read(em, clock())

    assert (inventory.state, inventory.overview_backed_up) == ("good", None)


def test_restore_points_that_never_come_are_a_state_and_fail_no_sync(em, world, server, clock) -> None:
    add(world)
    server.faults.reset(path="type=VmRestorePoint", count=None)

    found = read(em, clock())

    assert (found.state, found.vms) == (Inventory.State.FAILED, 0)
    assert found.error


def test_a_stop_ends_the_reading(em, world, clock) -> None:
    add(world)

    with pytest.raises(Stopped):
        read(em, clock(), should_stop=lambda: True)

    assert not Presence.objects.exists()


def test_a_run_that_was_taken_over_writes_nothing(em, world, server, clock) -> None:
    add(world)
    run = claim(em, full=True, trigger="schedule", at=clock())
    SyncRun.objects.filter(pk=run.pk).update(status=SyncRun.Status.DIED)

    with pytest.raises(RunTakenOver):
        read(em, clock(), run=run)

    assert not Presence.objects.exists()
    assert not VirtualMachine.objects.exists()
    assert not Inventory.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_workers_over_the_same_servers_add_each_vm_once(world, clock, add_em, monkeypatch) -> None:
    monkeypatch.setattr(inventory_module, "PAGE_SIZE", 40)
    one, two = world.backup_servers()
    for number in range(300):
        add(
            world,
            f"vm-{number % 100}{'-renamed' if number >= 200 else ''}",
            hierarchy_ref=f"urn:VMware:Vm:root.vm-{number % 100}" if number % 4 else None,
            backup_server_uid=(one, two)[number % 2].uid,
            created_at=clock() - (400 - number) * HOUR / 10,
        )
    with StandInServer(world) as north, StandInServer(world) as south:
        ems = [add_em(north, "em-north"), add_em(south, "em-south")]
        together = threading.Barrier(2)

        def work(em: EnterpriseManager) -> str:
            try:
                together.wait()
                return read(em, clock()).state
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            states = list(threads.map(work, ems))

    assert states == ["good", "good"]
    assert VirtualMachine.objects.exclude(object_ref="").count() == 75
    assert Presence.objects.count() == 2 * VirtualMachine.objects.protected_at(clock()).count()


Steps = list[tuple[int, list[tuple[int, int]]]]  # days that pass, (VM, how many points it has then)
steps: st.SearchStrategy[Steps] = st.lists(
    st.tuples(
        st.integers(1, 12),
        st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=4, unique_by=lambda pair: pair[0]),
    ),
    min_size=2,
    max_size=6,
)


@contextmanager
def undone():
    """Examples share one test's database: each leaves it as it was."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.mark.django_db
@given(steps=steps)
@settings(max_examples=examples(25), suppress_health_check=list(HealthCheck))
def test_what_was_protected_at_any_past_reading_can_be_rebuilt(steps: Steps) -> None:
    clock = ManualClock()
    world = World.empty(now=clock, servers=2)
    homes = [server.uid for server in world.backup_servers()]
    points: dict[int, list[str]] = {}
    truth: list[tuple[datetime, set[tuple[str, str]]]] = []
    with undone(), StandInServer(world, tls=False) as server:
        em = EnterpriseManager(name="em", url=server.url, username="mirror", allow_plain_http=True)
        em.set_password("mirror", at=clock())
        em.save()
        for days, changes in steps:
            clock.advance(days * 86_400)
            for vm, wanted in changes:
                have = points.setdefault(vm, [])
                while len(have) > wanted:
                    world.remove_restore_point(have.pop(vm % len(have)))
                while len(have) < wanted:
                    clock.advance(1)
                    fields = {"hierarchy_ref": None} if vm == 0 else {}
                    have.append(add(world, f"vm-{vm}", backup_server_uid=homes[vm % 2], **fields).uid)
            clock.advance(3600)
            inventory = read(em, clock())
            shown = {(homes[vm % 2], f"vm-{vm}") for vm, have in points.items() if have}
            truth.append((clock(), shown))
            assert (inventory.state, inventory.vms) == ("good", len(shown))

        for moment, expected in truth:
            rows = VirtualMachine.objects.protected_at(moment).values_list("backup_server__uid", "name")
            assert sorted(rows) == sorted(expected)
