"""How far back EM answers is measured: by what is still shown, and by what left at the old end."""

from datetime import UTC, datetime, timedelta

import pytest

from restorereports.mirror.window import Window, measure

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = 7 * DAY


def measured(
    *,
    oldest: float | None = None,
    gone: float | None = None,
    before: float | None = None,
    was_cut: bool = False,
) -> Window:
    """Ages in days."""
    return measure(
        at=AT,
        oldest_shown=None if oldest is None else AT - oldest * DAY,
        newest_gone=None if gone is None else AT - gone * DAY,
        shown_before=None if before is None else before * DAY,
        was_cut=was_cut,
    )


@pytest.mark.parametrize(
    ("facts", "covers_days", "shown_days", "is_cut", "lost"),
    [
        ({}, 7, None, False, False),  # nothing shown: the shortest history that EM can be set to
        ({"oldest": 3}, 7, 3, False, False),
        ({"oldest": 91}, 91, 91, False, False),
        ({"oldest": 20, "before": 91}, 90, 91, False, False),  # a quiet time proves nothing less but a day
        ({"oldest": 90, "gone": 91, "before": 90.5}, 90, 90.5, True, False),
        ({"oldest": 80, "gone": 90, "before": 91}, 90, 90, True, False),  # purged by the day
        ({"oldest": 95, "before": 91, "was_cut": True}, 95, 95, False, False),  # kept longer from now on
        ({"oldest": 91.5, "before": 91, "was_cut": True}, 91.5, 91.5, True, False),
        ({"oldest": 29, "gone": 30, "before": 91}, 29, 29, True, True),  # kept shorter from now on
        ({"gone": 0.5, "before": 91}, 0, None, True, True),  # everything gone
        ({"oldest": 0.1, "gone": 0.5}, 0.1, 0.1, True, True),
        ({"oldest": 100, "gone": 130, "before": 91}, 100, 100, True, False),
        ({"gone": 130, "before": 91}, 90, 91, True, False),  # away for longer than EM keeps
    ],
)
def test_what_a_full_run_proves(facts, covers_days, shown_days, is_cut, lost) -> None:
    window = measured(**facts)

    assert window.covers_from == AT - covers_days * DAY
    assert window.shown == (None if shown_days is None else shown_days * DAY)
    assert (window.is_cut, window.history_lost) == (is_cut, lost)


def test_a_restore_session_from_the_future_proves_nothing() -> None:
    assert measured(oldest=-1).covers_from == AT - WEEK
