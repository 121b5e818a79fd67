"""`manage.py sync [NAME ...] [--full]`: copy now what Enterprise Managers show."""

import signal
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from restorereports.management.chosen import enterprise_managers
from restorereports.management.progress import Progress
from restorereports.mirror.lock import AlreadyRunning, CannotStart
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, SyncRun

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
                run = self._when_free(enterprise_manager, full=full, stop=stop, progress=progress)
            except CannotStart as reason:
                self.stdout.write(str(reason))
                return False
        self.stdout.write(
            f"{name}: {run.get_status_display().lower()}, {run.kind}, seen {run.seen}, new {run.new}, "
            f"changed {run.changed}, unchanged {run.unchanged}"
        )
        if run.error:
            self.stdout.write(f"  {run.error}")
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
