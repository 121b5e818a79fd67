"""Which real backup server an Enterprise Manager means: by UID, or by restore sessions both show."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from restorereports.em.entities import BackupServerEntity, RestoreSessionEntity
from restorereports.models import BackupServer, BackupServerSource, EnterpriseManager, RestoreSession


def servers_of(
    enterprise_manager: EnterpriseManager, entities: Iterable[RestoreSessionEntity], *, at: datetime
) -> dict[str, BackupServer]:
    """The backup server of each server UID in these entities; unknown ones are added."""
    names: dict[str, str] = {}
    sessions: dict[str, list[str]] = {}
    for entity in entities:
        names[entity.backup_server_uid] = entity.backup_server_name
        sessions.setdefault(entity.backup_server_uid, []).append(entity.uid)
    known = _known(enterprise_manager, names)
    for uid in sorted(names.keys() - known.keys()):  # always in one order: two workers cannot deadlock
        known[uid] = _add(enterprise_manager, uid, names[uid], shows=sessions[uid], at=at)
    return known


def _known(enterprise_manager: EnterpriseManager, uids: Iterable[str]) -> dict[str, BackupServer]:
    sources = BackupServerSource.objects.filter(enterprise_manager=enterprise_manager, uid__in=list(uids))
    return {source.uid: source.backup_server for source in sources.select_related("backup_server")}


def _add(
    enterprise_manager: EnterpriseManager, uid: str, name: str, *, shows: list[str], at: datetime
) -> BackupServer:
    real_uid = uid or f"not named by Enterprise Manager {enterprise_manager.pk}"
    server = BackupServer.objects.filter(uid=real_uid).first() or _showing_the_same(shows)
    if server is None:
        server, _ = BackupServer.objects.get_or_create(
            uid=real_uid, defaults={"name": name, "first_seen_at": at}
        )
    BackupServerSource.objects.get_or_create(
        enterprise_manager=enterprise_manager,
        uid=uid,
        defaults={"backup_server": server, "name": name, "first_seen_at": at},
    )
    return server


def _showing_the_same(session_uids: list[str]) -> BackupServer | None:
    """The one server that already has restore sessions with these UIDs; two candidates stay apart."""
    found = (
        RestoreSession.objects.filter(uid__in=session_uids).values_list("backup_server", flat=True).distinct()
    )
    candidates = list(found[:2])
    return BackupServer.objects.get(pk=candidates[0]) if len(candidates) == 1 else None


def record_servers(
    enterprise_manager: EnterpriseManager,
    listed: Sequence[BackupServerEntity],
    *,
    shown: Collection[str],
    at: datetime,
) -> list[int]:
    """Names, versions and descriptions as EM's own list of backup servers has them; who left it is marked removed.

    After the pages, so that a server was already recognised by its restore sessions. A shared row changes only
    when this Enterprise Manager's own words change: two of them with different labels do not take turns. What the pages of
    this run have just `shown` (UIDs) is not removed, whatever the list says. Gives
    the ids of the sources that are listed again after they had been removed; a full run takes that mark away.
    """
    uids = {entity.uid for entity in listed}
    sources = enterprise_manager.backup_server_sources.exclude(uid="")
    for source in sources.exclude(uid__in=uids | set(shown)).filter(removed_at=None).order_by("pk"):
        source.removed_at = at
        source.save(update_fields=["removed_at"])
    for entity in sorted(listed, key=lambda entity: entity.uid):
        if not _source(enterprise_manager, entity.uid):
            _add(enterprise_manager, entity.uid, entity.name, shows=[], at=at)
        facts = {"name": entity.name, "version": entity.version[:255], "description": entity.description}
        _take_over(_source(enterprise_manager, entity.uid), facts)
    return list(
        sources.filter(uid__in=uids).exclude(removed_at=None).order_by("pk").values_list("pk", flat=True)
    )


def record_names(enterprise_manager: EnterpriseManager, names: Mapping[str, str]) -> None:
    """Names as the restore sessions' links have them, for accounts that may not list backup servers."""
    for uid in sorted(uid for uid, name in names.items() if name):
        _take_over(_source(enterprise_manager, uid), {"name": names[uid]})


def _source(enterprise_manager: EnterpriseManager, uid: str) -> BackupServerSource | None:
    sources = BackupServerSource.objects.filter(enterprise_manager=enterprise_manager, uid=uid)
    return sources.select_related("backup_server").first()


def _take_over(source: BackupServerSource | None, facts: Mapping[str, str]) -> None:
    if source is None:
        return
    changed = {field: value for field, value in facts.items() if getattr(source, field) != value}
    if changed:
        for row in (source, source.backup_server):
            for field, value in changed.items():
                setattr(row, field, value)
            row.save(update_fields=list(changed))
