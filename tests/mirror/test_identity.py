"""Which VM a name, a restore point and a restore session mean."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror import inventory as inventory_module
from restorereports.mirror.identity import machine_ids
from restorereports.models import (
    BackupServer,
    Presence,
    RestoreSession,
    VirtualMachine,
    VirtualMachineAlias,
)
from restorereports.models.virtual_machine import name_key
from tests.factories import START, make_backup_server, make_restore_session
from tests.mirror.reading import read


def add_machine(server: BackupServer, name: str, object_ref: str = "") -> VirtualMachine:
    return VirtualMachine.objects.create(
        backup_server=server, name=name, name_key=name_key(name), object_ref=object_ref, first_seen_at=START
    )


def add_former_name(machine: VirtualMachine, name: str) -> None:
    VirtualMachineAlias.objects.create(
        virtual_machine=machine, name=name, name_key=name_key(name), until_at=START
    )


def id_of(server: BackupServer, name: str) -> int:
    return machine_ids([(server.pk, name)], at=START)[server.pk, name]


def in_two_threads(work: Callable[[int], None]) -> None:
    """Both at once; what goes wrong in either is raised."""
    together = threading.Barrier(2)

    def run(number: int) -> None:
        try:
            together.wait()
            work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(run, range(2)))


@pytest.mark.django_db
def test_a_name_that_nobody_bears_is_added_once_per_server() -> None:
    one, two = make_backup_server(), make_backup_server()

    found = machine_ids(
        [(one.pk, "web01"), (two.pk, "web01"), (one.pk, "WEB01"), (one.pk, "web01")], at=START
    )
    again = machine_ids(list(found), at=START)

    assert len(set(found.values())) == 3
    assert again == found
    assert set(VirtualMachine.objects.values_list("object_ref", "first_seen_at")) == {("", START)}


@pytest.mark.django_db
def test_a_name_means_the_one_object_that_bears_or_bore_it() -> None:
    server, elsewhere = make_backup_server(), make_backup_server()
    machine = add_machine(server, "payroll-db2", "urn:VMware:Vm:root.vm-1")
    add_former_name(machine, "payroll-db1")

    assert id_of(server, "payroll-db2") == machine.pk
    assert id_of(server, "payroll-db1") == machine.pk
    assert id_of(elsewhere, "payroll-db2") != machine.pk


@pytest.mark.django_db
def test_a_name_of_two_objects_means_neither() -> None:
    server = make_backup_server()
    one = add_machine(server, "web01", "urn:VMware:Vm:root.vm-1")
    two = add_machine(server, "web02", "urn:VMware:Vm:root.vm-2")
    add_former_name(two, "web01")

    found = id_of(server, "web01")

    assert found not in {one.pk, two.pk}
    assert VirtualMachine.objects.get(pk=found).object_ref == ""
    assert id_of(server, "web02") == two.pk


@pytest.mark.django_db
def test_an_object_that_bore_the_name_twice_counts_once() -> None:
    server = make_backup_server()
    machine = add_machine(server, "web01", "urn:VMware:Vm:root.vm-1")
    add_former_name(machine, "web01")

    assert id_of(server, "web01") == machine.pk


@pytest.mark.django_db
def test_names_are_looked_up_in_bulk() -> None:
    server = make_backup_server()

    with CaptureQueriesContext(connection) as few:
        machine_ids([(server.pk, f"few-{n}") for n in range(3)], at=START)
    with CaptureQueriesContext(connection) as many:
        machine_ids([(server.pk, f"many-{n}") for n in range(60)], at=START)

    assert len(many) == len(few)


@pytest.mark.django_db(transaction=True)
def test_two_workers_that_add_the_same_names_neither_fail_nor_add_twice() -> None:
    server = make_backup_server()
    names = [(server.pk, f"vm-{n}") for n in range(200)]

    def work(number: int) -> None:
        with transaction.atomic():
            machine_ids(reversed(names) if number else names, at=START)

    in_two_threads(work)

    assert VirtualMachine.objects.count() == 200


MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
REF = "urn:VMware:Vm:root.vm-1"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World.empty(now=clock, servers=2)


def add(world: World, name: str | None, ref: str | None = REF, /, **fields: Any) -> Any:
    return world.add_restore_point(**{"vm_name": name, "hierarchy_ref": ref} | fields)


def known(world: World, number: int = 0) -> BackupServer:
    """The row of a backup server before any reading."""
    return make_backup_server(uid=world.backup_servers()[number].uid)


def names() -> list[tuple[str, str]]:
    return sorted(VirtualMachine.objects.values_list("name", "object_ref"))


def former_names() -> list[str]:
    return sorted(VirtualMachineAlias.objects.values_list("name", flat=True))


def test_a_rename_leaves_the_former_name_and_both_find_the_restore_sessions(em, world, clock) -> None:
    add(world, "erp-old", created_at=clock() - DAY)
    read(em, clock())
    machine = VirtualMachine.objects.get()
    session = make_restore_session(machine.backup_server, vm_name="erp-old")
    RestoreSession.objects.update(virtual_machine=machine)
    VirtualMachine.objects.filter(object_ref="").delete()
    clock.advance(3600)
    renamed = add(world, "erp-new")

    read(em, clock())

    assert (names(), former_names()) == ([("erp-new", REF)], ["erp-old"])
    assert VirtualMachineAlias.objects.get().until_at == renamed.created_at
    sessions = RestoreSession.objects.all()
    assert sessions.with_vm_named("erp-old").get() == sessions.with_vm_named("erp-new").get() == session
    assert sessions.with_vm_containing("P-OLD").get() == sessions.with_vm_containing("p-ne").get() == session
    assert not sessions.with_vm_named("ERP-old").exists()
    session.refresh_from_db()
    assert session.vm_name == "erp-old"
    assert id_of(machine.backup_server, "erp-old") == machine.pk


def test_renaming_back_removes_nothing_and_doubles_nothing(em, world, clock) -> None:
    for name in ("a", "b", "a", "b", "a"):
        clock.advance(3600)
        add(world, name)
        read(em, clock())

    assert (names(), former_names()) == ([("a", REF)], ["a", "b"])


@pytest.mark.parametrize("page_size", [1, 500])
def test_a_rename_within_one_page_is_the_same_as_page_by_page(
    em, world, clock, monkeypatch, page_size: int
) -> None:
    monkeypatch.setattr(inventory_module, "PAGE_SIZE", page_size)
    for number, name in enumerate(("a", "b", "c")):
        add(world, name, created_at=clock() - (9 - number) * MINUTE)

    read(em, clock())

    assert (names(), former_names()) == ([("c", REF)], ["a", "b"])


def test_an_em_that_is_behind_does_not_rename_back(em, world, clock, add_em) -> None:
    add(world, "before", created_at=clock() - 2 * DAY)
    behind = World.empty(now=clock, servers=0)
    server = behind.add_server(uid=world.backup_servers()[0].uid)
    add(behind, "before", backup_server_uid=server.uid, created_at=clock() - 2 * DAY)
    add(behind, "long before", backup_server_uid=server.uid, created_at=clock() - 3 * DAY)
    add(world, "after")
    read(em, clock())

    with StandInServer(behind) as second:
        read(add_em(second, "em-south"), clock())

    assert (names(), former_names()) == ([("after", REF)], ["before", "long before"])


def test_one_name_on_two_servers_and_of_two_objects_never_merges(em, world, clock) -> None:
    one, two = world.backup_servers()
    add(world, "web01", "ref-1", backup_server_uid=one.uid)
    add(world, "web01", "ref-2", backup_server_uid=one.uid)
    add(world, "web01", "ref-1", backup_server_uid=two.uid)

    read(em, clock())

    assert names() == [("web01", "ref-1"), ("web01", "ref-1"), ("web01", "ref-2")]
    assert Presence.objects.count() == 3


def test_a_vm_known_by_name_becomes_the_object_that_bears_it(em, world, clock) -> None:
    session = make_restore_session(known(world), vm_name="payroll-db2")
    add(world, "payroll-db2")

    read(em, clock())

    assert names() == [("payroll-db2", REF)]
    assert RestoreSession.objects.get().virtual_machine_id == session.virtual_machine_id


def test_a_vm_known_by_name_becomes_no_object_that_two_could_be(em, world, clock) -> None:
    session = make_restore_session(known(world), vm_name="web01")
    add(world, "web01", "ref-1")
    add(world, "web01", "ref-2")

    read(em, clock())

    assert names() == [("web01", ""), ("web01", "ref-1"), ("web01", "ref-2")]
    assert RestoreSession.objects.get().virtual_machine_id == session.virtual_machine_id


def test_an_object_renamed_before_it_was_first_seen_takes_over_what_bears_its_new_name(
    em, world, clock
) -> None:
    make_restore_session(known(world), vm_name="after")
    add(world, "before", created_at=clock() - DAY)
    add(world, "after")

    read(em, clock())

    assert (names(), former_names()) == ([("after", REF)], ["before"])


def test_a_new_vcenter_makes_a_new_vm(em, world, clock) -> None:
    old = add(world, "payroll-db2", "urn:VMware:Vm:old.vm-1", created_at=clock() - DAY)
    read(em, clock())
    clock.advance(86_400)
    add(world, "payroll-db2", "urn:VMware:Vm:new.vm-9")
    read(em, clock())
    world.remove_restore_point(old.uid)
    clock.advance(86_400)

    read(em, clock())

    assert names() == [
        ("payroll-db2", "urn:VMware:Vm:new.vm-9"),
        ("payroll-db2", "urn:VMware:Vm:old.vm-1"),
    ]
    assert [vm.object_ref for vm in VirtualMachine.objects.protected_at(clock())] == [
        "urn:VMware:Vm:new.vm-9"
    ]


def test_restore_points_without_an_object_go_by_their_name(em, world, clock) -> None:
    add(world, "with", created_at=clock() - DAY)
    add(world, "with", None)
    add(world, "without", None)
    add(world, "named by its label", None, vm_display_name=None)
    add(world, None, None, name="only@label@2031-05-05 22:00:41", vm_display_name=None)

    inventory = read(em, clock())

    assert inventory.vms == 4
    assert names() == [("named by its label", ""), ("only@label", ""), ("with", REF), ("without", "")]


def test_a_restore_point_that_names_nothing_is_still_a_protected_vm(em, world, clock) -> None:
    add(world, "", name="", vm_display_name="")
    read(em, clock())
    clock.advance(3600)
    add(world, "", None, name="", vm_display_name="")

    assert read(em, clock()).vms >= 1
    assert former_names() == []


def test_a_reference_of_any_length_identifies(em, world, clock) -> None:
    add(world, "one", "urn:VMware:Vm:" + "x" * 600 + "1")
    add(world, "two", "urn:VMware:Vm:" + "x" * 600 + "2")

    assert (read(em, clock()).vms, read(em, clock()).appeared) == (2, 0)


def test_a_restore_session_follows_its_restore_point_else_its_name(em, world, clock) -> None:
    server = known(world)
    first = add(world, "web01", "ref-1", created_at=clock() - DAY)
    add(world, "web01", "ref-2", created_at=clock() - DAY)
    linked = make_restore_session(
        server, vm_name="web01", started_at=clock(), restore_point_uid=first.uid.upper()
    )
    bare = make_restore_session(server, vm_name="web01", started_at=clock())
    lost = make_restore_session(
        server, vm_name="web01", started_at=clock(), restore_point_uid="urn:veeam:VmRestorePoint:gone"
    )

    read(em, clock())

    found = dict(RestoreSession.objects.values_list("pk", "virtual_machine__object_ref"))
    assert found == {linked.pk: "ref-1", bare.pk: "", lost.pk: ""}


def test_a_restore_session_of_another_server_does_not_follow(em, world, clock) -> None:
    elsewhere = known(world, 1)
    point = add(world, "web01", created_at=clock() - DAY)
    session = make_restore_session(
        elsewhere, vm_name="web01", started_at=clock(), restore_point_uid=point.uid
    )

    read(em, clock())

    session.refresh_from_db()
    assert session.virtual_machine.backup_server == elsewhere
    assert session.virtual_machine.object_ref == ""
