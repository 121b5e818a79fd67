"""Which VM a name, a restore point and a restore session mean."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from restorereports.mirror.identity import machine_ids
from restorereports.models import BackupServer, VirtualMachine, VirtualMachineAlias
from restorereports.models.virtual_machine import name_key
from tests.factories import START, make_backup_server


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
