from __future__ import annotations

from collections.abc import Callable

import pytest

from restorereports.emulator.accounts import RIGHTS, Account
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import Caller, error, rows

ADMINISTRATOR, USER = "Portal Administrator", "Portal User"
OPERATORS = ("VM Restore Operator", "File Restore Operator")
ITEM_OPERATORS = ("Exchange Restore Operator", "Oracle Restore Operator", "SQL Restore Operator")
ALL = (ADMINISTRATOR, USER, *OPERATORS, *ITEM_OPERATORS)
ALLOWED = {
    "restoreSessions": ALL,
    "catalog/vms": ALL,
    "query?type=RestoreSession": (ADMINISTRATOR, USER, *OPERATORS),
    "query?type=VmRestorePoint": (ADMINISTRATOR, USER, *OPERATORS),
    "query?type=RestorePoint": (ADMINISTRATOR, USER, *OPERATORS),
    "query?type=BackupServer": (ADMINISTRATOR, USER),
    "query?type=BackupJobSession": (ADMINISTRATOR, USER),
    "query?type=BackupTaskSession": (ADMINISTRATOR, USER),
    "query?type=Job": (ADMINISTRATOR,),
    "querySvc": (ADMINISTRATOR, USER, *OPERATORS),
    "backupServers": (ADMINISTRATOR, USER),
    "vmRestorePoints": (ADMINISTRATOR, USER, *OPERATORS),
    "restorePoints": (ADMINISTRATOR, USER, *OPERATORS),
    "reports/summary": (ADMINISTRATOR, USER),
    "reports/summary/vms_overview": (ADMINISTRATOR, USER),
    "systemSessions": (ADMINISTRATOR,),
}


def log_on_as(
    role: str, world: World, serve: Callable[..., StandInServer], caller: Callable[..., Caller]
) -> Caller:
    return caller(serve(world, accounts=[Account("someone", "secret", role)]), "someone", "secret")


@pytest.mark.parametrize("role", ALL)
def test_a_role_reads_what_the_reference_grants_and_nothing_else(
    role: str, world: World, serve: Callable[..., StandInServer], caller: Callable[..., Caller]
) -> None:
    someone = log_on_as(role, world, serve, caller)

    statuses = {path: someone.call(path).status_code for path in ALLOWED}

    assert statuses == {path: 200 if role in roles else 403 for path, roles in ALLOWED.items()}


def test_a_missing_right_is_an_error_with_a_body(
    world: World, serve: Callable[..., StandInServer], caller: Callable[..., Caller]
) -> None:
    operator = log_on_as("File Restore Operator", world, serve, caller)

    answer = operator.call("query?type=BackupServer")

    assert error(answer) == (403, "Access to objects of type BackupServer is denied for your role.")


def test_every_role_is_known() -> None:
    assert tuple(RIGHTS) == ALL
    with pytest.raises(ValueError, match="Unknown role 'King'"):
        Account("a", "b", "King")


def test_a_scope_hides_other_servers_without_a_sign(
    world: World, serve: Callable[..., StandInServer], caller: Callable[..., Caller]
) -> None:
    east, west = world.backup_servers()[0], world.add_server("vbr-west.example.test")
    mine = world.add_session(vm_name="mine", backup_server_uid=east.uid)
    theirs = world.add_session(vm_name="theirs", backup_server_uid=west.uid)
    world.add_restore_point(vm_name="mine", backup_server_uid=east.uid)
    world.add_restore_point(vm_name="theirs", backup_server_uid=west.uid)
    server = serve(world, accounts=[Account("someone", "secret", USER, frozenset({east.guid}))])
    someone = caller(server, "someone", "secret")

    listed = rows(someone.call("restoreSessions?format=Entity"))
    servers = rows(someone.call("backupServers?format=Entity"), "BackupServer")

    assert someone.names() == ["mine"]
    assert someone.names("BackupServer") == [east.name]
    assert len(someone.names("VmRestorePoint")) == 1
    assert [row.get("VmDisplayName") for row in listed] == ["mine"]
    assert [row.get("Name") for row in servers] == [east.name]
    assert someone.call(f"restoreSessions/{mine.guid}").status_code == 200
    assert someone.call(f"restoreSessions/{theirs.guid}").status_code == 404
    assert someone.call(f"backupServers/{west.guid}").status_code == 404
    assert someone.call(f"backupServers/{west.guid}?action=collect", method="POST").status_code == 404
