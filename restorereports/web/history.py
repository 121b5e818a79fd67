"""What Enterprise Manager said about one restore session, and when: its record of changes in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from restorereports.models import Outcome, RestoreSession, RestoreSessionChange
from restorereports.templatetags.pages import clock
from restorereports.wording import column_text, duration_text, job_type_text, name_html

SHOWN = 50
LONGEST = 120  # characters of a value that are not folded
_INTERNAL = frozenset({"vm_sort", "virtual_machine_id"})
_FIRST = ("state", "result", "outcome", "ended_at")


@dataclass(frozen=True, kw_only=True, slots=True)
class Word:
    """One column: what stood there and what EM said; of kept ones what stays, and what EM said."""

    label: str
    before: SafeString
    after: SafeString


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One change as one run saw it. `replaced`: the XML before, where nothing else tells the change."""

    change: RestoreSessionChange
    fields: list[Word]
    kept: list[Word]
    gone_since: datetime | None
    replaced: str


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """The newest first."""

    told: list[Told]
    count: int


def history_of(row: RestoreSession) -> History:
    """Two queries, the second only where there are more than are shown."""
    changes = row.changes.select_related("enterprise_manager", "run").order_by("-pk")
    newest = list(changes[: SHOWN + 1])
    count = row.changes.count() if len(newest) > SHOWN else len(newest)
    return History(told=[_told(change) for change in newest[:SHOWN]], count=count)


def last_seen_at(source: Any) -> datetime:
    """Derived: nothing is written for an unchanged row, and a full run marks those that it did not see."""
    known = (source.first_seen_at, source.changed_at, None if source.missing_at else source.read_in_full_at)
    return max(at for at in known if at)


def _told(change: RestoreSessionChange) -> Told:
    gone = change.fields.get("missing_at")
    fields = _words({name: pair for name, pair in change.fields.items() if name != "missing_at"})
    kept = _words(change.kept)
    silent = not fields and not kept and not gone
    return Told(
        change=change,
        fields=fields,
        kept=kept,
        gone_since=_moment(gone[0]) if gone else None,
        replaced=change.payload if silent else "",
    )


def _words(pairs: Mapping[str, list[Any]]) -> list[Word]:
    """The columns that matter most first, in one order whatever the database gives."""
    names = [name for name in pairs if name not in _INTERNAL]
    names.sort(key=lambda name: (_FIRST.index(name) if name in _FIRST else len(_FIRST), name))
    return [
        Word(label=column_text(name), before=_value(name, pairs[name][0]), after=_value(name, pairs[name][1]))
        for name in names
    ]


def _value(column: str, value: Any) -> SafeString:
    if value is None or value == "":
        return format_html('<span class="muted">{}</span>', _("nothing"))
    if column.endswith("_at") and (at := _moment(value)):
        return format_html("{}", clock(at))
    if column == "duration_ms" and isinstance(value, int):
        return format_html("{}", duration_text(value))
    if column == "outcome" and value in Outcome.values:
        return format_html("{}", Outcome(value).label)
    if column == "progress":
        return format_html("{} %", value)
    return _text(job_type_text(value) if column == "job_type" else str(value))


def _text(text: str) -> SafeString:
    """Long ones are folded: the whole is there, and the list of changes stays readable."""
    if len(text) <= LONGEST:
        return name_html(text)
    return format_html(
        "<details><summary>{}… <i>{}</i></summary>{}</details>",
        name_html(text[:LONGEST]),
        _("%s characters") % f"{len(text):,}",
        name_html(text),
    )


def _moment(value: Any) -> datetime | None:
    """A plain JSON time; None where it is none that can be read."""
    try:
        at = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at and at.tzinfo else None
