"""Coverage as the page draws it: the sum that adds up, the bar, and the months as a chart. All x are per cent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from django.utils.formats import date_format

from restorereports.models.counts import percent
from restorereports.policies.coverage import Coverage, Judgement
from restorereports.policies.history import MonthCoverage
from restorereports.policies.verdicts import TESTED, VmVerdict

from .coverage_filters import CoverageFilter

LEAST_WIDTH: Final = 0.35  # per cent of the bar: a part that is there can be seen
# how high the chart is, and where its panel lies, in px
TOP, BASE, HEIGHT, LEFT = 12, 132, 154, 6.0
BAR_ORDER: Final = (
    VmVerdict.MET,
    VmVerdict.DUE_SOON,
    VmVerdict.OVERDUE,
    VmVerdict.NEVER,
    VmVerdict.INCONCLUSIVE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One verdict: how many VMs, the list behind it, and its stretch of the bar."""

    verdict: VmVerdict
    count: int
    query: str
    x: str = ""
    width: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """`tested` = parts that count; `measured` = in scope − exempt − new. Every part links to its lines."""

    tested: int
    measured: int
    in_scope: int
    exempt: Part
    new: Part
    parts: list[Part]
    query_of_tested: str
    query_of_all: str

    @property
    def drawn(self) -> list[Part]:
        return [part for part in self.parts if part.count]


def figures(covered: Coverage, filters: CoverageFilter) -> Figures:
    measured = covered.total("measured")
    counts = {verdict: covered.total(verdict.value) for verdict in VmVerdict}
    widths = _widths([counts[verdict] for verdict in BAR_ORDER])
    parts, x = [], 0.0
    for verdict, width in zip(BAR_ORDER, widths, strict=True):
        parts.append(
            Part(
                verdict=verdict,
                count=counts[verdict],
                query=filters.query_with(verdict=verdict.value),
                x=f"{x:.3f}%",
                width=f"{width:.3f}%",
            )
        )
        x += width
    return Figures(
        tested=covered.total("tested"),
        measured=measured,
        in_scope=covered.total("in_scope"),
        exempt=_part(VmVerdict.EXEMPT, counts, filters),
        new=_part(VmVerdict.NEW, counts, filters),
        parts=parts,
        query_of_tested=filters.query_with(verdict=[one.value for one in TESTED]),
        query_of_all=filters.query_with(),
    )


def _part(verdict: VmVerdict, counts: dict[VmVerdict, int], filters: CoverageFilter) -> Part:
    return Part(verdict=verdict, count=counts[verdict], query=filters.query_with(verdict=verdict.value))


def _widths(counts: Sequence[int]) -> list[float]:
    """Per cent of the bar, at least so much that it can be seen; together 100."""
    whole = sum(counts)
    if not whole:
        return [0.0 for _count in counts]
    widths = [max(100 * count / whole, LEAST_WIDTH) if count else 0.0 for count in counts]
    scale = 100 / sum(widths)
    return [width * scale for width in widths]


@dataclass(frozen=True, kw_only=True, slots=True)
class MonthMark:
    """One month: where its mark stands; `y` None where nothing can be said."""

    first: date
    label: str
    x: str
    text_x: str
    y: float | None
    share: str | None
    month: MonthCoverage
    tone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MonthChart:
    marks: list[MonthMark]
    step: str
    lines: list[tuple[str, str, float, float]]
    grid: list[tuple[int, float]]

    @property
    def empty(self) -> bool:
        return all(mark.y is None for mark in self.marks)


_TONES: Final = {
    Judgement.MET: "good",
    Judgement.NOT_MET: "bad",
    Judgement.INCONCLUSIVE: "doubt",
    Judgement.NOTHING: "none",
}


def month_chart(months: Sequence[MonthCoverage]) -> MonthChart:
    """A mark for each month's end, joined where two neighbours have a figure; from 0 to 100 per cent."""
    width = (100 - LEFT) / max(len(months), 1)
    marks = [_mark(month, LEFT + width * place, width) for place, month in enumerate(months)]
    lines = [
        (one.text_x, two.text_x, one.y, two.y)
        for one, two in pairwise(marks)
        if one.y is not None and two.y is not None
    ]
    return MonthChart(
        marks=marks,
        step=f"{width:.2f}%",
        lines=lines,
        grid=[(share, _y(share)) for share in (0, 25, 50, 75, 100)],
    )


def _mark(month: MonthCoverage, x: float, width: float) -> MonthMark:
    known = not month.no_data and month.measured > 0
    return MonthMark(
        first=month.first,
        label=date_format(month.first, "M Y" if month.first.month == 1 else "M"),
        x=f"{x:.2f}%",
        text_x=f"{x + width / 2:.2f}%",
        y=_y(100 * month.tested / month.measured) if known else None,
        share=percent(month.tested, month.measured) if known else None,
        month=month,
        tone=_TONES[month.judgement],
    )


def _y(share: float) -> float:
    return round(BASE - (BASE - TOP) * share / 100, 1)
