"""How far back Enterprise Manager answers: measured by every full run, never assumed. Pure arithmetic of times.

A restore session still shown proves that EM answers at least that far back, and at another hour up to a
day less, since it purges by the day. One that left from the old end of what is shown proves that it answers no
further. Below the shortest history that EM can be set to (LEAST_WINDOW) nothing need be proved.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from restorereports.models.enterprise_manager import LEAST_WINDOW

PURGE_STEP = timedelta(days=1)  # EM purges by the day: just after it shows a day less than just before
SLACK = timedelta(days=2)  # EM purges by the day, and a full run looks once a day


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`covers_from`: of what was created from here on, this run missed nothing. `shown`, `is_cut`: to be kept.

    `history_lost`: rows younger than EM showed before are gone, so that nothing older than what it shows is proved.
    """

    covers_from: datetime
    shown: timedelta | None
    is_cut: bool
    history_lost: bool


def measure(
    *,
    at: datetime,
    oldest_shown: datetime | None,
    newest_gone: datetime | None,
    shown_before: timedelta | None,
    was_cut: bool,
) -> Window:
    """What a full run at `at` proves; `newest_gone`: the youngest restore session that left at the old end since."""
    reach = max(at - oldest_shown, timedelta()) if oldest_shown else None
    relied_on = max(shown_before or LEAST_WINDOW, LEAST_WINDOW)
    gone_age = at - newest_gone if newest_gone else None
    if gone_age is not None and gone_age < relied_on - SLACK:
        return Window(covers_from=at - (reach or timedelta()), shown=reach, is_cut=True, history_lost=True)
    shown = shown_before if gone_age is None or shown_before is None else min(shown_before, gone_age)
    shown = max((age for age in (shown, reach) if age is not None), default=None)
    still_cut = was_cut and not (
        reach is not None and shown_before is not None and reach > shown_before + SLACK
    )
    certain = max(relied_on - PURGE_STEP, LEAST_WINDOW)
    covered = max(min(certain, gone_age or certain), reach or timedelta())
    return Window(
        covers_from=at - covered,
        shown=shown,
        is_cut=gone_age is not None or still_cut,
        history_lost=False,
    )
