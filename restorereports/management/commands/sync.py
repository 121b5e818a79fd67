"""`manage.py sync [NAME ...] [--full]`: copy now what Enterprise Managers show."""

import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from restorereports.audit import COMMAND_LINE, Action, record
from restorereports.management.chosen import enterprise_managers
from restorereports.management.progress import Progress
from restorereports.mirror.lock import AlreadyRunning, CannotStart
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Reconciliation, SyncRun

WAIT_FOR_LOCK_SECONDS = 60  # by then the lock of a killed run is free


class Command(BaseCommand):
    help = "Copies restore sessions now; exit code 1 if any Enterprise Manager failed, the others done."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME")
        parser.add_argument("--full", action="store_true", help="read everything Enterprise Manager gives")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = enterprise_managers(options["names"])
        stop = threading.Event()
        before = {
            sign: signal.signal(sign, lambda *_: stop.set()) for sign in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            good = [self._sync(one, full=options["full"], stop=stop) for one in chosen if not stop.is_set()]
        finally:
            for sign, handler in before.items():
                signal.signal(sign, handler)
        if stop.is_set():
            raise CommandError("Stopped; what was copied so far is kept, the next sync goes on.")
        if not all(good):
            raise SystemExit(1)

    def _sync(self, enterprise_manager: EnterpriseManager, *, full: bool, stop: threading.Event) -> bool:
        name = enterprise_manager.name
        with Progress(name, self.stdout) as progress:
            try:
                record(Action.EM_SYNC_REQUESTED, COMMAND_LINE, of=enterprise_manager, details={"full": full})
                run = self._when_free(enterprise_manager, full=full, stop=stop, progress=progress)
            except CannotStart as reason:
                self.stdout.write(str(reason))
                return False
            except DatabaseError as failure:
                self.stderr.write(
                    f"{name}: the database could not be written ({failure}). Look at its disk and its log; "
                    "the next sync goes on."
                )
                return False
        self.stdout.write(
            f"{name}: {run.get_status_display().lower()}, {run.kind}, seen {run.seen}, new {run.new}, "
            f"changed {run.changed}, unchanged {run.unchanged}"
        )
        for line in _told(run):
            self.stdout.write(f"  {line}")
        return run.status == SyncRun.Status.GOOD

    def _when_free(
        self, enterprise_manager: EnterpriseManager, *, full: bool, stop: threading.Event, progress: Progress
    ) -> SyncRun:
        until = time.monotonic() + WAIT_FOR_LOCK_SECONDS
        while True:
            try:
                return sync(
                    enterprise_manager,
                    full=full,
                    trigger=SyncRun.Trigger.COMMAND,
                    should_stop=stop.is_set,
                    on_progress=progress.show,
                )
            except AlreadyRunning:
                if time.monotonic() > until or stop.is_set():
                    raise
                progress.waiting()
                time.sleep(1)


def _told(run: SyncRun) -> Iterator[str]:
    """What a person should know besides the counts."""
    if run.error:
        yield run.error
    if run.unanswered:
        yield f"Enterprise Manager could not tell {run.unanswered} restore session(s); they are asked for again."
    if run.status != SyncRun.Status.GOOD or run.kind != SyncRun.Kind.FULL:
        return
    enterprise_manager = EnterpriseManager.objects.get(pk=run.enterprise_manager_id)
    if oldest := enterprise_manager.oldest_received_at:
        yield f"EM returned history back to {oldest:%Y-%m-%d %H:%M:%S} UTC; nothing older can be recovered."
    for gap in enterprise_manager.gaps.filter(closed_run=run).lost():
        yield (
            f"Gap: restore sessions from {gap.from_at:%Y-%m-%d %H:%M:%S} to {gap.to_at:%Y-%m-%d %H:%M:%S} UTC may be "
            f"missing ({gap.get_cause_display()})."
        )
    found = Reconciliation.objects.filter(run=run).first()
    if found and found.state == Reconciliation.State.EQUAL:
        yield f"Reconciled: EM lists {found.listed} of the last 30 days, as many are here."
    elif found and found.state == Reconciliation.State.DIFFERENT:
        yield (
            f"Not reconciled: {found.only_em_count} only in EM, {found.only_mirror_count} only here; EM counts "
            f"{found.counted}, here {found.mirrored}."
        )
    elif found:
        yield f"{found.get_state_display()}. {found.error}".strip()
