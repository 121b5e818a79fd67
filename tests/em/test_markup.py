"""Hostile documents: refused in bounded time and memory."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import pytest

from restorereports.em import markup
from restorereports.em.failures import UnexpectedAnswer
from restorereports.em.markup import attribute, child_text, local_name, parse_xml
from tests.em.scripted_server import XMLNS

LAUGHS = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {name} "{f"&{chr(ord(name) - 1)};" * 10}">' for name in "bcdefghij")
    + "]><lolz>&j;</lolz>"
)


def test_an_ordinary_document_is_read() -> None:
    root = parse_xml(f'<?xml version="1.0" encoding="utf-8"?><A {XMLNS} b="1"><C> ü </C></A>'.encode())

    assert (local_name(root), attribute(root, "b"), child_text(root, "C")) == ("A", "1", "ü")
    assert (attribute(root, "none"), child_text(root, "None")) == ("", "")


def test_a_byte_order_mark_is_tolerated() -> None:
    assert local_name(parse_xml(b"\xef\xbb\xbf<A/>")) == "A"


def test_a_foreign_namespace_has_no_name_for_us() -> None:
    assert local_name(parse_xml(b'<A xmlns="urn:other"/>')) == ""


@pytest.mark.parametrize(
    "body",
    [
        LAUGHS.encode(),
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd"><a/>',
        b"<!-- first --><!DOCTYPE html><html/>",
    ],
)
def test_any_document_type_is_refused_for_good(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="document type") as refused:
        parse_xml(body)

    assert not refused.value.transient


def test_a_document_type_hidden_in_another_encoding_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    text = f'<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}">]><a>&x;</a>'

    for body in (text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-7")):
        with pytest.raises(UnexpectedAnswer) as refused:
            parse_xml(body)
        assert "secret" not in str(refused.value)


@pytest.mark.parametrize("body", [b"", b" \n", b"\xef\xbb\xbf"])
def test_an_empty_answer_may_be_better_next_time(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="empty") as refused:
        parse_xml(body)

    assert refused.value.transient


@pytest.mark.parametrize(
    "body", [b"<A><B></A>", b"<A>", b"<A>&nbsp;</A>", b"\x00\x01", b"<A>\xff</A>", b"plain"]
)
def test_a_cut_or_garbled_document_may_be_better_next_time(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="cut off or is not XML") as refused:
        parse_xml(body)

    assert refused.value.transient


@pytest.mark.parametrize(
    ("body", "limit"),
    [
        (b"<a>" * 100_000, 2),
        (b"<a>" * 100_000 + b"</a>" * 100_000, 2),
        (b"<r>" + b"<a/>" * 1_000_000 + b"</r>", 10),
        (b"<r>" + b"x" * 30_000_000 + b"</r>", 5),
        (b"<r a='" + b"x" * 30_000_000 + b"'/>", 5),
    ],
    ids=["nested and open", "nested", "many", "one long text", "one long attribute"],
)
def test_a_monstrous_document_is_refused_quickly(body: bytes, limit: float) -> None:
    began = time.monotonic()

    with pytest.raises(UnexpectedAnswer):
        parse_xml(body)

    assert time.monotonic() - began < limit


def test_depth_is_refused_before_the_document_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "MAX_ELEMENTS", 10)
    tracemalloc.start()

    with pytest.raises(UnexpectedAnswer, match="too many"):
        parse_xml(b"<r>" + b"<a/>" * 100_000 + b"</r>")

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000
