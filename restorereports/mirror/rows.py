"""A page of entities becomes rows: new ones added, changed ones updated, unchanged ones not touched."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from restorereports.em.entities import RestoreSessionEntity
from restorereports.em.failures import UnexpectedAnswer
from restorereports.models import (
    BackupServer,
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
        servers = servers_of(run.enterprise_manager, fresh + differing, at=at)
        _add(run, fresh, servers, digests, at=at)
        _change(run, differing, servers, sources, digests, at=at)
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


def _add(
    run: SyncRun,
    entities: list[RestoreSessionEntity],
    servers: dict[str, BackupServer],
    digests: dict[str, bytes],
    *,
    at: datetime,
) -> None:
    if not entities:
        return
    machines = _machines(entities, servers, at=at)
    entities = sorted(entities, key=lambda entity: (servers[entity.backup_server_uid].pk, entity.uid))
    wanted = {(servers[entity.backup_server_uid].pk, entity.uid): entity for entity in entities}
    known = _sessions(wanted)
    RestoreSession.objects.bulk_create(
        (
            RestoreSession(
                backup_server_id=key[0],
                uid=key[1],
                virtual_machine_id=machines.get((key[0], entity.vm_name)),
                first_seen_at=at,
                **fields_of(entity),
            )
            for key, entity in wanted.items()
            if key not in known
        ),
        ignore_conflicts=True,  # another Enterprise Manager may add the same one at this moment
    )
    for key, session in known.items():
        _merge(session, wanted[key], machines.get((key[0], wanted[key].vm_name)), at=at)
    sessions = _sessions(wanted)
    RestoreSessionSource.objects.bulk_create(
        RestoreSessionSource(
            restore_session=sessions[key],
            enterprise_manager=run.enterprise_manager,
            uid=entity.uid,
            first_seen_at=at,
            first_seen_run=run,
            payload_digest=digests[entity.uid],
            payload_zlib=zlib.compress(entity.payload),
        )
        for key, entity in wanted.items()
    )


def _change(
    run: SyncRun,
    entities: list[RestoreSessionEntity],
    servers: dict[str, BackupServer],
    sources: dict[str, RestoreSessionSource],
    digests: dict[str, bytes],
    *,
    at: datetime,
) -> None:
    if not entities:
        return
    machines = _machines(entities, servers, at=at)
    sessions = RestoreSession.objects.in_bulk([sources[entity.uid].restore_session_id for entity in entities])
    for entity in entities:
        source = sources[entity.uid]
        session = sessions[source.restore_session_id]
        _merge(session, entity, machines.get((servers[entity.backup_server_uid].pk, entity.vm_name)), at=at)
        source.payload_digest = digests[entity.uid]
        source.payload_zlib = zlib.compress(entity.payload)
        source.changed_at, source.changed_run, source.missing_at = at, run, None
        source.save(
            update_fields=["payload_digest", "payload_zlib", "changed_at", "changed_run", "missing_at"]
        )


def _merge(
    session: RestoreSession, entity: RestoreSessionEntity, machine_id: int | None, *, at: datetime
) -> None:
    """Take over what changed; a finished restore session never goes back to an earlier state."""
    fields = fields_of(entity) | {"virtual_machine_id": machine_id}
    if session.state == FINAL_STATE:
        if entity.state != FINAL_STATE:
            final = {"state", "result", "outcome", "progress", "ended_at", "duration_ms"}
        elif session.result != "None" and entity.result == "None":
            final = {"result", "outcome"}
        else:
            final = set()
        for field in final:
            fields.pop(field)
        if fields.get("ended_at", session.ended_at) is None:
            fields |= {"ended_at": session.ended_at, "duration_ms": session.duration_ms}
    changed = [field for field, value in fields.items() if getattr(session, field) != value]
    if changed:
        for field in changed:
            setattr(session, field, fields[field])
        session.changed_at = at
        session.save(update_fields=[*changed, "changed_at"])


def _sessions(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], RestoreSession]:
    by_server: dict[int, list[str]] = {}
    for server, uid in keys:
        by_server.setdefault(server, []).append(uid)
    return {
        (server, session.uid): session
        for server, uids in by_server.items()
        for session in RestoreSession.objects.filter(backup_server=server, uid__in=uids)
    }


def _machines(
    entities: Iterable[RestoreSessionEntity], servers: dict[str, BackupServer], *, at: datetime
) -> dict[tuple[int, str], int]:
    """Ids of the VMs by (backup server, exact name); new names are added."""
    wanted = {
        (servers[entity.backup_server_uid].pk, name_key(entity.vm_name)): entity.vm_name
        for entity in entities
        if entity.vm_name
    }
    known = _machine_ids(wanted)
    if missing := sorted(wanted.keys() - known.keys()):
        VirtualMachine.objects.bulk_create(
            (
                VirtualMachine(
                    backup_server_id=server, name=wanted[server, key], name_key=key, first_seen_at=at
                )
                for server, key in missing
            ),
            ignore_conflicts=True,
        )
        known |= _machine_ids(missing)
    return {(server, wanted[server, key]): known[server, key] for server, key in wanted}


def _machine_ids(keys: Iterable[tuple[int, str]]) -> dict[tuple[int, str], int]:
    pairs = list(keys)
    rows = VirtualMachine.objects.filter(
        object_ref="",
        backup_server__in={server for server, _ in pairs},
        name_key__in={key for _, key in pairs},
    ).values_list("backup_server", "name_key", "pk")
    return {(server, key): pk for server, key, pk in rows}
