"""A page of entities becomes rows: new ones added, changed ones updated, unchanged ones not touched."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q

from restorereports.em.entities import RestoreSessionEntity
from restorereports.em.failures import UnexpectedAnswer
from restorereports.models import (
    EnterpriseManager,
    Outcome,
    RestoreSession,
    RestoreSessionSource,
    SyncRun,
    VirtualMachine,
)
from restorereports.models.restore_session import FINAL_STATE, VM_SORT_LENGTH
from restorereports.models.virtual_machine import name_key

from .servers import servers_of

_SHORT = 255  # longest word of EM in a row of its own; the raw XML keeps it whole
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ABSENT = (None, "")

Key = tuple[int, str]  # backup server's id, UID of the restore session


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of the rows received."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0


def store(run: SyncRun, entities: Sequence[RestoreSessionEntity], *, at: datetime) -> Stored:
    """Mirror these entities; call inside the transaction that holds the run. Nothing unchanged is written."""
    _refuse_long_uids(entities)
    latest = {entity.uid: entity for entity in entities}  # a page may repeat a row: the later one counts
    digests = {uid: hashlib.sha256(entity.payload).digest() for uid, entity in latest.items()}
    sources = {
        source.uid: source
        for source in RestoreSessionSource.objects.filter(
            enterprise_manager=run.enterprise_manager_id, uid__in=list(latest)
        ).defer("payload_zlib")
    }
    fresh = [entity for uid, entity in latest.items() if uid not in sources]
    differing = [
        entity
        for uid, entity in latest.items()
        if uid in sources and (bytes(sources[uid].payload_digest) != digests[uid] or sources[uid].missing_at)
    ]
    if fresh or differing:
        keys = _keys(run.enterprise_manager, fresh, differing, sources, at=at)
        machines = _machines({(keys[e.uid][0], e.vm_name) for e in fresh + differing if e.vm_name}, at=at)
        _insert([(keys[entity.uid], entity) for entity in fresh], machines, at=at)
        sessions = _locked(keys.values())
        for entity in fresh + differing:
            session = sessions[keys[entity.uid]]
            if entity.uid in sources or session.first_seen_at != at:  # else it is what was just inserted
                _merge(session, entity, machines.get((session.backup_server_id, entity.vm_name)), at=at)
        _add_sources(run, [(sessions[keys[e.uid]], e) for e in fresh], digests, at=at)
        _change_sources(run, [(sources[e.uid], e) for e in differing], digests, at=at)
    return Stored(len(fresh), len(differing), len(entities) - len(fresh) - len(differing))


def _refuse_long_uids(entities: Iterable[RestoreSessionEntity]) -> None:
    for entity in entities:
        if not entity.uid or len(entity.uid) > _SHORT:
            raise UnexpectedAnswer(f"a restore session with an impossible UID: {entity.uid[:80]!r}")


def fields_of(entity: RestoreSessionEntity) -> dict[str, Any]:
    """The columns an entity fills. `ended_at` stays empty until Stopped: a running one's can be nonsense."""
    finished = entity.state == FINAL_STATE
    ended_at = entity.ended_at if finished else None
    return {
        "name": entity.name,
        "vm_name": entity.vm_name,
        "vm_sort": entity.vm_name.casefold()[:VM_SORT_LENGTH],
        "job_type": entity.job_type[:_SHORT],
        "state": entity.state[:_SHORT],
        "result": entity.result[:_SHORT],
        "outcome": Outcome.of(state=entity.state, result=entity.result),
        "progress": entity.progress,
        "started_at": entity.started_at,
        "ended_at": ended_at,
        "duration_ms": _milliseconds(ended_at) - _milliseconds(entity.started_at) if ended_at else None,
        "restore_point_uid": entity.restore_point_uid,
        "restore_point_name": entity.restore_point_name,
        "restored_object_ref": entity.restored_object_ref,
        "failure_message": entity.failure_message,
    }


def _milliseconds(at: datetime) -> int:
    """Cut, not rounded, as the times are shown: so that a duration equals the times beside it."""
    return (at - _EPOCH) // _MILLISECOND


def _keys(
    enterprise_manager: EnterpriseManager,
    fresh: list[RestoreSessionEntity],
    differing: list[RestoreSessionEntity],
    sources: dict[str, RestoreSessionSource],
    *,
    at: datetime,
) -> dict[str, Key]:
    """The row's key of each entity: a known one keeps its backup server, whatever its link says now."""
    servers = servers_of(enterprise_manager, fresh, at=at)
    keys = {entity.uid: (servers[entity.backup_server_uid].pk, entity.uid) for entity in fresh}
    ids = {sources[entity.uid].restore_session_id: entity.uid for entity in differing}
    known = RestoreSession.objects.filter(pk__in=list(ids)).values_list("pk", "backup_server", "uid")
    return keys | {ids[pk]: (server, uid) for pk, server, uid in known}


def _insert(
    wanted: list[tuple[Key, RestoreSessionEntity]], machines: dict[tuple[int, str], int], *, at: datetime
) -> None:
    """Add the rows that are not there yet, in the order of their keys: so that two workers cannot deadlock."""
    RestoreSession.objects.bulk_create(
        (
            RestoreSession(
                backup_server_id=key[0],
                uid=key[1],
                virtual_machine_id=machines.get((key[0], entity.vm_name)),
                first_seen_at=at,
                **fields_of(entity),
            )
            for key, entity in sorted(wanted, key=lambda pair: pair[0])
        ),
        ignore_conflicts=True,  # another Enterprise Manager has it already, or adds it at this moment
    )


def _locked(keys: Iterable[Key]) -> dict[Key, RestoreSession]:
    """The rows, held in the order of their ids until the page is written; nobody changes them meanwhile."""
    by_server: dict[int, list[str]] = {}
    for server, uid in keys:
        by_server.setdefault(server, []).append(uid)
    meant = Q()
    for server, uids in by_server.items():
        meant |= Q(backup_server=server, uid__in=uids)
    rows = RestoreSession.objects.select_for_update().filter(meant).order_by("pk")
    return {(row.backup_server_id, row.uid): row for row in rows}


def _add_sources(
    run: SyncRun,
    wanted: list[tuple[RestoreSession, RestoreSessionEntity]],
    digests: dict[str, bytes],
    *,
    at: datetime,
) -> None:
    RestoreSessionSource.objects.bulk_create(
        RestoreSessionSource(
            restore_session=session,
            enterprise_manager=run.enterprise_manager,
            uid=entity.uid,
            first_seen_at=at,
            first_seen_run=run,
            payload_digest=digests[entity.uid],
            payload_zlib=zlib.compress(entity.payload),
        )
        for session, entity in wanted
    )


def _change_sources(
    run: SyncRun,
    wanted: list[tuple[RestoreSessionSource, RestoreSessionEntity]],
    digests: dict[str, bytes],
    *,
    at: datetime,
) -> None:
    for source, entity in wanted:
        source.payload_digest = digests[entity.uid]
        source.payload_zlib = zlib.compress(entity.payload)
        source.changed_at, source.changed_run, source.missing_at = at, run, None
        source.save(
            update_fields=["payload_digest", "payload_zlib", "changed_at", "changed_run", "missing_at"]
        )


def _merge(
    session: RestoreSession, entity: RestoreSessionEntity, machine_id: int | None, *, at: datetime
) -> None:
    """Take over what changed; a finished restore session never goes back and loses nothing it had."""
    fields = fields_of(entity) | {"virtual_machine_id": machine_id}
    if session.state == FINAL_STATE:
        if entity.state != FINAL_STATE:
            return
        if session.result != "None" and entity.result == "None":
            fields |= {"result": session.result, "outcome": session.outcome}
        fields = {name: value for name, value in fields.items() if value not in _ABSENT}
    changed = [field for field, value in fields.items() if getattr(session, field) != value]
    if changed:
        for field in changed:
            setattr(session, field, fields[field])
        session.changed_at = at
        session.save(update_fields=[*changed, "changed_at"])


def _machines(wanted: Iterable[tuple[int, str]], *, at: datetime) -> dict[tuple[int, str], int]:
    """Ids of the VMs by (backup server, exact name); new names are added."""
    names = {(server, name_key(name)): name for server, name in wanted}
    known = _machine_ids(names)
    if missing := sorted(names.keys() - known.keys()):
        VirtualMachine.objects.bulk_create(
            (
                VirtualMachine(
                    backup_server_id=server, name=names[server, key], name_key=key, first_seen_at=at
                )
                for server, key in missing
            ),
            ignore_conflicts=True,
        )
        known |= _machine_ids(missing)
    return {(server, name): known[server, key] for (server, key), name in names.items()}


def _machine_ids(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    pairs = list(keys)
    rows = VirtualMachine.objects.filter(
        object_ref="",
        backup_server__in={server for server, _ in pairs},
        name_key__in={key for _, key in pairs},
    ).values_list("backup_server", "name_key", "pk")
    return {(server, key): pk for server, key, pk in rows}
