"""A page of entities becomes rows: new ones added, changed ones updated, unchanged ones not touched."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from restorereports.em.entities import RestoreSessionEntity
from restorereports.em.failures import UnexpectedAnswer
from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    RestoreSession,
    RestoreSessionSource,
    SyncRun,
)
from restorereports.models.restore_session import FINAL_STATE
from restorereports.policies.class_rules import classifier, latest_rules

from .changes import Difference, Words, record_change
from .columns import DERIVED, SHORT, fields_of
from .identity import machine_ids
from .servers import servers_of

_ABSENT = (None, "")

Key = tuple[int, str]  # backup server's id, UID of the restore session


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of the rows received; `sources`: ids of the sources that were seen."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    sources: Sequence[int] = ()


def store(run: SyncRun, entities: Sequence[RestoreSessionEntity], *, at: datetime) -> Stored:
    """Mirror these entities; call inside the transaction that holds the run. Nothing unchanged is written."""
    _refuse_long_uids(entities)
    latest = {entity.uid: entity for entity in entities}  # a page may repeat a row: the later one counts
    digests = {uid: hashlib.sha256(entity.digest_basis).digest() for uid, entity in latest.items()}
    sources = {
        source.uid: source
        for source in RestoreSessionSource.objects.filter(
            enterprise_manager=run.enterprise_manager_id, uid__in=list(latest)
        ).defer("payload_zlib")
    }
    fresh = [entity for uid, entity in latest.items() if uid not in sources]
    differing = _really_differing(
        [
            (sources[uid], entity)
            for uid, entity in latest.items()
            if uid in sources
            and (bytes(sources[uid].payload_digest) != digests[uid] or sources[uid].missing_at)
        ],
        digests,
    )
    added: list[RestoreSessionSource] = []
    if fresh or differing:
        altered = [change.entity for change in differing]
        keys = _keys(run.enterprise_manager, fresh, altered, sources, at=at)
        machines = machine_ids({(keys[e.uid][0], e.vm_name) for e in fresh + altered if e.vm_name}, at=at)
        _insert([(keys[entity.uid], entity) for entity in fresh], machines, at=at)
        sessions = _locked(keys.values())
        for entity in fresh:
            session = sessions[keys[entity.uid]]
            if session.first_seen_at != at:  # else it is what was just inserted
                merged = _merge(session, entity, machines, at=at)
                recorded = {name: pair for name, pair in merged.taken.items() if name not in DERIVED}
                if recorded.keys() - {"progress"}:  # polling must not grow the record
                    record_change(run, session, recorded, {}, replaced=b"", at=at)
        for change in differing:
            session = sessions[keys[change.entity.uid]]
            merged = _merge(session, change.entity, machines, at=at)
            if change.is_worth_a_record:
                record_change(run, session, change.words(), merged.kept, replaced=change.before, at=at)
        added = _add_sources(run, [(sessions[keys[e.uid]], e) for e in fresh], digests, at=at)
        _change_sources(run, differing, digests, at=at)
    return Stored(
        new=len(fresh),
        changed=len(differing),
        unchanged=len(entities) - len(fresh) - len(differing),
        sources=[source.pk for source in (*sources.values(), *added)],
    )


def _really_differing(
    candidates: list[tuple[RestoreSessionSource, RestoreSessionEntity]], digests: dict[str, bytes]
) -> list[Difference]:
    """With EM's words before; a digest made by an older rule is renewed and is no difference."""
    if not candidates:
        return []
    ids = [source.pk for source, _ in candidates]
    packed = dict(RestoreSessionSource.objects.filter(pk__in=ids).values_list("pk", "payload_zlib"))
    found = []
    for source, entity in candidates:
        change = Difference(source, entity, before=zlib.decompress(bytes(packed[source.pk])))
        if change.is_none:
            RestoreSessionSource.objects.filter(pk=source.pk).update(payload_digest=digests[entity.uid])
        else:
            found.append(change)
    return found


def _refuse_long_uids(entities: Iterable[RestoreSessionEntity]) -> None:
    for entity in entities:
        if not entity.uid or len(entity.uid) > SHORT:
            raise UnexpectedAnswer(f"a restore session with an impossible UID: {entity.uid[:80]!r}")


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
    class_of = _class_of({key[0] for key, _entity in wanted})
    RestoreSession.objects.bulk_create(
        (
            RestoreSession(
                backup_server_id=key[0],
                uid=key[1],
                virtual_machine_id=machines.get((key[0], entity.vm_name)),
                first_seen_at=at,
                session_class=class_of(key[0], entity),
                **fields_of(entity),
            )
            for key, entity in sorted(wanted, key=lambda pair: pair[0])
        ),
        ignore_conflicts=True,  # another Enterprise Manager has it already, or adds it at this moment
    )


def _class_of(servers: Collection[int]) -> Callable[[int, RestoreSessionEntity], str]:
    """The class that the latest rules give a new restore session; they are not asked again for one that is there."""
    rules = latest_rules() if servers else ()
    names = dict(BackupServer.objects.filter(pk__in=servers).values_list("pk", "name")) if rules else {}
    classify = classifier(rules)
    return lambda server, entity: classify(entity.vm_name, names.get(server, ""), entity.started_at)


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
) -> list[RestoreSessionSource]:
    return RestoreSessionSource.objects.bulk_create(
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
    run: SyncRun, changes: list[Difference], digests: dict[str, bytes], *, at: datetime
) -> None:
    for change in changes:
        source, entity = change.source, change.entity
        source.payload_digest = digests[entity.uid]
        source.payload_zlib = zlib.compress(entity.payload)
        source.changed_at, source.changed_run = at, run
        source.missing_at, source.missing_run = None, None
        source.save(
            update_fields=[
                *("payload_digest", "payload_zlib", "changed_at", "changed_run"),
                *("missing_at", "missing_run"),
            ]
        )


@dataclass(frozen=True, slots=True)
class Merged:
    """Columns as [before, after]: what the row took over, and where it did not follow EM."""

    taken: Words
    kept: Words


def _merge(
    session: RestoreSession,
    entity: RestoreSessionEntity,
    machines: dict[tuple[int, str], int],
    *,
    at: datetime,
) -> Merged:
    """Take over what changed; a finished restore session never goes back and loses nothing it had."""
    said = fields_of(entity)
    fields = dict(said)
    by_point = session.virtual_machine_id is not None and session.restore_point_uid
    if not by_point:  # else its restore point says which VM it is, whatever name it bears
        fields["virtual_machine_id"] = machines.get((session.backup_server_id, entity.vm_name))
    if session.state == FINAL_STATE:
        fields = {} if entity.state != FINAL_STATE else _only_gains(session, entity, fields)
    taken = {name: [getattr(session, name), value] for name, value in fields.items()}
    taken = {name: pair for name, pair in taken.items() if pair[0] != pair[1]}
    if taken:
        for name, (_, value) in taken.items():
            setattr(session, name, value)
        session.changed_at = at
        session.save(update_fields=[*taken, "changed_at"])
    kept = {
        name: [getattr(session, name), value]
        for name, value in said.items()
        if name not in DERIVED and name != "progress" and getattr(session, name) != value
    }
    return Merged(taken, kept)


def _only_gains(
    session: RestoreSession, entity: RestoreSessionEntity, fields: dict[str, Any]
) -> dict[str, Any]:
    """What a finished row may take over from a finished entity: no value becomes empty, no result is lost."""
    if session.result != "None" and entity.result == "None":
        fields = fields | {"result": session.result, "outcome": session.outcome}
    return {name: value for name, value in fields.items() if value not in _ABSENT}
