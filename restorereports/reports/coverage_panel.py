"""The upper panel of the trend: coverage at each month's end as a line, each mark with n / N and its share beneath."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models.counts import percent
from restorereports.policies.coverage import Judgement
from restorereports.policies.history import MonthCoverage
from restorereports.wording import DASH, decimal_text, number_text

from .drawing import INK, INK_3, LINE, PAPER, RIGHT, RULE, no_data, path, rect, text, width_of

HEIGHT: Final = 132  # with the room to the panel below
_TOP, _BASE = 28, 84
_MARKS: Final = (
    (Judgement.MET, gettext_lazy("met, round")),
    (Judgement.NOT_MET, gettext_lazy("not met, square")),
    (Judgement.INCONCLUSIVE, gettext_lazy("inconclusive, hollow")),
)
_NARROW: Final = 40  # px a month: below it the figures stand in the table alone


def coverage_panel(
    months: Sequence[date], found: Mapping[date, MonthCoverage], *, left: float, step: float
) -> Iterator[str]:
    """On the axis of `months`, each `step` wide from `left` on; those without an entry stay empty."""
    yield from _legend(found)
    yield from _axis(left)
    points = []
    for number, first in enumerate(months):
        one = found.get(first)
        if one is None:
            continue
        x = left + number * step
        if one.no_data:
            yield from no_data(x, step, _TOP, _BASE)
        elif one.measured:
            points.append((x + step / 2, _y(one), one))
    yield from _line(points, step)
    for x, y, one in points:
        yield _mark(x, y, one.judgement)
    if step >= _NARROW:
        for number, first in enumerate(months):
            if (one := found.get(first)) and not one.no_data:
                yield from _figures(left + (number + 0.5) * step, step, one)


def told(found: Sequence[MonthCoverage]) -> str:
    """The panel in one sentence, for whoever cannot see it."""
    known = [one for one in found if not one.no_data and one.measured]
    if not known:
        return _("Above: coverage at the end of each month; nothing was measured.")
    last = known[-1]
    return _("Above: coverage at the end of each month, %(n)s / %(all)s VMs in the last one.") % {
        "n": number_text(last.tested),
        "all": number_text(last.measured),
    }


def _y(one: MonthCoverage) -> float:
    return _BASE - (_BASE - _TOP) * one.tested / one.measured


def _legend(found: Mapping[date, MonthCoverage]) -> Iterator[str]:
    title = _("Coverage at the end of the month, in %")
    yield text(0, 10, title, anchor="start", bold=500)
    x = width_of(title) + 26
    there = {one.judgement for one in found.values() if not one.no_data and one.measured}
    for judgement, words in _MARKS:
        if judgement in there:
            yield _mark(x, 6.5, judgement)
            yield text(x + 8, 10, str(words), anchor="start")
            x += width_of(str(words)) + 32


def _axis(left: float) -> Iterator[str]:
    for share in (0, 50, 100):
        y = _BASE - (_BASE - _TOP) * share / 100
        yield path(
            f"M{left:.1f} {y:.1f}H{RIGHT}", stroke=LINE if share else RULE, width=0.6 if share else 0.8
        )
        yield text(left - 6, y + 3.5, str(share), ink=INK_3, anchor="end")


def _line(points: Sequence[tuple[float, float, MonthCoverage]], step: float) -> Iterator[str]:
    """Between neighbouring months alone: over a month that is not known nothing is drawn."""
    for (x, y, _one), (next_x, next_y, _next) in itertools.pairwise(points):
        if next_x - x < step * 1.5:
            yield path(f"M{x:.1f} {y:.1f}L{next_x:.1f} {next_y:.1f}", stroke=INK, width=1.4)


def _mark(x: float, y: float, judgement: Judgement) -> str:
    if judgement == Judgement.NOT_MET:
        return rect(x - 3.4, y - 3.4, 6.8, 6.8, INK)
    fill = PAPER if judgement == Judgement.INCONCLUSIVE else INK
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.4" fill="{fill}" stroke="{INK}" stroke-width="1.4"/>'


def _figures(x: float, step: float, one: MonthCoverage) -> Iterator[str]:
    """The share under the axis, n / N under it, on two lines where they are long."""
    share = percent(one.tested, one.measured)
    yield text(x, _BASE + 13, decimal_text(share) if share else DASH, ink=INK, bold=500)
    parts = [number_text(one.tested), f"/ {number_text(one.measured)}"]
    lines = [" ".join(parts)] if width_of(" ".join(parts)) < step else parts
    for number, line in enumerate(lines):
        yield text(x, _BASE + 25 + 11 * number, line)
