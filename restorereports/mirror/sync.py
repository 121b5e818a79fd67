"""One sync run: log on, read page by page, store, ask after the unfinished, log off, close the run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
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
)
from restorereports.models import EnterpriseManager, Outcome, RestoreSessionSource, SyncRun
from restorereports.models.credential import CredentialUnreadable
from restorereports.models.restore_session import FINAL_STATE
from restorereports.runlog import log_as

from .connection import connection_to
from .lock import Heartbeat, RunTakenOver, claim, still_ours
from .plain_words import in_plain_words
from .rows import store
from .servers import record_names, record_servers

logger = logging.getLogger(__name__)

PAGE_SIZE = 500
FULL_EVERY = timedelta(days=1)
ASK_BY_ID_LIMIT = 200
ASK_NO_RESULT_FOR = timedelta(hours=24)
ASK_MISSING_AGAIN_AFTER = timedelta(hours=24)

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

    Without a good run before, with `full`, or once a day everything EM gives is read, else what was created
    since the last good run less the overlap. CannotStart when it is paused or another process is at it. Failures
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
            end = _attempt(run, should_stop=lambda: should_stop() or heart.lost, on_progress=on_progress)
            _close(run, end)
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


def _attempt(run: SyncRun, *, should_stop: Callable[[], bool], on_progress: Progress) -> End:
    """Copy; every failure becomes an end, except that the run was taken over."""
    try:
        _copy(run, should_stop=should_stop, on_progress=on_progress)
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
    except Exception as failure:
        logger.exception("the sync failed by a fault of its own")
        error = _("An internal fault ended the sync; the log has the details under sync-%(run)d.")
        return End(SyncRun.Status.FAILED, "internal", error % {"run": run.pk}, type(failure).__name__)
    return End(SyncRun.Status.GOOD)


def _copy(run: SyncRun, *, should_stop: Callable[[], bool], on_progress: Progress) -> None:
    enterprise_manager = run.enterprise_manager
    run.window_from_at = None if run.kind == SyncRun.Kind.FULL else window_from(enterprise_manager)
    if run.window_from_at is None:
        run.kind = SyncRun.Kind.FULL
    with EnterpriseManagerClient(connection_to(enterprise_manager), should_stop=should_stop) as client:
        _record_reader(run, client)
        names: dict[str, str] = {}
        for page in client.restore_session_pages(since=run.window_from_at, page_size=PAGE_SIZE):
            run.page, run.pages = page.number, page.pages_count
            _store(run, page.items)
            names |= {entity.backup_server_uid: entity.backup_server_name for entity in page.items}
            on_progress(run)
        _record_servers(run, client, names)
        _ask_unfinished(run, client)


def _full_is_due(enterprise_manager: EnterpriseManager, now: datetime) -> bool:
    """Once a day: what a late collector of EM brings behind the overlap is found by reading everything again."""
    full = enterprise_manager.runs.filter(status=SyncRun.Status.GOOD, kind=SyncRun.Kind.FULL)
    return not full.filter(started_at__gt=now - FULL_EVERY).exists()


def window_from(enterprise_manager: EnterpriseManager) -> datetime | None:
    """From which creation time on an incremental run reads; None = everything (no good run yet).

    The older of the newest creation time received and the last good start, less the overlap: so a collector
    of EM that stood still for days, or a backup server whose clock runs ahead, makes no row be missed.
    """
    good = enterprise_manager.runs.filter(status=SyncRun.Status.GOOD).first()
    if good is None:
        return None
    newest = enterprise_manager.newest_received_at or good.started_at
    return min(newest, good.started_at) - timedelta(hours=settings.SYNC_OVERLAP_HOURS)


def _record_reader(run: SyncRun, client: EnterpriseManagerClient) -> None:
    """Who reads: account, API versions, clock skew and role; the role is found out by full runs."""
    run.account = client.username or run.enterprise_manager.username
    run.api_versions = ", ".join(client.api_versions)[:200]
    run.clock_skew_seconds = client.clock_skew.total_seconds() if client.clock_skew is not None else None
    before = (
        run.enterprise_manager.runs.filter(status=SyncRun.Status.GOOD, account=run.account)
        .exclude(role="")
        .first()
    )
    run.role = before.role if before and run.kind == SyncRun.Kind.INCREMENTAL else client.infer_role()
    still_ours(
        run,
        kind=run.kind,
        window_from_at=run.window_from_at,
        account=run.account,
        role=run.role,
        api_versions=run.api_versions,
        clock_skew_seconds=run.clock_skew_seconds,
    )


def _record_servers(run: SyncRun, client: EnterpriseManagerClient, names: dict[str, str]) -> None:
    """EM's list of backup servers; where the role may not read it, the names in the restore sessions' links."""
    try:
        listed = client.backup_servers()
    except Forbidden:
        listed = None
    with transaction.atomic():
        if listed is None:
            record_names(run.enterprise_manager, names)
        else:
            record_servers(run.enterprise_manager, listed, at=timezone.now())


def _store(run: SyncRun, entities: tuple[RestoreSessionEntity, ...]) -> None:
    """Rows and the run's counts in one transaction: a killed run leaves whole pages only."""
    created = [entity.started_at for entity in entities]
    with transaction.atomic():
        stored = store(run, entities, at=timezone.now())
        counts = {
            "page": run.page,
            "pages": run.pages,
            "seen": run.seen + len(entities),
            "new": run.new + stored.new,
            "changed": run.changed + stored.changed,
            "unchanged": run.unchanged + stored.unchanged,
            "oldest_at": min([*created, *([run.oldest_at] if run.oldest_at else [])], default=None),
            "newest_at": max([*created, *([run.newest_at] if run.newest_at else [])], default=None),
        }
        still_ours(run, **counts)
    for field, value in counts.items():
        setattr(run, field, value)


def _ask_unfinished(run: SyncRun, client: EnterpriseManagerClient) -> None:
    """Ask by id after restore sessions that are not finished and older than what the pages covered.

    At most ASK_BY_ID_LIMIT a run, going on behind the last one the previous run asked: so the longest
    unasked comes first and nothing is written for an unchanged one.
    """
    failed: EnterpriseManagerError | None = None
    for source_id, uid in _to_ask(run, run.window_from_at or run.oldest_at):
        run.asked_by_id += 1
        run.asked_up_to = source_id
        still_ours(run, asked_by_id=run.asked_by_id, asked_up_to=run.asked_up_to)
        try:
            entity = client.restore_session(uid)
        except (ServerFailing, UnexpectedAnswer) as failure:
            if failed:
                raise
            failed = failure  # one that EM cannot tell must not keep the others from being asked
            continue
        if entity is None:
            RestoreSessionSource.objects.filter(pk=source_id).update(missing_at=timezone.now())
        else:
            _store(run, (entity,))
    if failed:
        raise failed


def _to_ask(run: SyncRun, covered_from: datetime | None) -> list[tuple[int, str]]:
    """(id, UID) of the sources to ask after, in turn. Found by indexes of the unfinished, not of the history."""
    now = timezone.now()
    sources = RestoreSessionSource.objects.filter(enterprise_manager=run.enterprise_manager_id).filter(
        Q(missing_at=None) | Q(missing_at__lt=now - ASK_MISSING_AGAIN_AFTER)
    )
    if covered_from is not None:
        sources = sources.filter(restore_session__started_at__lt=covered_from)
    unfinished = sources.exclude(restore_session__state=FINAL_STATE)
    without_result = sources.filter(
        restore_session__outcome=Outcome.NO_RESULT, restore_session__ended_at__gt=now - ASK_NO_RESULT_FOR
    )
    found = sorted({*unfinished.values_list("pk", "uid"), *without_result.values_list("pk", "uid")})
    behind = [row for row in found if row[0] > run.asked_up_to]
    return (behind + found[: len(found) - len(behind)])[:ASK_BY_ID_LIMIT]


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


def _close(run: SyncRun, end: End) -> None:
    run.status, run.ended_at = end.status, timezone.now()
    run.error_kind, run.error, run.error_detail = end.kind, end.error, end.detail[:2000]
    with transaction.atomic():
        still_ours(run)
        run.heartbeat_at = run.ended_at
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
