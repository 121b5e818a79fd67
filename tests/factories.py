"""Rows for tests, each with the least that a test does not care about."""

from __future__ import annotations

import hashlib
import itertools
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from restorereports.models import (
    BackupServer,
    BackupServerSource,
    CollectorOutage,
    EnterpriseManager,
    Gap,
    Grant,
    Inventory,
    Outcome,
    Policy,
    PolicyVersion,
    Presence,
    Reconciliation,
    Report,
    ReportSchedule,
    RestoreSession,
    RestoreSessionChange,
    RestoreSessionSource,
    SyncRun,
    User,
    VirtualMachine,
)
from restorereports.models.restore_session import VM_SORT_LENGTH
from restorereports.models.virtual_machine import name_key
from restorereports.policies.terms import Terms, plain_terms, sha256_of

PASSWORD = "correct horse battery staple"
START = datetime(2026, 10, 14, 20, 10, 2, 17000, tzinfo=UTC)
_numbers = itertools.count(1)


def make_user(
    role: str = User.Role.AUDITOR, *grants: EnterpriseManager | BackupServer, **values: Any
) -> User:
    """Sees everything, or what the grants name. `everything=False` without any: sees nothing."""
    everything = values.pop("everything", not grants)
    values.setdefault("username", f"person-{next(_numbers)}")
    user = User.objects.create_user(password=PASSWORD, role=role, **values)
    if everything:
        Grant.objects.create(user=user)
    for thing in grants:
        field = "enterprise_manager" if isinstance(thing, EnterpriseManager) else "backup_server"
        Grant.objects.create(user=user, **{field: thing})
    return user


def make_enterprise_manager(**values: Any) -> EnterpriseManager:
    number = next(_numbers)
    values = {
        "name": f"em-{number}",
        "url": f"https://em-{number}.example.test:9398",
        "username": "EXAMPLE\\svc-read",
    } | values
    enterprise_manager = EnterpriseManager(**values)
    enterprise_manager.set_password("the password of the account", at=START)
    enterprise_manager.save()
    return enterprise_manager


def make_backup_server(
    enterprise_manager: EnterpriseManager | None = None, *, name: str = "", **values: Any
) -> BackupServer:
    number = next(_numbers)
    uid = f"urn:veeam:BackupServer:{number:08}-0000-4000-8000-000000000000"
    values = {"uid": uid, "name": name or f"vbr-{number}", "first_seen_at": START} | values
    server = BackupServer.objects.create(**values)
    if enterprise_manager:
        BackupServerSource.objects.create(
            enterprise_manager=enterprise_manager,
            backup_server=server,
            uid=server.uid,
            name=server.name,
            first_seen_at=START,
        )
    return server


def make_run(enterprise_manager: EnterpriseManager, **values: Any) -> SyncRun:
    started_at = values.pop("started_at", START)
    values = {
        "kind": SyncRun.Kind.INCREMENTAL,
        "status": SyncRun.Status.GOOD,
        "heartbeat_at": started_at,
        "ended_at": None
        if values.get("status") == SyncRun.Status.RUNNING
        else started_at + timedelta(seconds=7),
    } | values
    return SyncRun.objects.create(enterprise_manager=enterprise_manager, started_at=started_at, **values)


def make_full_run(enterprise_manager: EnterpriseManager, **values: Any) -> SyncRun:
    """A good full sync that has all that EM knew when it started, of the 30 days before it."""
    started_at = values.get("started_at", START)
    values = {
        "kind": SyncRun.Kind.FULL,
        "covers_from_at": started_at - timedelta(days=30),
        "read_to_at": started_at,
    } | values
    return make_run(enterprise_manager, **values)


def make_gap(enterprise_manager: EnterpriseManager, from_at: datetime, **values: Any) -> Gap:
    """A growing gap; with `to_at` one that the same run closed."""
    run = values.pop("run", None) or make_run(enterprise_manager, started_at=from_at, status="failed")
    values = {"cause": Gap.Cause.FAILED, "opened_at": run.started_at, "opened_run": run} | values
    if values.get("to_at"):
        values = {"closed_at": run.started_at, "closed_run": run} | values
    return Gap.objects.create(enterprise_manager=enterprise_manager, from_at=from_at, **values)


def make_outage(enterprise_manager: EnterpriseManager, from_at: datetime, **values: Any) -> CollectorOutage:
    run = values.pop("run", None) or make_run(enterprise_manager, started_at=from_at)
    values = {"message": "Failed to connect", "opened_run": run} | values
    if values.get("to_at"):
        values = {"closed_run": run} | values
    return CollectorOutage.objects.create(enterprise_manager=enterprise_manager, from_at=from_at, **values)


def make_reconciliation(run: SyncRun, **values: Any) -> Reconciliation:
    """Nothing on either side, so that both are equal, unless told otherwise."""
    values = {
        "at": run.started_at,
        "state": Reconciliation.State.EQUAL,
        "since_at": run.started_at - timedelta(days=30),
        "listed": 0,
        "held": 0,
        "counted": 0,
        "mirrored": 0,
    } | values
    return Reconciliation.objects.create(run=run, enterprise_manager=run.enterprise_manager, **values)


def make_inventory(run: SyncRun, **values: Any) -> Inventory:
    values = {"at": run.started_at, "state": Inventory.State.GOOD} | values
    return Inventory.objects.create(run=run, enterprise_manager=run.enterprise_manager, **values)


def make_presence(
    server: BackupServer,
    enterprise_manager: EnterpriseManager,
    vm_name: str,
    from_at: datetime,
    **values: Any,
) -> Presence:
    values = {"newest_point_at": from_at, "newest_point_uid": "point", "checked_at": from_at} | values
    return Presence.objects.create(
        virtual_machine=_virtual_machine(server, vm_name),
        enterprise_manager=enterprise_manager,
        from_at=from_at,
        **values,
    )


def make_restore_session(
    backup_server: BackupServer | None = None,
    *,
    enterprise_manager: EnterpriseManager | None = None,
    run: SyncRun | None = None,
    vm_name: str = "payroll-db2",
    **values: Any,
) -> RestoreSession:
    """A finished success of 31 minutes, unless told otherwise; `outcome` follows state and result."""
    number = next(_numbers)
    server = backup_server or make_backup_server(enterprise_manager)
    started_at = values.pop("started_at", START)
    values = {
        "uid": f"urn:veeam:RestoreSession:{number:08}-0000-4000-8000-000000000000",
        "name": f"{vm_name}@{started_at:%Y-%m-%d %H:%M:%S}",
        "job_type": "RestoreVm",
        "state": "Stopped",
        "result": "Success",
        "progress": 100,
        "first_seen_at": started_at,
        "vm_sort": vm_name.casefold()[:VM_SORT_LENGTH],
    } | values
    if "ended_at" not in values:
        stopped = values["state"] == "Stopped"
        values["ended_at"] = started_at + timedelta(minutes=31) if stopped else None
    if "duration_ms" not in values and values["ended_at"]:
        values["duration_ms"] = int((values["ended_at"] - started_at).total_seconds() * 1000)
    values.setdefault("outcome", Outcome.of(state=values["state"], result=values["result"]))
    row = RestoreSession.objects.create(
        backup_server=server,
        virtual_machine=_virtual_machine(server, vm_name) if vm_name else None,
        vm_name=vm_name,
        started_at=started_at,
        **values,
    )
    if enterprise_manager:
        make_source(row, enterprise_manager, run=run)
    return row


def _virtual_machine(server: BackupServer, name: str) -> VirtualMachine:
    found, _created = VirtualMachine.objects.get_or_create(
        backup_server=server,
        name_key=name_key(name),
        object_ref="",
        defaults={"name": name, "first_seen_at": START},
    )
    return found


def make_source(
    row: RestoreSession,
    enterprise_manager: EnterpriseManager,
    *,
    run: SyncRun | None = None,
    payload: str = '<RestoreSession Name="payroll-db2"/>',
    **values: Any,
) -> RestoreSessionSource:
    values = {
        "uid": row.uid,
        "first_seen_at": row.first_seen_at,
        "first_seen_run": run or enterprise_manager.runs.first() or make_run(enterprise_manager),
        "payload_digest": hashlib.sha256(payload.encode()).digest(),
        "payload_zlib": zlib.compress(payload.encode()),
    } | values
    return RestoreSessionSource.objects.create(
        restore_session=row, enterprise_manager=enterprise_manager, **values
    )


def make_change(
    row: RestoreSession, run: SyncRun, *, payload: str = "<RestoreSession/>", **values: Any
) -> RestoreSessionChange:
    """Nothing that has a column changed, unless told otherwise."""
    values = {"at": run.started_at} | values
    return RestoreSessionChange.objects.create(
        restore_session=row,
        enterprise_manager=run.enterprise_manager,
        run=run,
        payload_zlib=zlib.compress(payload.encode()),
        **values,
    )


def make_policy(terms: Terms, **values: Any) -> PolicyVersion:
    """The first version of a policy of its own, or with `policy` the next of that one."""
    number = next(_numbers)
    policy = values.pop("policy", None) or Policy.objects.create(
        name=values.pop("name", f"Restore tests {number}"), created_at=START
    )
    latest = policy.versions.order_by("-number").first()
    values = {"made_at": START, "number": latest.number + 1 if latest else 1} | values
    return PolicyVersion.objects.create(
        policy=policy, terms=plain_terms(terms), terms_sha256=sha256_of(terms), **values
    )


def make_report(**values: Any) -> Report:
    values = {
        "scope": {"start": "2026-07-01T00:00:00+00:00", "end": "2026-10-01T00:00:00+00:00"},
        "zone": "UTC",
        "created_at": START,
        "covers_everything": True,
    } | values
    return Report.objects.create(**values)


def make_schedule(**values: Any) -> ReportSchedule:
    values = {
        "name": f"schedule-{next(_numbers)}",
        "recipients": "auditor@example.test",
        "zone": "UTC",
        "first_month": START.date().replace(day=1),
    } | values
    return ReportSchedule.objects.create(**values)
