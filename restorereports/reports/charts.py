"""The trend as SVG with presentation attributes, since style sheets do not reach into inline SVG.

Each result has a colour, a pattern and a word; the same numbers stand in the table below the chart.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from .trend import Month, Trend

WIDTH, RIGHT, TOP, BASE, HEIGHT = 680, 674, 50, 230, 266
_INK, _INK_2, _INK_3, _LINE, _RULE = "#141a21", "#414b58", "#5c6673", "#dce1e7", "#788392"
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
_PATTERNS = (
    '<defs><pattern id="pw" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="5" fill="#bb790d"/><path d="M0 0V5" stroke="#ffffff" stroke-width="2.2"/></pattern>'
    '<pattern id="pn" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" '
    'fill="#ffffff"/><circle cx="2" cy="2" r="1.2" fill="#414b58"/></pattern>'
    '<pattern id="po" width="5" height="5" patternUnits="userSpaceOnUse"><rect width="5" height="5" '
    'fill="#ffffff"/><path d="M0 0L5 5M5 0L0 5" stroke="#414b58" stroke-width="0.8"/></pattern>'
    '<pattern id="pr" width="6" height="6" patternUnits="userSpaceOnUse"><rect width="6" height="6" '
    'fill="#e8effa"/><path d="M0 3H6" stroke="#1d4d99" stroke-width="1"/></pattern>'
    '<pattern id="pu" width="4" height="4" patternUnits="userSpaceOnUse"><rect width="4" height="4" '
    'fill="#f3edfb"/><path d="M2 0V4" stroke="#653b9b" stroke-width="1.2"/></pattern>'
    '<pattern id="pm" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(-45)">'
    '<path d="M0 0V7" stroke="#c3cad2" stroke-width="1.4"/></pattern></defs>'
)


def trend_chart(trend: Trend) -> SafeString:
    """Stacked bars, one a month; hatched where there are no data."""
    top = _scale(max((month.counts.total for month in trend.months), default=0))
    left = 14 + 5.4 * len(f"{top:,}")
    step = (RIGHT - left) / max(len(trend.months), 1)
    parts = [
        *_legend(trend),
        *_axis(top, left),
        *(
            piece
            for number, month in enumerate(trend.months)
            for piece in _bar(month, left + number * step, step, top, labelled=number == 0)
        ),
    ]
    return mark_safe(  # noqa: S308 (numbers and our own words; each text goes through format_html)
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}">{_title(trend)}{_PATTERNS}{"".join(parts)}</svg>'
    )


def _title(trend: Trend) -> str:
    months = trend.months
    highest = max(months, key=lambda month: month.counts.total)
    words = _(
        "Restore sessions by result, stacked, for the months %(first)s to %(last)s. The highest month is "
        "%(top)s with %(n)s. The same numbers are in the table below."
    ) % {
        "first": date_format(months[0].first, "F Y"),
        "last": date_format(months[-1].first, "F Y"),
        "top": date_format(highest.first, "F Y"),
        "n": f"{highest.counts.total:,}",
    }
    return format_html("<title>{}</title>", words)


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


def _text(
    x: float, y: float, words: str, *, anchor: str = "middle", ink: str = _INK_2, bold: int = 400
) -> str:
    return format_html(
        '<text x="{}" y="{}" text-anchor="{}" font-size="10.5" font-weight="{}" fill="{}" '
        'font-family="IBM Plex Sans Condensed">{}</text>',
        *(f"{x:.1f}", f"{y:.1f}", anchor, bold, ink, words),
    )


def _rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.2f}" fill="{fill}"/>'


def _legend(trend: Trend) -> Iterator[str]:
    yield _text(0, 10, _("Restore sessions by result"), anchor="start", bold=500)
    x = 0.0
    for number, (name, fill, words) in enumerate(_PARTS):
        if number >= _USUAL and not getattr(trend.counts, name):
            continue
        yield _rect(x, 17.5, 10, 10, fill)
        yield f'<rect x="{x:.1f}" y="17.5" width="10" height="10" fill="none" stroke="{_RULE}" stroke-width="0.5"/>'
        yield _text(x + 14, 26, str(words), anchor="start")
        x += 26 + 4.2 * len(str(words))


def _axis(top: int, left: float) -> Iterator[str]:
    steps = 5 if top % 5 == 0 else 4 if top % 4 == 0 else 2 if top % 2 == 0 else 1
    for number in range(steps + 1):
        value = top * number // steps
        y = BASE - (BASE - TOP) * value / top
        colour, width = (_LINE, 0.6) if number else (_RULE, 0.8)
        yield f'<path d="M{left:.1f} {y:.1f}H{RIGHT}" stroke="{colour}" stroke-width="{width}"/>'
        yield _text(left - 6, y + 3.5, f"{value:,}", anchor="end", ink=_INK_3)


def _bar(month: Month, x: float, step: float, top: int, *, labelled: bool) -> Iterator[str]:
    middle, width = x + step / 2, step * 0.6
    if month.no_data or month.seen_from:
        yield _rect(x + step * 0.05, TOP, step * 0.9, BASE - TOP, "url(#pm)")
    if month.no_data:
        if step >= 36:
            yield _rect(middle - 18, (TOP + BASE) / 2 - 9, 36, 14, "#ffffff")
            yield _text(middle, (TOP + BASE) / 2 + 2, _("no data"))
    else:
        yield from _stack(month, middle - width / 2, width, top)
    narrow = step < 20
    if not narrow or month.first.month % 3 == 1:
        yield _text(middle, BASE + 14, date_format(month.first, "M"))
    if labelled or month.first.month == 1:
        yield _text(middle, BASE + 26, str(month.first.year), ink=_INK_3)


def _stack(month: Month, x: float, width: float, top: int) -> Iterator[str]:
    """The parts from the axis up, 0.7 px of paper between them, the total on top."""
    y, scale = float(BASE), (BASE - TOP) / top
    for name, fill, _words in _PARTS:
        value = getattr(month.counts, name)
        if value:
            height = value * scale
            y -= height
            yield _rect(x, y, width, max(height - 0.7, 0.5), fill)
    label = f"{month.counts.total:,}"
    if month.counts.total and len(label) * 5.2 <= width / 0.6:
        yield _rect(x + width / 2 - len(label) * 2.8, y - 13, len(label) * 5.6, 10, "#ffffff")
        yield _text(x + width / 2, y - 4.5, label, ink=_INK, bold=500)
