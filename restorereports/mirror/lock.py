"""One sync per Enterprise Manager at a time, held by a heartbeat: the running row is the lock."""

from __future__ import annotations

import logging
import threading
from datetime import datetime

from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from restorereports.models import EnterpriseManager, SyncRun
from restorereports.models.sync_run import HEARTBEAT_SECONDS

logger = logging.getLogger(__name__)


class CannotStart(Exception):
    """No sync can start now; the message says why."""


class AlreadyRunning(CannotStart):
    """Another worker or person syncs this Enterprise Manager right now."""


class Paused(CannotStart):
    """A person has to act first: a log-on was refused or the certificate changed."""


class RunTakenOver(Exception):
    """This run was closed as died by somebody else: it may not write another row."""


def claim(enterprise_manager: EnterpriseManager, *, full: bool, trigger: str, at: datetime) -> SyncRun:
    """Open a run; the database allows one running run per Enterprise Manager."""
    if enterprise_manager.paused_at:
        raise Paused(
            _(
                "%(name)s is paused: %(why)s. It goes on when a person changes the settings or presses “Try again”."
            )
            % {"name": enterprise_manager.name, "why": enterprise_manager.get_paused_because_display()}
        )
    bury_dead(at=at)
    previous = enterprise_manager.runs.first()
    try:
        with transaction.atomic():
            run = SyncRun.objects.create(
                enterprise_manager=enterprise_manager,
                kind=SyncRun.Kind.FULL if full else SyncRun.Kind.INCREMENTAL,
                trigger=trigger,
                started_at=at,
                heartbeat_at=at,
                account=enterprise_manager.username,
                asked_up_to=previous.asked_up_to if previous else 0,
            )
            if enterprise_manager.sync_requested_at:
                EnterpriseManager.objects.filter(pk=enterprise_manager.pk).update(sync_requested_at=None)
    except IntegrityError:
        raise AlreadyRunning(
            _("%(name)s is being synced by another process right now.") % {"name": enterprise_manager.name}
        ) from None
    return run


def bury_dead(*, at: datetime) -> int:
    """Close runs whose process is gone, so that their Enterprise Manager can be synced again."""
    died = SyncRun.objects.silent(at).update(
        status=SyncRun.Status.DIED,
        ended_at=at,
        error_kind="died",
        error=_("The process that ran this sync ended without a word. The next sync makes up for it."),
    )
    if died:
        logger.warning("closed %d sync run(s) whose process is gone", died)
    return died


def still_ours(run: SyncRun, **counts: object) -> None:
    """Beat the heart and record progress; RunTakenOver when the run was closed meanwhile."""
    mine = SyncRun.objects.running().filter(pk=run.pk)
    if not mine.update(heartbeat_at=timezone.now(), **counts):
        raise RunTakenOver(f"run {run.pk} was closed by somebody else")


class Heartbeat:
    """Beats for a run from a thread of its own, so that a slow answer of EM does not look like a death."""

    def __init__(self, run: SyncRun) -> None:
        self._run = run
        self._ended = threading.Event()
        self.lost = False
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat of run {run.pk}", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ended.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._ended.wait(HEARTBEAT_SECONDS):
                try:
                    still_ours(self._run)
                except RunTakenOver:
                    self.lost = True
                    return
                except DatabaseError:
                    logger.exception("heartbeat of run %s could not be written; trying again", self._run.pk)
                    connection.close()
        finally:
            connection.close()
