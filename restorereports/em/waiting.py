"""Waiting that can be given up: pauses in short slices, and calls that may not outlast their time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from restorereports.em.failures import Stopped, Unreachable

Result = TypeVar("Result")

SLICE = 0.5  # seconds between two looks at `should_stop`


def never() -> bool:
    """The `should_stop` of a caller that cannot be stopped."""
    return False


def pause(seconds: float, *, should_stop: Callable[[], bool], sleep: Callable[[float], object]) -> None:
    """Sleep for `seconds`; raises Stopped at the first slice at which `should_stop` answers True."""
    while seconds > 0:
        if should_stop():
            raise Stopped("Stopped while waiting for Enterprise Manager.")
        sleep(min(seconds, SLICE))
        seconds -= SLICE


class _Call(threading.Thread, Generic[Result]):
    """One call on a thread of its own; a daemon, because name resolution cannot be interrupted at all."""

    def __init__(self, work: Callable[[], Result]) -> None:
        super().__init__(daemon=True, name="enterprise-manager-call")
        self.work = work
        self.result: list[Result] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result.append(self.work())
        except BaseException as error:  # noqa: BLE001 - carried to the caller's thread and raised there
            self.error = error


def call_within(
    work: Callable[[], Result],
    *,
    seconds: float,
    should_stop: Callable[[], bool] = never,
    abort: Callable[[], object] = lambda: None,
) -> Result:
    """What `work` returns or raises, but no later than `seconds`, and no later than a slice after a stop.

    Time-outs of a socket count from byte to byte; a server that drips one byte now and then never meets
    them. `abort` is called when the call is given up and must make it end. Raises Unreachable ("timeout")
    and Stopped.
    """
    if should_stop():
        raise Stopped("Stopped before asking Enterprise Manager.")
    call = _Call(work)
    call.start()
    ends = time.monotonic() + seconds
    try:
        while call.is_alive():
            call.join(min(SLICE, max(ends - time.monotonic(), 0.001)))
            if call.is_alive() and should_stop():
                raise Stopped("Stopped while Enterprise Manager was answering.")
            if call.is_alive() and time.monotonic() >= ends:
                raise Unreachable(f"No complete answer within {seconds:g} seconds.", kind="timeout")
    finally:
        if call.is_alive():
            abort()
    if call.error is not None:
        raise call.error
    return call.result[0]
