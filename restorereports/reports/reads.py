"""How each backup server of a report is read: by the Enterprise Manager that read it last."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db.models import Max, Q

from restorereports.models import BackupServerSource, CollectorOutage, Reader, Reconciliation, SyncRun


def how_read(servers: Collection[int], *, reader: Reader, as_of: datetime) -> dict[int, dict[str, Any]]:
    """By backup server `last_sync_at`, `reconciled` and `collector_silent`; of several Enterprise Managers the freshest."""
    sources = BackupServerSource.objects.filter(backup_server__in=servers, removed_at=None)
    granted = reader.granted
    if not granted.everything:
        sources = sources.filter(enterprise_manager__in=granted.managers)
    pairs = list(sources.values_list("backup_server", "enterprise_manager"))
    managers = {manager for _server, manager in pairs}
    good = SyncRun.objects.filter(
        enterprise_manager__in=managers, status=SyncRun.Status.GOOD, started_at__lte=as_of
    )
    last = dict(good.order_by().values_list("enterprise_manager").annotate(at=Max("started_at")))
    equal = _equal(managers, as_of)
    silent = _silent(managers, as_of)
    found: dict[int, dict[str, Any]] = {}
    for server, manager in pairs:
        at = last.get(manager)
        known = found.get(server)
        if known is None or (at and (known["last_sync_at"] is None or at > known["last_sync_at"])):
            found[server] = {
                "last_sync_at": at,
                "reconciled": equal.get(manager),
                "collector_silent": (manager, None) in silent or (manager, server) in silent,
            }
    return found


def _equal(managers: Collection[int], as_of: datetime) -> dict[int, bool]:
    """By Enterprise Manager whether its list and the mirror were equal when they were last compared."""
    compared = Reconciliation.objects.filter(enterprise_manager__in=managers, at__lte=as_of)
    latest = compared.order_by().values("enterprise_manager").annotate(last=Max("pk")).values("last")
    states = Reconciliation.objects.filter(pk__in=latest).values_list("enterprise_manager", "state")
    named = {Reconciliation.State.EQUAL.value: True, Reconciliation.State.DIFFERENT.value: False}
    return {manager: named[state] for manager, state in states if state in named}


def _silent(managers: Collection[int], as_of: datetime) -> set[tuple[int, int | None]]:
    """(Enterprise Manager, backup server or None for all of its own) whose collector stands still."""
    still = Q(to_at=None) | Q(to_at__gt=as_of)
    outages = CollectorOutage.objects.filter(still, enterprise_manager__in=managers, from_at__lte=as_of)
    return set(outages.values_list("enterprise_manager", "backup_server"))
