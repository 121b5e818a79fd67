"""Rules as lines of text that people write: `payroll-*`, or `name: payroll-*; server: vbr-east*; label: gold`.

A line without a word before a colon is a pattern for VM names. Where a pattern holds a semicolon, a quotation mark or
spaces at its edges it stands in quotation marks, with a backslash before quotation marks and backslashes inside.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from django.utils.translation import gettext as _

from .terms import Rule

_WORDS: Final = {"name": "name", "server": "backup_server", "label": "label"}
_PART: Final = re.compile(
    r'\s*(?:(?P<word>name|server|label)\s*:\s*)?(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^";]*))\s*(?P<end>;|$)',
    re.IGNORECASE,
)
_NEEDS_QUOTES: Final = re.compile(r'[;"]|^\s|\s$|^(?:name|server|label)\s*:', re.IGNORECASE)


class RuleUnreadable(ValueError):
    """A line is no rule; the message names the line."""


def read_rule_lines(text: str) -> tuple[Rule, ...]:
    """One rule a line, empty lines left out. RuleUnreadable names the first line that is none."""
    return tuple(_rule(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip())


def write_rule_lines(rules: Iterable[Rule]) -> str:
    """Lines that `read_rule_lines` reads back."""
    return "\n".join(_line(rule) for rule in rules)


def _rule(number: int, line: str) -> Rule:
    found: dict[str, str] = {}
    place = 0
    while place < len(line):
        part = _PART.match(line, place)
        if part is None:
            raise RuleUnreadable(_("Line %(n)d: the quotation marks do not match.") % {"n": number})
        field = _WORDS[(part["word"] or "name").lower()]
        value = _unquoted(part)
        if not value:
            raise RuleUnreadable(_("Line %(n)d: a pattern is empty.") % {"n": number})
        if field in found:
            raise RuleUnreadable(
                _("Line %(n)d names “%(word)s” twice; write one rule a line.")
                % {"n": number, "word": (part["word"] or "name").lower()}
            )
        found[field] = value
        place = part.end()
    return Rule(**found)


def _unquoted(part: re.Match[str]) -> str:
    if part["quoted"] is not None:
        return re.sub(r"\\(.)", r"\1", part["quoted"])
    return part["plain"].strip()


def _line(rule: Rule) -> str:
    values = [(word, getattr(rule, field)) for word, field in _WORDS.items() if getattr(rule, field)]
    if len(values) == 1 and values[0][0] == "name":
        return _quoted(values[0][1])
    return "; ".join(f"{word}: {_quoted(value)}" for word, value in values)


def _quoted(value: str) -> str:
    if not _NEEDS_QUOTES.search(value):
        return value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
