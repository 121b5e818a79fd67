"""Pieces of a chart as SVG with presentation attributes, since style sheets do not reach into inline SVG."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.utils.html import format_html
from django.utils.translation import gettext as _

WIDTH: Final = 680
RIGHT: Final = 674
INK, INK_2, INK_3, LINE, RULE = "#141a21", "#414b58", "#5c6673", "#dce1e7", "#788392"
PAPER: Final = "#ffffff"
NO_DATA: Final = "url(#pm)"
PATTERNS: Final = (
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


def text(x: float, y: float, words: str, *, anchor: str = "middle", ink: str = INK_2, bold: int = 400) -> str:
    return format_html(
        '<text x="{}" y="{}" text-anchor="{}" font-size="10.5" font-weight="{}" fill="{}" '
        'font-family="IBM Plex Sans Condensed">{}</text>',
        *(f"{x:.1f}", f"{y:.1f}", anchor, bold, ink, words),
    )


def rect(x: float, y: float, width: float, height: float, fill: str) -> str:
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.2f}" fill="{fill}"/>'


def path(steps: str, *, stroke: str, width: float, fill: str = "none") -> str:
    return f'<path d="{steps}" fill="{fill}" stroke="{stroke}" stroke-width="{width}"/>'


def no_data(x: float, step: float, top: float, base: float) -> Iterator[str]:
    """A hatched month, and where it is wide enough the words; on two lines where one is too wide."""
    yield rect(x + step * 0.05, top, step * 0.9, base - top, NO_DATA)
    if step < 36:
        return
    words = _("no data")
    lines = [words] if width_of(words) <= step * 0.9 else words.split()
    middle, y = x + step / 2, (top + base) / 2 - 6 * len(lines)
    width = max(width_of(line) for line in lines) + 4
    yield rect(middle - width / 2, y - 1, width, 12 * len(lines) + 2, PAPER)
    for number, line in enumerate(lines, 1):
        yield text(middle, y + 12 * number - 2.5, line)


def width_of(words: str) -> float:
    """About how wide the words are."""
    return 4.9 * len(words)
