"""A list of any length, row by row while it comes; one row and one piece of the answer are in memory.

As strict as `markup`: UTF-8 only, no document type, no entities, 32 levels, no row over 128 KiB or so. The end of the
iteration means that the document was complete; whatever is wrong raises, and never just ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import cast

from lxml import etree

from restorereports.em.failures import EnterpriseManagerError, UnexpectedAnswer, safe_text
from restorereports.em.markup import (
    BOM,
    MAX_DEPTH,
    cut_or_garbled,
    local_name,
    pull_parser,
    refuse_document_type,
)

MAX_ROW = 128 * 1024  # bytes; a reference has about 700


def rows_of(
    pieces: Iterable[bytes],
    *,
    root: str,
    names: Collection[str],
    refused: Callable[[etree._Element], EnterpriseManagerError],
) -> Iterator[etree._Element]:
    """The children of the root of these names; each is valid until the next one is asked for.

    `refused` makes the failure of an `Error` document. Raises UnexpectedAnswer for another root, another child
    or text between them, and for what is cut, garbled or hostile.
    """
    reading = _Reading(root=root, names=names, refused=refused)
    try:
        for piece in pieces:
            yield from reading.fed(piece)
        reading.close()
        return
    except etree.XMLSyntaxError as error:
        line = error.lineno
    raise cut_or_garbled(line)


class _Reading:
    """The state between two pieces."""

    def __init__(
        self,
        *,
        root: str,
        names: Collection[str],
        refused: Callable[[etree._Element], EnterpriseManagerError],
    ) -> None:
        self._root = root
        self._names = names
        self._refused = refused
        self._parser = pull_parser()
        self._head = b""  # what came before the root
        self._depth = 0
        self._since_row = 0  # bytes
        self._top: etree._Element | None = None

    def fed(self, piece: bytes) -> Iterator[etree._Element]:
        if self._top is None:
            piece = self._without_mark(piece)
        self._since_row += len(piece)
        self._parser.feed(piece)
        for event, read in self._parser.read_events():
            element = cast(etree._Element, read)  # the other kinds of events were not asked for
            self._depth += 1 if event == "start" else -1
            if self._depth > MAX_DEPTH:
                raise UnexpectedAnswer("The answer is nested too deeply.")
            if event == "start" and self._depth == 1:
                self._begin(element)
            elif event == "end" and self._depth == 1:
                self._since_row = 0
                if self._is_row(element):
                    yield element
                self._forget(element)
        if self._since_row > MAX_ROW + len(piece):
            raise UnexpectedAnswer(f"A row of the answer has more than {MAX_ROW} bytes.")

    def close(self) -> None:
        if not self._head.strip():
            raise UnexpectedAnswer("The answer is empty.", transient=True)
        self._refuse_text(self._parser.close())

    def _without_mark(self, piece: bytes) -> bytes:
        """The piece without a byte order mark; refuses a document type, which can stand before the root only."""
        if not self._head:
            piece = piece.removeprefix(BOM)
        self._head += piece
        refuse_document_type(self._head)
        return piece

    def _begin(self, top: etree._Element) -> None:
        if local_name(top) == "Error":
            raise self._refused(top)
        if local_name(top) != self._root:
            raise UnexpectedAnswer(f"{safe_text(str(top.tag), limit=80)} came instead of {self._root}.")
        self._top = top

    def _is_row(self, element: etree._Element) -> bool:
        name = local_name(element)
        if name not in self._names and name != "Links":
            raise UnexpectedAnswer(f"{self._root} holds {safe_text(str(element.tag), limit=80)}.")
        return name in self._names

    def _forget(self, row: etree._Element) -> None:
        """Free the row and the one before. Not the row itself: the parser may still hold on to the last one."""
        row.clear(keep_tail=True)  # type: ignore[call-arg]  # the stubs lag behind
        before = row.getprevious()
        if before is not None and self._top is not None:
            self._refuse_text(self._top)
            self._top.remove(before)

    def _refuse_text(self, top: etree._Element) -> None:
        """Before or behind the first row that is still there."""
        texts = [top.text, top[0].tail if len(top) else None]
        if any(text and text.strip() for text in texts):
            raise UnexpectedAnswer(f"{self._root} holds text between its rows.", transient=True)
