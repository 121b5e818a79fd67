"""Entries of the audit trail as pages and the CSV show them: names only of whom and what the reader may know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from restorereports.models import AuditEntry, User

from .audit_filters import OBJECT_TYPES, knows_object

_TYPES = dict(OBJECT_TYPES)
# Their details are by field what it was and what it became.
# What somebody's groups took from him would otherwise stand in his own entries.
_OF_GRANTS = frozenset({AuditEntry.Action.GRANTS_CHANGED, AuditEntry.Action.PERSON_CHANGED})
_CHANGES = frozenset(
    {AuditEntry.Action.EM_CHANGED, AuditEntry.Action.PIN_ACCEPTED, AuditEntry.Action.SCHEDULE_CHANGED}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """`person` and `object_name` are None where they are unknown to the reader; "" where there is none.

    `details` are (key, value) in plain words; None where they are not for the reader.
    """

    number: int
    at: datetime
    action: str
    via: str
    person: str | None
    address: str
    object_type: str
    object_name: str | None
    details: Sequence[tuple[str, str]] | None
    hash: str


def row_of(entry: AuditEntry, reader: User) -> Row:
    """What others did may name what the reader may not know: of that only who, what and when is told."""
    everything = reader.granted.everything
    own = entry.person_id == reader.pk
    known = everything or entry.person is None or reader.knows(entry.person)
    object_known = knows_object(reader, entry)
    return Row(
        number=entry.number,
        at=entry.at,
        action=_word(AuditEntry.Action, entry.action),
        via=_word(AuditEntry.Via, entry.via),
        person=entry.person_name if known else None,
        address=entry.address if everything or own else "",
        object_type=str(_TYPES.get(entry.object_type, entry.object_type)),
        object_name=entry.object_name if object_known else None,
        details=tuple(_lines(entry.details, changes=entry.action in _CHANGES))
        if everything or (own and object_known and entry.action not in _OF_GRANTS)
        else None,
        hash=entry.hash,
    )


def _word(choices: Any, value: str) -> str:
    return str(choices(value).label) if value in choices.values else value


def _lines(details: Any, before: str = "", *, changes: bool = False) -> Iterator[tuple[str, str]]:
    """One line a value: nested names joined by a dot, a change as what it was and what it became."""
    if isinstance(details, Mapping):
        for name, value in details.items():
            key = f"{before}.{name}" if before else str(name)
            if isinstance(value, Mapping) and value:
                yield from _lines(value, key)
            elif changes and isinstance(value, list) and len(value) == 2:
                yield key.replace("_", " "), f"{_text(value[0])} → {_text(value[1])}"
            else:
                yield key.replace("_", " "), _text(value)
    else:
        yield before, _text(details)


def _text(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(_text(part) for part in value)
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {_text(part)}" for name, part in value.items())
    return str(value)
