"""Writes a document as EM's XML or JSON. JSON casing, null policy, BOM and the order of attributes are switches."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import cast

from restorereports.emulator.exchange import Document, Json, JsonValue, Reply, Rows
from restorereports.emulator.switches import Switches

NAMESPACE = "http://www.veeam.com/ent/v1.0"
_BOM = b"\xef\xbb\xbf"
_DECLARATION = '<?xml version="1.0" encoding="utf-8"?>'
_EXTRA_NAMESPACES = (
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
)
# Members that are attributes in XML, in the orders seen in samples of different versions.
_ORDERS = (
    ("Href", "Type", "Name", "UID", "VmDisplayName"),
    ("Type", "Href", "Name", "VmDisplayName", "UID"),
    ("UID", "VmDisplayName", "Name", "Type", "Href"),
)
_OTHER_ATTRIBUTES = ("Message", "StatusCode", "Status", "PageNum", "PageSize", "PagesCount", "Success")
_LINK_ORDERS = (
    ("Href", "Name", "Type", "Rel"),
    ("Rel", "Type", "Href", "Name"),
    ("Type", "Rel", "Name", "Href"),
)
_ATTRIBUTES = frozenset((*_ORDERS[0], *_OTHER_ATTRIBUTES))
# Elements that are called differently from what the list's name makes one expect.
_ITEMS = {"EntityReferences": "Ref", "SystemSessions": "Sessions", "SystemSessionEvents": "Events"}
# Attributes elsewhere, elements here.
_TEXT_MEMBERS = {
    "Result": frozenset({"Message", "IsCanceled"}),
    "Events": frozenset({"Message", "Status"}),
}

Write = Callable[[str], None]


def write_reply(document: Document, *, as_json: bool, switches: Switches, turn: int) -> Reply:
    """The answer to send; `turn` counts the answers and chooses the order of attributes where it varies."""
    if as_json:
        rows = {} if document.rows is None else {document.rows.name: cast(JsonValue, [*document.rows.items])}
        body = _write_json({**document.members, **rows}, switches)
        content_type = "application/json; charset=utf-8"
    else:
        variant = turn % len(_ORDERS) if switches.attribute_order == "varying" else 0
        body = _write_xml(document, variant)
        content_type = "application/xml"
    if switches.bom:
        body = _BOM + body
    return Reply(document.status, body, {"Content-Type": content_type, **document.headers})


def _write_json(members: Json, switches: Switches) -> bytes:
    value: JsonValue = members
    if switches.json_casing == "camel" or switches.nulls == "omit":
        value = _restyle(value, switches.json_casing == "camel", switches.nulls == "omit")
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _restyle(value: JsonValue, camel: bool, omit: bool) -> JsonValue:
    if isinstance(value, dict):
        return {
            (_camel(name) if camel else name): _restyle(member, camel, omit)
            for name, member in value.items()
            if member is not None or not omit
        }
    if isinstance(value, list):
        return [_restyle(item, camel, omit) for item in value]
    return value


@cache
def _camel(name: str) -> str:
    """`UID` -> `uid`, `VmDisplayName` -> `vmDisplayName`, `CreationTimeUTC` -> `creationTimeUTC`."""
    end = 0
    while end < len(name) and name[end].isupper():
        end += 1
    if end > 1 and end < len(name):
        end -= 1  # the last capital begins the next word
    return name[:end].lower() + name[end:]


def _write_xml(document: Document, variant: int) -> bytes:
    parts = [_DECLARATION]
    space = f' xmlns="{NAMESPACE}"'
    if variant == 0:
        _element(parts.append, document.root, document.members, variant, after=space)
    else:
        extra = _EXTRA_NAMESPACES if variant == 2 else ""
        _element(parts.append, document.root, document.members, variant, before=space, after=extra)
    if document.rows is None:
        return "".join(parts).encode()
    return _with_rows("".join(parts), document.root, document.rows, variant)


def _with_rows(whole: str, root: str, rows: Rows, variant: int) -> bytes:
    """The document, with these rows as the last children of its root; written row by row, for there may be many."""
    tag = _item(root, rows.name)
    opened = whole[: -len(" />")] + ">" if whole.endswith(" />") else whole.removesuffix(f"</{root}>")
    body = bytearray(opened.encode())
    for row in rows.items:
        parts: list[str] = []
        _element(parts.append, tag, row, variant)
        body += "".join(parts).encode()
    body += f"</{root}>".encode()
    return bytes(body)


def _element(
    write: Write, tag: str, members: Json, variant: int, *, before: str = "", after: str = ""
) -> None:
    """One element: attributes, then `Links`, then the other members in the order given; nulls are left out."""
    elements = _TEXT_MEMBERS.get(tag, frozenset())
    write(f"<{tag}{before}")
    for name in (*_ORDERS[variant], *_OTHER_ATTRIBUTES):
        value = members.get(name)
        if value is not None and name not in elements:
            write(f' {name}="{_text(value)}"')
    write(after)
    inner: list[str] = []
    links = members.get("Links")
    if links is not None:
        _links(inner.append, cast(list[Json], links), variant)
    for name, value in members.items():
        if value is None or name == "Links" or (name in _ATTRIBUTES and name not in elements):
            continue
        _member(inner.append, tag, name, value, variant)
    if inner:
        write(">")
        write("".join(inner))
        write(f"</{tag}>")
    else:
        write(" />")


def _member(write: Write, parent: str, name: str, value: JsonValue, variant: int) -> None:
    if isinstance(value, dict):
        _element(write, name, value, variant)
    elif isinstance(value, list):
        item = _item(parent, name)
        for member in value:
            _element(write, item, cast(Json, member), variant)
    else:
        text = _text(value)
        write(f"<{name}>{text}</{name}>" if text else f"<{name} />")


def _item(parent: str, name: str) -> str:
    return _ITEMS.get(parent) or name.removesuffix("s")


def _links(write: Write, links: list[Json], variant: int) -> None:
    order = _LINK_ORDERS[variant]
    write("<Links>")
    for link in links:
        write("<Link")
        for name in order:
            value = link.get(name)
            if value is not None:
                write(f' {name}="{_text(value)}"')
        write(" />")
    write("</Links>")


def _text(value: JsonValue) -> str:
    """A scalar as XML text, escaped for elements and attributes alike."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text or ">" in text:
        text = text.replace("<", "&lt;").replace(">", "&gt;")
    if '"' in text or "'" in text:
        text = text.replace('"', "&quot;").replace("'", "&apos;")
    return text
