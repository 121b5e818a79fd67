"""EM's collections: when it copied the data of its backup servers, and how that went -> records.

EM's pages: "SystemSessions" (get_systemsessions, get_systemsessions_id), "SystemSessionEvents"
(systemsessions_id_events). EM goes on serving old rows after a collection that failed, without a mark on them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from restorereports.em.failures import UnexpectedAnswer, safe_text
from restorereports.em.fields import beginning_of, number_of, time_of, uid_of
from restorereports.em.markup import attribute, child, child_text, local_name

COLLECTION_KINDS = frozenset({"collectjob", "historycollectjob"})
EVENT_TEXT_LIMIT = 500  # characters
_GOOD = frozenset({"CompletedSuccessfully", "Success"})
_PARTIAL = frozenset({"CompletedWarning", "Warning"})
_STATES = ("Status", "State", "Result", "Severity")
_IN_A_FAILURE = re.compile(
    r"\b(fail|error|cannot|can't|could not|unable|denied|timed? ?out|unreachable)", re.IGNORECASE
)
_FAILED_STATES = frozenset({"failed", "failure", "error"})
_NO_WORDS = frozenset(
    {"Links", "Href", "UID", "Type", "Order", "CreationTimeUTC"}
)  # said of an event, not by it


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionEntity:
    """One run of a collection; times are aware UTC. `kind`, `state` and `result` are EM's words, "" if none."""

    uid: str
    kind: str
    started_at: datetime
    ended_at: datetime | None
    state: str
    result: str
    message: str

    @property
    def finished(self) -> bool:
        """EM says that it runs no more, and when it ended."""
        return self.state != "InProgress" and self.ended_at is not None

    @property
    def good(self) -> bool:
        """Finished, said to be successful, and nothing said against it."""
        said = {self.state, self.result}
        return self.finished and bool(said & _GOOD) and not said & (_PARTIAL | {"Failed"})

    @property
    def partial(self) -> bool:
        """Finished with a warning: usually some backup servers were not reached."""
        said = {self.state, self.result}
        return self.finished and bool(said & _PARTIAL) and "Failed" not in said


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionEvent:
    """One line of the log of a collection; `state` is EM's word, "" where it gives none (as documented)."""

    state: str
    text: str

    @property
    def failed(self) -> bool:
        """By EM's word if there is one, else read out of the text, which is a guess."""
        if self.state:
            return self.state.casefold() in _FAILED_STATES
        return _IN_A_FAILURE.search(self.text) is not None


def is_collection(element: etree._Element) -> bool:
    """Whether this system session is one of the two kinds that collect."""
    return child_text(element, "SessionType").casefold() in COLLECTION_KINDS


def read_collection(element: etree._Element) -> CollectionEntity:
    """One of the `Sessions` of EM. Raises UnexpectedAnswer, naming the UID."""
    uid = uid_of(element, "SystemSession")
    outcome = child(element, "Result")
    nested = outcome is not None and child(outcome, "Result") is not None
    return CollectionEntity(
        uid=uid,
        kind=child_text(element, "SessionType"),
        started_at=beginning_of(element, uid),
        ended_at=time_of(element, "EndTimeUTC"),
        state=child_text(element, "State"),
        result=child_text(outcome if nested and outcome is not None else element, "Result"),
        message=safe_text(child_text(outcome, "Message")) if outcome is not None else "",
    )


def read_collection_events(root: etree._Element) -> list[CollectionEvent]:
    """A `SystemSessionEvents`, in EM's order. Raises UnexpectedAnswer for another document.

    The vendor's one sample repeats `Events` with CreationTimeUTC, Message and Order. Any other element that
    holds words is taken for an event too, since no schema of this answer is published.
    """
    if local_name(root) != "SystemSessionEvents":
        raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of events.")
    events = (CollectionEvent(state=_state(row), text=_text(row)) for row in sorted(_rows(root), key=_order))
    return [event for event in events if event.text]


def _rows(element: etree._Element) -> Iterator[etree._Element]:
    """The rows below an element, also where they stand in a list inside it."""
    for row in element:
        if local_name(row) in ("", "Links"):
            continue
        parts = [part for part in row if local_name(part) != "Links"]
        if parts and child(row, "Message") is None and all(len(part) or part.attrib for part in parts):
            yield from _rows(row)
        else:
            yield row


def _order(row: etree._Element) -> int:
    return number_of(row, "Order") or 0


def _state(row: etree._Element) -> str:
    said = (attribute(row, name) or child_text(row, name) for name in _STATES)
    return safe_text(next((word for word in said if word.strip()), ""), limit=60)


def _text(row: etree._Element) -> str:
    """The Message; without one, all words of the event but its state, joined."""
    message = attribute(row, "Message") or child_text(row, "Message")
    return safe_text(message or " ".join(_words(row)), limit=EVENT_TEXT_LIMIT)


def _words(row: etree._Element) -> Iterator[str]:
    for name, value in row.attrib.items():
        if name not in _NO_WORDS and name not in _STATES:
            yield str(value)
    yield row.text or ""
    for part in row:
        if local_name(part) not in _NO_WORDS and local_name(part) not in _STATES:
            yield " ".join(str(text) for text in part.itertext())
        yield part.tail or ""
