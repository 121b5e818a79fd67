"""The resources: lists and single objects, in short or in full (EM REST reference, chapter by chapter)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from restorereports.emulator.entities import (
    backup_server,
    backup_server_reference,
    catalog_vm,
    link,
    restore_session,
    restore_session_reference,
)
from restorereports.emulator.exchange import ApiError, Call, Document, Reply, Rows
from restorereports.emulator.query import QUERY_TYPES, QueryType, Writer, answer_query, wants_entities
from restorereports.emulator.selection import Selection, Shuffled
from restorereports.emulator.service import Route, Service
from restorereports.emulator.stamps import to_us
from restorereports.emulator.system import (
    logon_session,
    overview,
    system_session_events,
    system_sessions,
    task,
)

_VM_POINT, _POINT = QUERY_TYPES["vmrestorepoint"], QUERY_TYPES["restorepoint"]


def _references(records: Iterable[Any], call: Call, short: Writer) -> Document:
    return Document(
        "EntityReferences", {}, rows=Rows("Refs", (short(record, call.href) for record in records))
    )


def _list(records: Iterable[Any], call: Call, *, name: str, entity: Writer, short: Writer) -> Document:
    """A list resource, whole and unpaged."""
    seen = (record for record in records if call.account.sees(_server_guid(record)))
    if not wants_entities(call.parameters):
        return _references(seen, call, short)
    return Document(f"{name}s", {}, rows=Rows(f"{name}s", (entity(record, call.href) for record in seen)))


def _one(record: Any | None, service: Service, call: Call, *, entity: Writer, short: Writer) -> Document:
    """A single object; gone, or out of scope, it is missing."""
    if record is None or not call.account.sees(_server_guid(record)):
        raise ApiError(service.switches.missing_status, f"There is no object with id {call.ids[0][:64]}.")
    if wants_entities(call.parameters):
        members = entity(record, call.href)
        return Document(str(members["Type"]), members)
    return Document("EntityRef", short(record, call.href))


def _server_guid(record: Any) -> str:
    guid: str = getattr(record, "backup_server_guid", None) or record.guid
    return guid


def _restore_sessions(service: Service, call: Call) -> Document:
    """Those created in the last 30 days, in no order."""
    rows = service.world.visible()
    oldest = service.now() - timedelta(days=service.switches.list_days)
    positions = range(rows.first_from(to_us(oldest)), len(rows))
    records = Selection(rows, Shuffled(positions))
    return _list(
        iter(records), call, name="RestoreSession", entity=restore_session, short=restore_session_reference
    )


def _restore_session(service: Service, call: Call) -> Document:
    record = service.world.find_session(call.ids[0].lower())
    return _one(record, service, call, entity=restore_session, short=restore_session_reference)


def _backup_servers(service: Service, call: Call) -> Document:
    records = service.world.backup_servers()
    return _list(records, call, name="BackupServer", entity=backup_server, short=backup_server_reference)


def _backup_server(service: Service, call: Call) -> Document:
    record = service.world.find_server(call.ids[0])
    return _one(record, service, call, entity=backup_server, short=backup_server_reference)


def _collect(service: Service, call: Call) -> Document:
    """Collects at once; the task says only that it was started."""
    if (call.parameters.get("action") or "").lower() != "collect":
        raise ApiError(400, "The action is unknown.")
    record = service.world.find_server(call.ids[0])
    if record is None or not call.account.sees(record.guid):
        raise ApiError(service.switches.missing_status, "There is no such backup server.")
    service.world.collect(record.guid)
    service.tasks.append(record.guid)
    return Document("Task", task(len(service.tasks), call.href, finished=False), status=202)


def _task(service: Service, call: Call) -> Document:
    number = call.ids[0].lower().removeprefix("task-")
    if not number.isascii() or not number.isdigit() or not 1 <= int(number[:9]) <= len(service.tasks):
        raise ApiError(service.switches.missing_status, "There is no such task.")
    return Document("Task", task(int(number), call.href, finished=True))


def _points(service: Service, call: Call, kind: QueryType) -> Document:
    return _list(kind.rows(service.world), call, name=kind.name, entity=kind.entity, short=kind.short)


def _vm_restore_points(service: Service, call: Call) -> Document:
    return _points(service, call, _VM_POINT)


def _vm_restore_point(service: Service, call: Call) -> Document:
    wanted = f"urn:veeam:VmRestorePoint:{call.ids[0].lower()}"
    record = next((point for point in _VM_POINT.rows(service.world) if point.uid == wanted), None)
    return _one(record, service, call, entity=_VM_POINT.entity, short=_VM_POINT.short)


def _restore_points(service: Service, call: Call) -> Document:
    return _points(service, call, _POINT)


def _restore_point(service: Service, call: Call) -> Document:
    wanted = f"urn:veeam:RestorePoint:{call.ids[0].lower()}"
    record = next((point for point in _POINT.rows(service.world) if point.run_uid == wanted), None)
    return _one(record, service, call, entity=_POINT.entity, short=_POINT.short)


def _catalog_vms(service: Service, call: Call) -> Document:
    return _references(service.world.vm_names(), call, catalog_vm)


def _overview(service: Service, call: Call) -> Document:
    return overview(service.world, service.world.protected_vms(), len(service.world.restore_points()))


def _reports(service: Service, call: Call) -> Document:
    href = call.href("reports/summary/vms_overview")
    return Document("ReportSummary", {"Links": [link("Down", href, "VmsOverviewReportFrame")]})


def _system_sessions(service: Service, call: Call) -> Document:
    return Document("SystemSessions", {}, rows=Rows("Sessions", system_sessions(service.world, call.href)))


def _system_session(service: Service, call: Call) -> Document:
    wanted = f"urn:veeam:SystemSession:{call.ids[0].lower()}"
    for session in system_sessions(service.world, call.href):
        if session["UID"] == wanted:
            return Document("SystemSession", session)
    raise ApiError(service.switches.missing_status, "There is no such session.")


def _system_session_events(service: Service, call: Call) -> Document:
    wanted = call.ids[0].lower()
    found = system_session_events(service.world, wanted, call.href, with_status=service.switches.event_status)
    if found is None:
        raise ApiError(service.switches.missing_status, "There is no such session.")
    return Document("SystemSessionEvents", found)


def _query_service(service: Service, call: Call) -> Document:
    kinds = [kind.name for kind in QUERY_TYPES.values() if call.account.may(f"query:{kind.name}")]
    return Document(
        "QueryService", {"Links": [link("Down", call.href(f"query?type={kind}"), kind) for kind in kinds]}
    )


def _query(service: Service, call: Call) -> Document:
    return answer_query(call, service)


def _logon_sessions(service: Service, call: Call) -> Document:
    """An administrator sees the sessions of others, too."""
    own = call.account.full_name
    everything = call.account.may("allLogonSessions")
    found = [
        logon_session(session, call.href)
        for session in service.logons.all()
        if everything or session.account.full_name == own
    ]
    return Document("LogonSessions", {"LogonSessions": [*found]})


def _logon_session(service: Service, call: Call) -> Document:
    session = service.logons.find(call.ids[0])
    if session is None or not _own(session.account.full_name, call):
        raise ApiError(service.switches.missing_logon_status, "There is no such logon session.")
    return Document("LogonSession", logon_session(session, call.href))


def _log_off(service: Service, call: Call) -> Reply:
    session = service.logons.find(call.ids[0])
    if session is None or not _own(session.account.full_name, call):
        raise ApiError(service.switches.missing_logon_status, "There is no such logon session.")
    service.logons.log_off(session.session_id)
    return Reply(204)


def _own(name: str, call: Call) -> bool:
    return call.account.may("allLogonSessions") or name == call.account.full_name


ROUTES: dict[str, dict[str, Route]] = {
    "restoreSessions": {"GET": Route(_restore_sessions, "restoreSessions")},
    "restoreSessions/*": {"GET": Route(_restore_session, "restoreSessions")},
    "backupServers": {"GET": Route(_backup_servers, "backupServers")},
    "backupServers/*": {"GET": Route(_backup_server, "backupServers"), "POST": Route(_collect, "collect")},
    "vmRestorePoints": {"GET": Route(_vm_restore_points, "vmRestorePoints")},
    "vmRestorePoints/*": {"GET": Route(_vm_restore_point, "vmRestorePoints")},
    "restorePoints": {"GET": Route(_restore_points, "restorePoints")},
    "restorePoints/*": {"GET": Route(_restore_point, "restorePoints")},
    "catalog/vms": {"GET": Route(_catalog_vms, "catalog")},
    "reports/summary": {"GET": Route(_reports, "reports")},
    "reports/summary/vms_overview": {"GET": Route(_overview, "reports")},
    "systemSessions": {"GET": Route(_system_sessions, "systemSessions")},
    "systemSessions/*": {"GET": Route(_system_session, "systemSessions")},
    "systemSessions/*/events": {"GET": Route(_system_session_events, "systemSessions")},
    "querySvc": {"GET": Route(_query_service, "querySvc")},
    "query": {"GET": Route(_query)},
    "logonSessions": {"GET": Route(_logon_sessions)},
    "logonSessions/*": {"GET": Route(_logon_session), "DELETE": Route(_log_off)},
    "tasks/*": {"GET": Route(_task, "collect")},
}
