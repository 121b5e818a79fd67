"""The trend as SVG with presentation attributes, since style sheets do not reach into inline SVG.

Each result has a colour, a pattern and a word; the same numbers stand in the table below the chart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.policies.history import MonthCoverage
from restorereports.wording import number_text

from . import coverage_panel
from .drawing import (
    INK,
    INK_3,
    LINE,
    NO_DATA,
    PAPER,
    PATTERNS,
    RIGHT,
    RULE,
    WIDTH,
    no_data,
    rect,
    text,
)
from .trend import Month, Trend

TOP, BASE, HEIGHT = 60, 190, 226
_PARTS = (
    ("success", "#4c9a6c", gettext_lazy("Success, plain")),
    ("warning", "url(#pw)", gettext_lazy("Warning, striped")),
    ("failed", "#c4382e", gettext_lazy("Failed, dark")),
    ("no_result", "url(#pn)", gettext_lazy("No result, dotted")),
    ("other", "url(#po)", gettext_lazy("Other, crossed")),
    ("running", "url(#pr)", gettext_lazy("In progress, outlined")),
    ("unknown", "url(#pu)", gettext_lazy("State unknown, upright")),
)
_USUAL = 4  # the first four are in the legend also when they are zero


def trend_chart(trend: Trend, months: Sequence[MonthCoverage] = ()) -> SafeString:
    """Stacked bars, one a month, and above them on the same axis the coverage of `months`; hatched without data."""
    top = _scale(max((month.counts.total for month in trend.months), default=0))
    left = max(14 + 5.4 * len(number_text(top)), 32 if months else 0)
    step = (RIGHT - left) / max(len(trend.months), 1)
    bars = (
        piece
        for number, month in enumerate(trend.months)
        for piece in _bar(month, left + number * step, step, top, labelled=number == 0)
    )
    lower = "".join([*_legend(trend), *_axis(top, left), *bars])
    upper, moved = "", 0
    if months:
        axis = [month.first for month in trend.months]
        found = {month.first: month for month in months}
        upper = "".join(coverage_panel.coverage_panel(axis, found, left=left, step=step))
        moved = coverage_panel.HEIGHT
        lower = f'<g transform="translate(0 {moved})">{lower}</g>'
    height = HEIGHT + moved
    return mark_safe(  # noqa: S308 (numbers and our own words; each text goes through format_html)
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}">{_title(trend, months)}{PATTERNS}{upper}{lower}</svg>'
    )


def _title(trend: Trend, coverages: Sequence[MonthCoverage]) -> str:
    months = trend.months
    highest = max(months, key=lambda month: month.counts.total)
    words = _(
        "Restore sessions by result, stacked, for the months %(first)s to %(last)s. The highest month is "
        "%(top)s with %(n)s. The same numbers are in the table below."
    ) % {
        "first": date_format(months[0].first, "F Y"),
        "last": date_format(months[-1].first, "F Y"),
        "top": date_format(highest.first, "F Y"),
        "n": number_text(highest.counts.total),
    }
    above = f"{coverage_panel.told(coverages)} " if coverages else ""
    return format_html("<title>{}{}</title>", above, words)


def _scale(highest: int) -> int:
    """The top of the axis: at least the highest bar, divisible into five readable steps where it can be."""
    if highest <= 5:
        return 5
    power = 10 ** math.floor(math.log10(highest))
    return next(
        math.ceil(top)
        for top in (factor * power for factor in (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10))
        if top >= highest
    )


def _legend(trend: Trend) -> Iterator[str]:
    """What occurs, and the usual; on two lines where one is too short."""
    yield text(0, 10, _("Restore sessions by result"), anchor="start", bold=500)
    x, y = 0.0, 17.5
    for number, (name, fill, words) in enumerate(_PARTS):
        if number >= _USUAL and not getattr(trend.counts, name):
            continue
        width = 26 + 4.4 * len(str(words))
        if x + width > RIGHT:
            x, y = 0.0, y + 13
        yield rect(x, y, 10, 10, fill)
        yield f'<rect x="{x:.1f}" y="{y}" width="10" height="10" fill="none" stroke="{RULE}" stroke-width="0.5"/>'
        yield text(x + 14, y + 8.5, str(words), anchor="start")
        x += width


def _axis(top: int, left: float) -> Iterator[str]:
    steps = 5 if top % 5 == 0 else 4 if top % 4 == 0 else 2 if top % 2 == 0 else 1
    for number in range(steps + 1):
        value = top * number // steps
        y = BASE - (BASE - TOP) * value / top
        colour, width = (LINE, 0.6) if number else (RULE, 0.8)
        yield f'<path d="M{left:.1f} {y:.1f}H{RIGHT}" stroke="{colour}" stroke-width="{width}"/>'
        yield text(left - 6, y + 3.5, number_text(value), anchor="end", ink=INK_3)


def _bar(month: Month, x: float, step: float, top: int, *, labelled: bool) -> Iterator[str]:
    middle, width = x + step / 2, step * 0.6
    if month.no_data:
        yield from no_data(x, step, TOP, BASE)
    else:
        if month.seen_from:
            yield rect(x + step * 0.05, TOP, step * 0.9, BASE - TOP, NO_DATA)
        yield from _stack(month, middle - width / 2, width, top)
    narrow = step < 20
    if not narrow or month.first.month % 3 == 1:
        yield text(middle, BASE + 14, date_format(month.first, "M"))
    if labelled or month.first.month == 1:
        yield text(middle, BASE + 26, str(month.first.year), ink=INK_3)


def _stack(month: Month, x: float, width: float, top: int) -> Iterator[str]:
    """The parts from the axis up, 0.7 px of paper between them, the total on top."""
    y, scale = float(BASE), (BASE - TOP) / top
    for name, fill, _words in _PARTS:
        value = getattr(month.counts, name)
        if value:
            height = value * scale
            y -= height
            yield rect(x, y, width, max(height - 0.7, 0.5), fill)
    label = number_text(month.counts.total)
    if month.counts.total and len(label) * 5.2 <= width / 0.6:
        yield rect(x + width / 2 - len(label) * 2.8, y - 13, len(label) * 5.6, 10, PAPER)
        yield text(x + width / 2, y - 4.5, label, ink=INK, bold=500)
