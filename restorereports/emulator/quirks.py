"""The awkward rows: seldom, but in every history of some size there are some of each kind."""

from __future__ import annotations

from restorereports.emulator.estate import AWKWARD_NAMES

FRACTION_DIGITS = {"digits_0": 0, "digits_1": 1, "digits_2": 2, "digits_3": 3, "digits_6": 6, "digits_7": 6}
FINISHES = (
    "missing_progress",
    "zero_progress",
    "missing_related",
    "unknown_job_type",
    "unknown_state",
    "unknown_result",
    "stopped_without_result",
    "stopped_without_end",
    "end_in_year_1",
    "running_with_end_in_1900",
    "end_before_start",
    "missing_vm_name",
    "hung",
    "result_late",
    "result_revised",
    "failure_message",
)
QUIRKS = (*FINISHES, *FRACTION_DIGITS, *AWKWARD_NAMES, "twin_first", "twin_second")

_SPACING = 17  # rows from one awkward row to the next, in a history large enough to hold them all


def quirk_of(number: int, *, rows: int) -> str | None:
    """The awkwardness of row `number` of a history of `rows` rows, or None for an ordinary row."""
    spacing = max(2, min(_SPACING, rows // len(QUIRKS)))
    if number % spacing != 1:
        return None
    return QUIRKS[number // spacing % len(QUIRKS)]


def same_time_as(number: int) -> int:
    """The row whose creation time this row shares: some runs of equal times lie across borders of 100 rows."""
    border = (number + 50) // 100 * 100
    if border % 300 == 100 and abs(number - border) <= 2:
        return border
    return number
