"""`139 restore sessions = 123 Success + …`: the whole, its parts, and the list behind each part."""

from __future__ import annotations

from dataclasses import dataclass

from restorereports.models import Outcome
from restorereports.models.counts import OutcomeCounts

from .filters import RestoreSessionFilter

_ALWAYS = (Outcome.FAILED, Outcome.NO_RESULT)  # a zero of these is worth reading


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    count: int
    label: str
    query: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SumLine:
    total: int
    parts: list[Part]


def sum_line(counts: OutcomeCounts, filterset: RestoreSessionFilter) -> SumLine:
    """Total and parts; parts of zero are left out but for Failed and No result."""
    values = {
        Outcome.SUCCESS: counts.success,
        Outcome.WARNING: counts.warning,
        Outcome.FAILED: counts.failed,
        Outcome.NO_RESULT: counts.no_result,
        Outcome.OTHER: counts.other,
        Outcome.RUNNING: counts.running,
        Outcome.UNKNOWN: counts.unknown,
    }
    parts = [
        Part(count=count, label=str(outcome.label), query=filterset.query_with(outcome=outcome.value))
        for outcome, count in values.items()
        if count or outcome in _ALWAYS
    ]
    return SumLine(total=counts.total, parts=parts)
