"""Foreign texts on paper: every character visible, none that no font has, never longer than its place.

Names are evidence, so nothing is transliterated. What cannot be seen (control and format characters, blanks at
the ends or other than the plain one) and what no font can draw is printed as its code point in a frame.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterator
from html import escape

from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import ngettext

from restorereports.wording import name_parts, number_text

from .fonts import drawable

_BASIC = 0x600  # scripts from here on join letters with U+200D
_JOINER = "\u200d"
_WIDE = frozenset("MW@%mw…—")
_FALLBACK = 0x250  # scripts from here on come from wider fonts
_ROOMY = 80  # columns from which a cut says its length in words
_MOST_MARKS = 3  # more marks on one letter would climb into the lines around it


def printed(text: str, most: int) -> SafeString:
    """The text as HTML of at most `most` columns; one that is cut states its whole length within them.

    A column is half the size of the letters, which is what most of them need. In a narrow place the length is the
    number alone.
    """
    cells = list(_cells(text))
    widths = [len(shown) if hidden else _width(shown) for shown, hidden in cells]
    if sum(widths) <= most:
        return mark_safe(f"<bdi>{_marked(cells)}</bdi>")  # noqa: S308 (each part is escaped)
    length = number_text(len(text))
    if most >= _ROOMY:
        length = ngettext("%(n)s character in all", "%(n)s characters in all", len(text)) % {"n": length}
    room = most - len(length) - 4
    kept = sum(1 for end in itertools.accumulate(widths) if end <= room)
    html = f'<bdi>{_marked(cells[:kept])}</bdi>… <span class="cutlength">[{length}]</span>'
    return mark_safe(html)  # noqa: S308 (each part is escaped)


def _marked(cells: list[tuple[str, bool]]) -> str:
    return "".join(
        f'<span class="ctrl">{shown}</span>' if hidden else escape(shown) for shown, hidden in cells
    )


def printed_text(text: str) -> str:
    """The same for places that hold plain text only, such as the running head."""
    return "".join(shown for shown, _hidden in _cells(text))


def cut_text(text: str, most: int) -> str:
    """`printed_text` of at most `most` columns, with an ellipsis where it is cut."""
    cells = list(_cells(text))
    widths = [len(shown) if hidden else _width(shown) for shown, hidden in cells]
    if sum(widths) <= most:
        return "".join(shown for shown, _hidden in cells)
    kept = sum(1 for end in itertools.accumulate(widths) if end <= most - 2)
    return "".join(shown for shown, _hidden in cells[:kept]) + "…"


def _cells(text: str) -> Iterator[tuple[str, bool]]:
    """(what is printed, whether it stands for a hidden or undrawable character), character by character."""
    first, end = len(text) - len(text.lstrip(" ")), len(text.rstrip(" "))
    marks = 0
    for position, character in enumerate(text):
        marks = marks + 1 if unicodedata.category(character) == "Mn" else 0
        spelled = (
            (character == " " and not first <= position < end)
            or (character != " " and unicodedata.category(character) == "Zs")
            or (character == _JOINER and not _joins(text, position))
            or marks > _MOST_MARKS
            or not _is_drawn(character)
        )
        if spelled:
            yield _code(character), True
        else:
            yield from name_parts(character)


def _joins(text: str, position: int) -> bool:
    """Whether a joiner stands between two drawn letters of a script that uses it, or between two pictures."""
    beside = text[max(position - 1, 0) : position] + text[position + 1 : position + 2]
    return len(beside) == 2 and all(ord(letter) >= _BASIC and _is_drawn(letter) for letter in beside)


def _is_drawn(character: str) -> bool:
    return ord(character) in drawable() or name_parts(character)[0][1]


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _width(character: str) -> float:
    """In columns, rounded up, so that what is counted to fit fits."""
    if unicodedata.east_asian_width(character) in "WF":
        return 2
    if character in _WIDE:
        return 1.7
    return 1.2 if character.isupper() or ord(character) >= _FALLBACK else 1
