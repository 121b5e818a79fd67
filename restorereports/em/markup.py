"""XML from a stranger -> a small, bounded tree. Knows lxml and nothing of EM but its namespace.

Bounds: UTF-8 only, no document type, no entities but the five of XML, no network, 32 levels (an answer of EM has
7), 100,000 elements (a page of 500 restore sessions has 6,000), and 256 KiB in one tag or text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from restorereports.em.failures import UnexpectedAnswer

NAMESPACE = "http://www.veeam.com/ent/v1.0"
MAX_ELEMENTS = 100_000
MAX_DEPTH = 32
MAX_SILENT = 256 * 1024  # bytes between two tags: one start tag, or one text
_CHUNK = 64 * 1024
BOM = b"\xef\xbb\xbf"
# Of canonical XML: a raw `<` begins nothing but a tag, and a raw `"` in a tag only delimits a value.
_START_TAG = re.compile(rb'<[^\s<>/"]+(?: [^\s="]+="[^"]*")+>')
_HOST_OF_HREF = re.compile(rb'( Href=")[A-Za-z][A-Za-z0-9+.-]*://[^/?#"]*')


def parse_xml(body: bytes) -> etree._Element:
    """The root element. Comments, processing instructions and the white space between elements are left out.

    Raises UnexpectedAnswer; transient where the document is cut or garbled, final where it is hostile.
    """
    body = body.removeprefix(BOM)
    if not body.strip():
        raise UnexpectedAnswer("The answer is empty.", transient=True)
    refuse_document_type(body)
    try:
        return _fed(pull_parser(), body)
    except etree.XMLSyntaxError as error:
        line = error.lineno
    raise cut_or_garbled(line)


def pull_parser() -> etree.XMLPullParser:
    """A parser that reads nothing but what it is fed; its events are "start" and "end"."""
    return etree.XMLPullParser(
        events=("start", "end"),
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        recover=False,
        collect_ids=False,
        remove_blank_text=True,
        remove_comments=True,
        remove_pis=True,
    )


def refuse_document_type(head: bytes) -> None:
    """Raises UnexpectedAnswer, for good."""
    if b"<!DOCTYPE" in head:
        raise UnexpectedAnswer(
            "The answer holds a document type declaration, which Enterprise Manager never sends."
        )


def cut_or_garbled(line: int | None) -> UnexpectedAnswer:
    """The failure of a document that breaks off or breaks its rules; it may be better next time."""
    return UnexpectedAnswer(f"The answer is cut off or is not XML (line {line}).", transient=True)


def _fed(parser: etree.XMLPullParser, body: bytes) -> etree._Element:
    """Feed piece by piece, so that depth and count are known before the tree is large."""
    elements = depth = silent = 0
    for start in range(0, len(body), _CHUNK):
        piece = body[start : start + _CHUNK]
        parser.feed(piece)
        silent += len(piece)
        for event, _ in parser.read_events():
            silent = 0
            depth += 1 if event == "start" else -1
            elements += event == "start"
            if depth > MAX_DEPTH or elements > MAX_ELEMENTS:
                raise UnexpectedAnswer("The answer is nested too deeply or holds too many elements.")
        if silent > MAX_SILENT:  # libxml2 builds a tag of a million attributes whole before it says a word
            raise UnexpectedAnswer("The answer holds an element that is too long.")
    return parser.close()


def local_name(element: etree._Element) -> str:
    """The name without its namespace; "" for an element of a foreign namespace."""
    name = etree.QName(element)
    return name.localname if name.namespace in (None, NAMESPACE) else ""


def children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """The direct children of that name, in EM's namespace or in none."""
    return (child for child in element if local_name(child) == name)


def child(element: etree._Element, name: str) -> etree._Element | None:
    """The first direct child of that name."""
    return next(children(element, name), None)


def child_text(element: etree._Element, name: str) -> str:
    """The trimmed text of the first child of that name; absent and empty are both ""."""
    found = child(element, name)
    return "" if found is None else "".join(str(text) for text in found.itertext()).strip()


def attribute(element: etree._Element, name: str) -> str:
    """The attribute's value; absent is ""."""
    return str(element.get(name) or "")


def canonical(element: etree._Element) -> bytes:
    """This element alone as exclusive canonical XML (UTF-8).

    Exclusive, because EM's extra xmlns declarations on the root come and go: equal content gives equal bytes.
    """
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def without_hosts(canonical_xml: bytes) -> bytes:
    """Canonical XML with scheme, host and port cut from the value of every attribute Href."""
    return _START_TAG.sub(lambda tag: _HOST_OF_HREF.sub(rb"\1", tag.group()), canonical_xml)
