"""The query service: filter, sort, page (EM REST reference, "Query Service", "Request Parameters")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from restorereports.emulator.accounts import Account
from restorereports.emulator.entities import (
    backup_server,
    backup_server_reference,
    link,
    restore_point,
    restore_point_reference,
    restore_session,
    restore_session_reference,
    run,
    run_reference,
    vm_restore_point,
    vm_restore_point_reference,
)
from restorereports.emulator.exchange import ApiError, Call, Document, Hrefs, Json, Parameters
from restorereports.emulator.fields import field_named, fields_of
from restorereports.emulator.filters import BadFilter, Condition, parse_filter
from restorereports.emulator.records import RestorePointRecord, RunRecord
from restorereports.emulator.selection import Selection, select
from restorereports.emulator.service import Service
from restorereports.emulator.switches import Switches
from restorereports.emulator.world import World

Writer = Callable[[Any, Hrefs], Json]
_DEFAULT_SIZE = 100
# What a real answer lists beside the one member asked for, all of them null; the vendor's typing errors included.
_OTHER_ENTITIES = (
    "Jobs", "AgentJobs", "AgentBackupJob", "NASJobs", "BackupJobSessions", "BackupTaskSessions", "ReplicaJobSessions",
    "ReplicaTaskSessions", "RestorePoints", "VmRestorePoints", "VAppRestorePoints", "BackupServers", "Repositories",
    "Backups", "BackupFiles", "ManagedServers", "RestoreSessions", "CatalogVms", "EnterpiseRoles", "EnterpiseAccounts",
    "CloudGateways", "CloudTenants", "WanAccelerators", "FailoverPlans",
)  # fmt: skip


@dataclass(slots=True, frozen=True)
class QueryType:
    """One value of `type`: where its rows are, and how they are written."""

    name: str
    rows: Callable[[World], Sequence[Any]]
    entity: Writer
    short: Writer


def restore_point_runs(world: World) -> list[RestorePointRecord]:
    """The job runs behind the restore points of VMs, one record for each."""
    return list({point.run_uid: point for point in world.restore_points()}.values())


def _no_jobs(_world: World) -> list[RunRecord]:
    """Jobs are asked for only to learn whether the role may: the stand-in has none."""
    return []


QUERY_TYPES = {
    kind.name.lower(): kind
    for kind in (
        QueryType("RestoreSession", World.visible, restore_session, restore_session_reference),
        QueryType("BackupServer", World.backup_servers, backup_server, backup_server_reference),
        QueryType("VmRestorePoint", World.restore_points, vm_restore_point, vm_restore_point_reference),
        QueryType("RestorePoint", restore_point_runs, restore_point, restore_point_reference),
        QueryType("BackupJobSession", World.job_sessions, run, run_reference),
        QueryType("BackupTaskSession", World.task_sessions, run, run_reference),
        QueryType("Job", _no_jobs, run, run_reference),
    )
}


def answer_query(call: Call, service: Service) -> Document:
    """`GET /query`. Raises ApiError 403 for types the role may not read, 400 (a switch) for what is wrong."""
    try:
        return _answer(call, service)
    except BadFilter as error:
        raise ApiError(service.switches.bad_query_status, str(error)) from None


def wants_entities(parameters: Parameters, *, default: str = "references") -> bool:
    """Whether `format` asks for entities, in any case and number. Raises BadFilter for other words."""
    wanted = (parameters.get("format") or default).lower()
    if wanted not in {"reference", "references", "entity", "entities"}:
        raise BadFilter("The format is unknown.")
    return wanted.startswith("entit")


def _answer(call: Call, service: Service) -> Document:
    kind = QUERY_TYPES.get((call.parameters.get("type") or "").lower())
    if kind is None:
        raise BadFilter("The query type is unknown.")
    if not call.account.may(f"query:{kind.name}"):
        raise ApiError(403, f"Access to objects of type {kind.name} is denied for your role.")
    as_entities = wants_entities(call.parameters)
    selection = _select(kind, call, service)
    number, size, shown = _page(call.parameters, len(selection), service.switches)
    write = kind.entity if as_entities else kind.short
    rows: list[Any] = [
        write(record, call.href) for record in selection.page((number - 1) * size, number * size)
    ]
    pages = max(1, -(-len(selection) // size))
    members: Json = {"Refs": None, "Entities": None, "Resources": None, "Links": None}
    if as_entities:
        plural = f"{kind.name}s"
        entities: Json = dict.fromkeys((*_OTHER_ENTITIES, plural))
        entities[plural] = {plural: rows}
        members["Entities"] = entities
    else:
        members["Refs"] = {"Refs": rows}
    members["PagingInfo"] = _paging(call, number, shown, pages)
    return Document("QueryResult", members)


def _select(kind: QueryType, call: Call, service: Service) -> Selection:
    switches = service.switches
    fields = fields_of(kind.name, lenient=switches.lenient_fields)
    text = (call.parameters.get("filter") or "").strip()
    condition: Condition | None = parse_filter(text) if text else None
    ascending, descending = call.parameters.get("sortAsc"), call.parameters.get("sortDesc")
    sort_by = ascending or descending
    newer_than = None
    if kind.name == "RestoreSession" and switches.query_days is not None:
        newer_than = service.now() - timedelta(days=switches.query_days)
    return select(
        kind.rows(service.world),
        fields=fields,
        condition=condition,
        sort_by=None if sort_by is None else field_named(sort_by.strip(), fields),
        descending=not ascending,
        allowed=_scope_test(call.account),
        newer_than=newer_than,
    )


def _scope_test(account: Account) -> Callable[[Any], bool] | None:
    if account.scope is None:
        return None
    return lambda record: account.sees(getattr(record, "backup_server_guid", None) or record.guid)


def _page(parameters: Parameters, rows: int, switches: Switches) -> tuple[int, int, int]:
    """Page number (from 1), page size to serve, page size to state."""
    page, given = parameters.get("page"), parameters.get("pageSize")
    number = _positive(page, "page") if page is not None else 1
    if given is not None:
        size = _positive(given, "pageSize")
        return number, size, size
    size = _DEFAULT_SIZE if switches.default_page == "100" else max(rows, 1)
    return number, size, _DEFAULT_SIZE


def _positive(text: str, name: str) -> int:
    digits = text.strip()[:12]
    if not digits.isascii() or not digits.isdigit() or not int(digits):
        raise BadFilter(f"{name} must be a positive number.")
    return int(digits)


def _paging(call: Call, number: int, size: int, pages: int) -> Json:
    """The links repeat the request, foreign and repeated parameters included."""
    targets = {"First": 1, "Previous": number - 1, "Next": number + 1, "Last": pages}
    links: list[Any] = []
    for rel, target in targets.items():
        if 1 <= target <= pages:
            query = call.parameters.replaced(pageSize=str(size), page=str(target))
            links.append(link(rel, call.href(f"query?{query}")))
    return {"Links": links, "PageNum": number, "PageSize": size, "PagesCount": pages}
