"""Compare the mirror with Enterprise Manager on a way of its own: EM's list of 30 days, UID by UID, and its count.

Never the pages just read: those prove only that we stored what we read. EM's pages: "GET /restoreSessions",
"Page Size and Page" (PagesCount at pageSize=1 is the only total that EM gives).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.failures import Forbidden, ServerFailing, UnexpectedAnswer, Unreachable
from restorereports.models import BackupServerSource, Reconciliation, RestoreSessionSource, SyncRun
from restorereports.models.enterprise_manager import LISTED_WINDOW
from restorereports.models.reconciliation import UIDS_KEPT

from .lock import still_ours
from .missing import Seen
from .plain_words import in_plain_words
from .unfinished import Asking, Told

ASK_LIMIT = 200
EDGE = timedelta(hours=2)  # at the old end of EM's list rows leave while we compare, by EM's clock
CHUNK = 5000
_ABSENT = object()
_PREFIX = "urn:veeam:RestoreSession:"
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Servers = dict[int | None, list[int]]  # backup server's id -> [listed, held]


@dataclass(slots=True)
class Comparison:
    """What stands on either side. `only_em` and `only_mirror` hold at most UIDS_KEPT UIDs each."""

    since_at: datetime
    listed: int = 0
    held: int = 0
    servers: Servers = field(default_factory=dict)
    only_em: list[str] = field(default_factory=list)
    only_em_count: int = 0
    only_mirror: list[str] = field(default_factory=list)
    only_mirror_count: int = 0
    counted: int | None = None
    mirrored: int = 0

    def count(self, server: int | None, side: int) -> None:
        """One more on a side (0: listed, 1: held) of this backup server."""
        self.servers.setdefault(server, [0, 0])[side] += 1

    @property
    def equal(self) -> bool:
        same_count = self.counted is None or self.counted == self.mirrored
        return not self.only_em_count and not self.only_mirror_count and same_count

    @property
    def lacks_more_than_listed(self) -> bool:
        """EM counts rows that are neither here nor in its list: older than 30 days, they come with the pages only."""
        return self.counted is not None and self.counted > self.mirrored + self.only_em_count


def reconcile(
    run: SyncRun, client: EnterpriseManagerClient, seen: Seen, *, read_again: Callable[[], object]
) -> Reconciliation:
    """Compare, ask after what EM lists and we lack, compare once more, and record what is left.

    Not being allowed to, or one answer that EM cannot give, is a result of its own and no failure of the run.
    """
    retried = False
    try:
        found = compare(run, client)
        if not found.equal:
            retried = True
            if found.only_em_count > ASK_LIMIT or found.lacks_more_than_listed:
                read_again()
            _mend(run, client, seen, found)
            found = compare(run, client)
            _mend(run, client, seen, found)
    except Forbidden:
        return _record(run, Reconciliation.State.NOT_READABLE, None, retried=retried)
    except (ServerFailing, UnexpectedAnswer, Unreachable) as failure:
        words = in_plain_words(failure)
        state = Reconciliation.State.FAILED
        return _record(run, state, None, retried=retried, error=f"{words.cause} {words.remedy}")
    state = Reconciliation.State.EQUAL if found.equal else Reconciliation.State.DIFFERENT
    return _record(run, state, found, retried=retried)


def compare(run: SyncRun, client: EnterpriseManagerClient) -> Comparison:
    """One comparison as of now. Raises EnterpriseManagerError, RunTakenOver.

    EM's side is held as 16 bytes a row, so that a million fit; the mirror's side is read in chunks.
    """
    ahead = timedelta(seconds=max(run.clock_skew_seconds or 0.0, 0.0))
    found = Comparison(since_at=timezone.now() + ahead - LISTED_WINDOW + EDGE)
    homes = {
        source.uid.casefold(): source.backup_server_id
        for source in BackupServerSource.objects.filter(enterprise_manager=run.enterprise_manager_id)
    }
    before = client.count_restore_sessions(since=None)
    listed: dict[bytes, int | None] = {}
    for row in client.listed_restore_sessions():
        key, home = _key(row.uid), homes.get(row.backup_server_uid.casefold())
        if key not in listed:
            listed[key] = home
            found.listed += 1
            found.count(home, 0)
    _strike_known(run, listed, found)
    found.only_em_count = len(listed)
    found.only_em = [_uid(key) for key in itertools.islice(listed, UIDS_KEPT)]
    found.mirrored = _shown(run).count()
    after = client.count_restore_sessions(since=None)
    if before is not None and after is not None:  # rows that come or go meanwhile are no difference
        found.counted = min(max(found.mirrored, min(before, after)), max(before, after))
    return found


def _strike_known(run: SyncRun, listed: dict[bytes, int | None], found: Comparison) -> None:
    """Strike from `listed` what the mirror holds; note what only the mirror holds within EM's 30 days."""
    away = BackupServerSource.objects.filter(enterprise_manager=run.enterprise_manager_id)
    rows = (
        RestoreSessionSource.objects.filter(
            enterprise_manager=run.enterprise_manager_id,
            restore_session__started_at__gte=found.since_at - 2 * EDGE,
        )
        .exclude(restore_session__backup_server__in=away.exclude(removed_at=None).values("backup_server"))
        .values_list("uid", "restore_session__backup_server", "restore_session__started_at")
    )
    for uid, home, started_at in rows.iterator(CHUNK):
        known = listed.pop(_key(uid), _ABSENT) is not _ABSENT
        if known or started_at >= found.since_at:
            found.held += 1
            found.count(home, 1)
        if not known and started_at >= found.since_at:
            found.only_mirror_count += 1
            if len(found.only_mirror) < UIDS_KEPT:
                found.only_mirror.append(uid)
    still_ours(run)
    _strike_older(run, listed, found)


def _strike_older(run: SyncRun, listed: dict[bytes, int | None], found: Comparison) -> None:
    """What is left may be older than 30 days: some Enterprise Managers list more."""
    sources = RestoreSessionSource.objects.filter(enterprise_manager=run.enterprise_manager_id)
    rest = iter(list(listed))
    while keys := list(itertools.islice(rest, 500)):
        known = sources.filter(uid__in=[_uid(key) for key in keys])
        for uid, home in known.values_list("uid", "restore_session__backup_server"):
            del listed[_key(uid)]
            found.held += 1
            found.count(home, 1)


def _mend(run: SyncRun, client: EnterpriseManagerClient, seen: Seen, found: Comparison) -> None:
    """Ask by id after what EM lists and the mirror lacks: it may have come while we read."""
    asking = Asking(run, client, seen)
    for uid in found.only_em[:ASK_LIMIT]:
        if asking.ask(uid) is Told.STORED:
            found.only_em.remove(uid)
            found.only_em_count -= 1
            found.held += 1
            server = RestoreSessionSource.objects.filter(
                enterprise_manager=run.enterprise_manager_id, uid=uid
            ).values_list("restore_session__backup_server", flat=True)
            found.count(server.first(), 1)
    found.mirrored = _shown(run).count()


def _shown(run: SyncRun) -> QuerySet[RestoreSessionSource]:
    return RestoreSessionSource.objects.filter(enterprise_manager=run.enterprise_manager_id, missing_at=None)


def _record(
    run: SyncRun, state: str, found: Comparison | None, *, retried: bool, error: str = ""
) -> Reconciliation:
    found = found or Comparison(since_at=timezone.now() - LISTED_WINDOW)
    compared = state in (Reconciliation.State.EQUAL, Reconciliation.State.DIFFERENT)
    servers = sorted(found.servers.items(), key=lambda pair: pair[0] or 0)
    return Reconciliation.objects.create(
        run=run,
        enterprise_manager=run.enterprise_manager,
        at=timezone.now(),
        state=state,
        retried=retried,
        since_at=found.since_at,
        listed=found.listed if compared else None,
        held=found.held if compared else None,
        counted=found.counted,
        mirrored=found.mirrored if compared else None,
        servers=[[server, *pair] for server, pair in servers],
        only_em_count=found.only_em_count,
        only_em=found.only_em,
        only_mirror_count=found.only_mirror_count,
        only_mirror=found.only_mirror,
        error=error,
    )


def _key(uid: str) -> bytes:
    """16 bytes for the usual UID, else the text itself."""
    guid = uid.removeprefix(_PREFIX)
    return (
        bytes.fromhex(guid.replace("-", ""))
        if uid.startswith(_PREFIX) and _GUID.fullmatch(guid)
        else uid.encode()
    )


def _uid(key: bytes) -> str:
    return f"{_PREFIX}{UUID(bytes=key)}" if len(key) == 16 else key.decode()
