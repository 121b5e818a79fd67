"""One sync run: log on, read page by page, store, ask after the unfinished, log off, close the run.

A full run besides marks what EM no longer shows, compares by a way of its own, and reads what is protected.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.entities import RestoreSessionEntity
from restorereports.em.failures import (
    CertificateChanged,
    EnterpriseManagerError,
    Forbidden,
    LogonRefused,
    ServerFailing,
    Stopped,
    UnexpectedAnswer,
    Unreachable,
)
from restorereports.models import EnterpriseManager, SyncRun
from restorereports.models.credential import CredentialUnreadable
from restorereports.models.enterprise_manager import LONGEST_WINDOW
from restorereports.models.restore_session import FINAL_STATE
from restorereports.runlog import log_as

from .collectors import Collecting, read_collectors, record_outages
from .connection import connection_to
from .gaps import after_failed, after_full, after_removal, moment_of, read_to
from .inventory import read_inventory
from .lock import Heartbeat, RunTakenOver, claim, still_ours
from .missing import Seen, mark_missing, not_seen
from .plain_words import in_plain_words
from .receive import receive
from .reconcile import reconcile
from .servers import record_names, record_servers
from .unfinished import ASK_BY_ID_LIMIT, Asking, Told, ask_unfinished

logger = logging.getLogger(__name__)

PAGE_SIZE = 500
CLOSE_TRIES, CLOSE_PAUSE = 6, 5.0  # a database that restarts is back within half a minute

Progress = Callable[[SyncRun], None]


def sync(
    enterprise_manager: EnterpriseManager,
    *,
    full: bool = False,
    trigger: str = SyncRun.Trigger.SCHEDULE,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: Progress = lambda run: None,
) -> SyncRun:
    """Copy what this Enterprise Manager shows; the closed run says how it went.

    Without a good run before, with `full`, or once a day at its time everything EM gives is read, else what was
    created since the last good run less the overlap. CannotStart when it is paused or another process is at it. Failures
    of EM or the network close the run and are not raised; a refused log-on or a changed certificate pauses the EM.
    """
    enterprise_manager = EnterpriseManager.objects.get(pk=enterprise_manager.pk)  # as it is now
    now = timezone.now()
    run = claim(
        enterprise_manager, full=full or _full_is_due(enterprise_manager, now), trigger=trigger, at=now
    )
    with log_as(f"sync-{run.pk}"), Heartbeat(run) as heart:
        logger.info("sync of %s starts", enterprise_manager.name)
        try:
            found = Found()
            end = _attempt(
                run, found, should_stop=lambda: should_stop() or heart.lost, on_progress=on_progress
            )
            _close(run, end, found)
        except RunTakenOver:
            logger.error("another process closed this run; nothing more was written")
            run.refresh_from_db()
        logger.info(
            "sync %s: seen %d, new %d, changed %d, unchanged %d",
            run.status,
            run.seen,
            run.new,
            run.changed,
            run.unchanged,
        )
    on_progress(run)
    return run


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended, in words for people; `detail` is for the log and the run's page."""

    status: str
    kind: str = ""
    error: str = ""
    detail: str = ""


def _attempt(run: SyncRun, found: Found, *, should_stop: Callable[[], bool], on_progress: Progress) -> End:
    """Copy; every failure becomes an end, except that the run was taken over."""
    try:
        _copy(run, found, should_stop=should_stop, on_progress=on_progress)
    except RunTakenOver:
        raise
    except Stopped:
        return End(SyncRun.Status.STOPPED, error=_("Stopped from outside; the next sync goes on."))
    except EnterpriseManagerError as failure:
        logger.warning("sync failed: %s", failure)
        _pause_if_needed(run.enterprise_manager, failure)
        words = in_plain_words(failure)
        return End(SyncRun.Status.FAILED, words.kind, f"{words.cause} {words.remedy}", str(failure))
    except CredentialUnreadable as failure:
        return End(SyncRun.Status.FAILED, "credential", str(failure))
    except DatabaseError as failure:
        logger.exception("the database failed during the sync")
        error = _(
            "The database could not be read or written. Look at its disk and its log; the next sync goes on."
        )
        return End(SyncRun.Status.FAILED, "database", error, str(failure))
    except Exception as failure:
        logger.exception("the sync failed by a fault of its own")
        error = _("An internal fault ended the sync; the log has the details under sync-%(run)d.")
        return End(SyncRun.Status.FAILED, "internal", error % {"run": run.pk}, type(failure).__name__)
    return End(SyncRun.Status.GOOD)


@dataclass(slots=True)
class Found:
    """What a full run learnt beside the rows, for the window and the gaps."""

    seen: Seen = field(default_factory=Seen)
    oldest_proof: datetime | None = None  # the oldest shown that says how far back EM keeps
    newest_gone: datetime | None = None  # the youngest that left EM at the old end of what it shows
    returned: Collection[int] = ()  # sources of backup servers that are listed again

    def note_proof(self, entities: Iterable[RestoreSessionEntity], *, at: datetime) -> None:
        """What never ended, or is older than EM can be set to keep, may stay for ever: it proves no window."""
        kept = [
            entity.started_at
            for entity in entities
            if entity.state == FINAL_STATE and entity.started_at > at - LONGEST_WINDOW
        ]
        self.oldest_proof = min([*kept, *([self.oldest_proof] if self.oldest_proof else [])], default=None)


def _copy(run: SyncRun, found: Found, *, should_stop: Callable[[], bool], on_progress: Progress) -> None:
    enterprise_manager = run.enterprise_manager
    run.window_from_at = None if run.kind == SyncRun.Kind.FULL else window_from(enterprise_manager)
    if run.window_from_at is None:
        run.kind = SyncRun.Kind.FULL
    with EnterpriseManagerClient(connection_to(enterprise_manager), should_stop=should_stop) as client:
        collecting = _record_reader(run, client)
        names = _read_pages(run, client, found, on_progress)
        _record_servers(run, client, names, found)
        if collecting:
            record_outages(run, collecting)
        if run.kind == SyncRun.Kind.FULL:
            _mark_missing(run, client, found)
        ask_unfinished(run, client, found.seen)
        if run.kind == SyncRun.Kind.FULL:
            again = partial(_read_pages, run, client, found, on_progress)
            reconcile(run, client, found.seen, read_again=again)
            read_inventory(run, client, at=timezone.now(), should_stop=should_stop)


def _read_pages(
    run: SyncRun, client: EnterpriseManagerClient, found: Found, on_progress: Progress
) -> dict[str, str]:
    """Store page by page; gives the backup servers' names by UID as the rows' links have them."""
    names: dict[str, str] = {}
    for page in client.restore_session_pages(since=run.window_from_at, page_size=PAGE_SIZE):
        run.page, run.pages = page.number, page.pages_count
        found.seen.add(receive(run, page.items).sources)
        found.note_proof(page.items, at=run.started_at)
        names |= {entity.backup_server_uid: entity.backup_server_name for entity in page.items}
        on_progress(run)
    return names


def _mark_missing(run: SyncRun, client: EnterpriseManagerClient, found: Found) -> None:
    """What EM did not show: too old for it, or gone. Asked for by id first where it should be there, or never ended."""
    counted = client.count_restore_sessions(since=None)
    if counted is not None and counted > found.seen.count + max(ASK_BY_ID_LIMIT, found.seen.count // 10):
        logger.warning("EM counts %d restore sessions and showed %d", counted, found.seen.count)
        return  # the pages were not whole: nothing may count as gone, and the comparison shows the difference
    away = set(
        run.enterprise_manager.backup_server_sources.exclude(removed_at=None).values_list(
            "backup_server", flat=True
        )
    )
    asked, asking = 0, Asking(run, client, found.seen)
    for sources in not_seen(run, found.seen):
        gone = []
        for source in sources:
            session = source.restore_session
            removed = session.backup_server_id in away
            inside = found.oldest_proof is not None and session.started_at >= found.oldest_proof
            if asked < ASK_BY_ID_LIMIT and not removed and (inside or session.state != FINAL_STATE):
                asked += 1
                try:
                    told = asking.ask(source.uid)
                except (ServerFailing, UnexpectedAnswer):
                    return  # what EM cannot tell today is decided by the next full run
                if told is not Told.GONE:
                    continue
            gone.append(source)
            if not inside and not removed:
                found.newest_gone = max(found.newest_gone or session.started_at, session.started_at)
        if gone:
            mark_missing(run, gone, at=timezone.now())


def _full_is_due(enterprise_manager: EnterpriseManager, now: datetime) -> bool:
    """Once a day at its time: what a late collector of EM brings behind the overlap is found by reading everything.

    A full run that lies ahead was made before the clock was set back and counts as none.
    """
    full = enterprise_manager.runs.filter(status=SyncRun.Status.GOOD, kind=SyncRun.Kind.FULL).first()
    return full is None or not enterprise_manager.full_sync_before(now) <= full.started_at <= now


def window_from(enterprise_manager: EnterpriseManager) -> datetime | None:
    """From which creation time on an incremental run reads; None = everything (no good run yet).

    The older of the newest creation time received and the last good start, less the overlap: so a collector
    of EM that stood still for days, or a backup server whose clock runs ahead, makes no row be missed.
    """
    good = enterprise_manager.runs.filter(status=SyncRun.Status.GOOD).first()
    if good is None:
        return None
    started_at = moment_of(good)
    newest = enterprise_manager.newest_received_at or started_at
    return min(newest, started_at) - timedelta(hours=settings.SYNC_OVERLAP_HOURS)


def _record_reader(run: SyncRun, client: EnterpriseManagerClient) -> Collecting | None:
    """Who reads, under which scope and clocks, and what EM itself collected; full runs find the role out."""
    run.account = client.username or run.enterprise_manager.username
    run.restore_scope = run.enterprise_manager.restore_scope
    run.api_versions = ", ".join(client.api_versions)[:200]
    run.clock_skew_seconds = client.clock_skew.total_seconds() if client.clock_skew is not None else None
    run.database_skew_seconds = _database_skew()
    before = (
        run.enterprise_manager.runs.filter(status=SyncRun.Status.GOOD, account=run.account)
        .exclude(role="")
        .first()
    )
    run.role = before.role if before else ""
    if run.kind == SyncRun.Kind.FULL or not before:
        with contextlib.suppress(
            ServerFailing, UnexpectedAnswer, Unreachable
        ):  # a fact, no condition of the sync
            run.role = client.infer_role()
    collecting = read_collectors(run, client)
    still_ours(run, **{name: getattr(run, name) for name in _READER})
    return collecting


_READER = (
    *("kind", "window_from_at", "account", "role", "restore_scope", "api_versions"),
    *("clock_skew_seconds", "database_skew_seconds", "collector", "collected_at"),
)


def _database_skew() -> float:
    """Seconds by which the database's clock is ahead of ours."""
    asked_at = timezone.now()
    now: datetime = EnterpriseManager.objects.values_list(Now(), flat=True)[0]
    return (now - asked_at).total_seconds()


def _record_servers(
    run: SyncRun, client: EnterpriseManagerClient, names: dict[str, str], found: Found
) -> None:
    """EM's list of backup servers; where it cannot be read, the names in the restore sessions' links."""
    try:
        listed = client.backup_servers()
    except (Forbidden, ServerFailing, UnexpectedAnswer, Unreachable):
        listed = None
    with transaction.atomic():
        if listed is None:
            record_names(run.enterprise_manager, names)
        else:
            at = timezone.now()
            found.returned = record_servers(run.enterprise_manager, listed, shown=names, at=at)
            after_removal(run, at=at)


def _pause_if_needed(enterprise_manager: EnterpriseManager, failure: EnterpriseManagerError) -> None:
    """Stop syncing until a person acts: repeating a refused log-on would lock the service account.

    Not if that person was faster: new credentials or a new pin are tried.
    """
    if isinstance(failure, LogonRefused):
        because, offered_pem = EnterpriseManager.Pause.LOGON_REFUSED, ""
    elif isinstance(failure, CertificateChanged):
        because, offered_pem = (
            EnterpriseManager.Pause.CERTIFICATE_CHANGED,
            failure.facts.pem if failure.facts else "",
        )
    else:
        return
    EnterpriseManager.objects.filter(
        pk=enterprise_manager.pk,
        credentials_changed_at=enterprise_manager.credentials_changed_at,
        pin_sha256=enterprise_manager.pin_sha256,
    ).update(paused_at=timezone.now(), paused_because=because, offered_pem=offered_pem)


def _close(run: SyncRun, end: End, found: Found) -> None:
    """Write how the run ended; waits for a database that restarts. DatabaseError when it stays away."""
    run.status, run.ended_at = end.status, timezone.now()
    run.error_kind, run.error, run.error_detail = end.kind, end.error, end.detail[:2000]
    for left in reversed(range(CLOSE_TRIES)):
        try:
            _write_end(run, found)
        except DatabaseError:
            if not left:
                raise
            logger.warning("the end of the run could not be written; trying again", exc_info=True)
            connection.close()
            time.sleep(CLOSE_PAUSE)
        else:
            return


def _write_end(run: SyncRun, found: Found) -> None:
    with transaction.atomic():
        still_ours(run)
        run.heartbeat_at = timezone.now()
        if run.status == SyncRun.Status.GOOD:
            run.read_to_at = read_to(run)
            if run.kind == SyncRun.Kind.FULL:
                after_full(
                    run,
                    oldest_shown=found.oldest_proof,
                    newest_gone=found.newest_gone,
                    returned=found.returned,
                )
        else:
            after_failed(run)
        run.save()
        if run.status == SyncRun.Status.GOOD and run.oldest_at:
            _advance_mark(run)


def _advance_mark(run: SyncRun) -> None:
    """Only a run that read every page moves the marks from which the next one starts."""
    enterprise_manager = EnterpriseManager.objects.get(pk=run.enterprise_manager_id)
    oldest = min(at for at in (enterprise_manager.oldest_received_at, run.oldest_at) if at)
    newest = max(at for at in (enterprise_manager.newest_received_at, run.newest_at) if at)
    if (oldest, newest) != (enterprise_manager.oldest_received_at, enterprise_manager.newest_received_at):
        enterprise_manager.oldest_received_at, enterprise_manager.newest_received_at = oldest, newest
        enterprise_manager.save(update_fields=["oldest_received_at", "newest_received_at"])
