"""EM's filter language: `field op value`, `;` for and, `,` for or, parentheses (EM REST reference, "Query Filter").

filter := or          or  := and {"," and}        and := term {";" term}
term   := "(" or ")" | field op value             op  := == != >= <= > <
value  := bare | '"' {char | '""'} '"' | '""' {char} '""'
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_FIELD = re.compile(r"\s*([A-Za-z][A-Za-z0-9_.]*)\s*(==|!=|>=|<=|>|<)\s*")
_DEEPEST = 50


class BadFilter(Exception):
    """The text is not a filter."""


@dataclass(slots=True, frozen=True)
class Comparison:
    """One field compared with one value."""

    field: str
    operator: str
    value: str


@dataclass(slots=True, frozen=True)
class AllOf:
    """Joined by `;`."""

    terms: tuple[Condition, ...]


@dataclass(slots=True, frozen=True)
class AnyOf:
    """Joined by `,`."""

    terms: tuple[Condition, ...]


Condition = Comparison | AllOf | AnyOf


def parse_filter(text: str) -> Condition:
    """Read a decoded filter. Raises BadFilter with a sentence for the Error body."""
    condition, end = _any_of(text, 0, 0)
    if text[end:].strip():
        raise BadFilter(f"Unexpected character at position {end + 1} of the filter.")
    return condition


def _any_of(text: str, at: int, depth: int) -> tuple[Condition, int]:
    first, at = _all_of(text, at, depth)
    terms = [first]
    while _peek(text, at) == ",":
        term, at = _all_of(text, _skip(text, at) + 1, depth)
        terms.append(term)
    return (first if len(terms) == 1 else AnyOf(tuple(terms))), at


def _all_of(text: str, at: int, depth: int) -> tuple[Condition, int]:
    first, at = _term(text, at, depth)
    terms = [first]
    while _peek(text, at) == ";":
        term, at = _term(text, _skip(text, at) + 1, depth)
        terms.append(term)
    return (first if len(terms) == 1 else AllOf(tuple(terms))), at


def _term(text: str, at: int, depth: int) -> tuple[Condition, int]:
    if depth > _DEEPEST:
        raise BadFilter("The filter is nested too deeply.")
    if _peek(text, at) == "(":
        condition, at = _any_of(text, _skip(text, at) + 1, depth + 1)
        if _peek(text, at) != ")":
            raise BadFilter("A closing parenthesis is missing in the filter.")
        return condition, _skip(text, at) + 1
    match = _FIELD.match(text, at)
    if match is None:
        raise BadFilter(f"A field and an operator are expected at position {at + 1} of the filter.")
    value, at = _value(text, match.end())
    return Comparison(match[1], match[2], value), at


def _value(text: str, at: int) -> tuple[str, int]:
    if text.startswith('""', at) and text[at + 2 : at + 3] not in {"", '"', ";", ",", ")", " "}:
        return _doubled(text, at + 2)
    if text.startswith('"', at):
        return _quoted(text, at + 1)
    return _bare(text, at)


def _quoted(text: str, at: int) -> tuple[str, int]:
    """Up to the closing quote; a quote inside is doubled."""
    parts = []
    while True:
        end = text.find('"', at)
        if end < 0:
            raise BadFilter("A closing quote is missing in the filter.")
        parts.append(text[at:end])
        if not text.startswith('""', end):
            return "".join(parts), end + 1
        parts.append('"')
        at = end + 2


def _doubled(text: str, at: int) -> tuple[str, int]:
    """`""Zed""`, as the vendor's example has it: the value is Zed in quotes."""
    end = text.find('""', at)
    if end < 0:
        raise BadFilter("A closing quote is missing in the filter.")
    return f'"{text[at:end]}"', end + 2


def _bare(text: str, at: int) -> tuple[str, int]:
    """Up to a separator; the server drops the spaces, silently."""
    depth = 0
    end = at
    while end < len(text):
        char = text[end]
        if char in ";," and not depth:
            break
        depth += (char == "(") - (char == ")")
        if depth < 0:
            break
        end += 1
    value = text[at:end].replace(" ", "")
    if not value:
        raise BadFilter(f"A value is missing at position {at + 1} of the filter.")
    return value, end


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _peek(text: str, at: int) -> str:
    at = _skip(text, at)
    return text[at : at + 1]
