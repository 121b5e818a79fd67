"""Asking again, where that may help: bounded, with growing pauses, given up at once when told to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from restorereports.em.failures import EnterpriseManagerError, ServerFailing
from restorereports.em.waiting import never, pause

Result = TypeVar("Result")
OnWait = Callable[[float, EnterpriseManagerError], object]

TRIES = 4
FIRST_WAIT = 0.5  # seconds, doubled from try to try
LONGEST_WAIT = 60.0  # seconds, whatever Retry-After says


def may_help(error: BaseException) -> bool:
    """Whether the same question may be answered the next time."""
    return isinstance(error, EnterpriseManagerError) and error.transient


def never_arrived(error: BaseException) -> bool:
    """Whether EM cannot have received the request: the only case in which a log-on may be sent again."""
    return getattr(error, "sent", True) is False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often, and whom to ask and to tell while waiting; `on_wait` hears the seconds and the reason."""

    should_stop: Callable[[], bool] = never
    sleep: Callable[[float], object] = time.sleep
    on_wait: OnWait | None = None
    tries: int = TRIES

    def retried(
        self,
        work: Callable[[], Result],
        *,
        when: Callable[[BaseException], bool] = may_help,
        at_most: int | None = None,
    ) -> Result:
        """What `work` returns, at last; its last failure if it never does. Raises Stopped."""
        retrying = Retrying(
            stop=stop_after_attempt(min(self.tries, at_most or self.tries)),
            wait=_seconds,
            retry=retry_if_exception(when),
            sleep=lambda seconds: pause(seconds, should_stop=self.should_stop, sleep=self.sleep),
            before_sleep=self._tell,
            reraise=True,
        )
        return retrying(work)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if self.on_wait is not None and isinstance(error, EnterpriseManagerError):
            self.on_wait(state.upcoming_sleep, error)


def _seconds(state: RetryCallState) -> float:
    """Before the next try: doubling, or what EM asks for if that is more, never more than LONGEST_WAIT."""
    error = state.outcome.exception() if state.outcome else None
    asked = (error.retry_after or 0.0) if isinstance(error, ServerFailing) else 0.0
    return min(max(FIRST_WAIT * 2 ** (state.attempt_number - 1), asked), LONGEST_WAIT)
