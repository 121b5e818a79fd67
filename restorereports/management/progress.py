"""A progress bar on a terminal, plain lines otherwise."""

from __future__ import annotations

from typing import Any

from django.core.management.base import OutputWrapper
from tqdm import tqdm

from restorereports.models import SyncRun

LINE_EVERY_PAGES = 10


class Progress:
    """Shows the pages of one sync; a context manager, so that the bar is closed whatever happens."""

    def __init__(self, name: str, out: OutputWrapper) -> None:
        self._name = name
        self._out = out
        self._bar: Any = tqdm(desc=name, unit="page", leave=False, file=out._out) if out.isatty() else None
        self._waiting = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, run: SyncRun) -> None:
        if self._bar is not None:
            self._bar.total = run.pages
            self._bar.set_postfix(seen=run.seen, new=run.new)
            self._bar.update(run.page - self._bar.n)
        elif run.status == SyncRun.Status.RUNNING and (run.page == 1 or run.page % LINE_EVERY_PAGES == 0):
            self._out.write(f"{self._name}: page {run.page} of {run.pages}, seen {run.seen}, new {run.new}")

    def waiting(self) -> None:
        """Another process holds this Enterprise Manager."""
        if not self._waiting:
            self._out.write(f"{self._name}: another process syncs it; waiting for it to end")
            self._waiting = True
