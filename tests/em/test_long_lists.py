"""Lists without pages, read while they come: complete, or a failure; and never much of them in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterable, Iterator

import pytest
from lxml import etree

from restorereports.em.failures import EnterpriseManagerError, UnexpectedAnswer
from restorereports.em.long_lists import MAX_ROW, rows_of
from restorereports.em.markup import attribute
from tests.em.scripted_server import XMLNS

HEAD = f"<?xml version='1.0' encoding='utf-8'?><EntityReferences {XMLNS}>".encode()
TAIL = b"</EntityReferences>"


def row(number: int) -> bytes:
    return f'<Ref UID="{number}"><Links><Link Rel="Up"/></Links></Ref>'.encode()


def in_pieces(body: bytes, size: int) -> Iterator[bytes]:
    return (body[at : at + size] for at in range(0, len(body), size))


def read(pieces: Iterable[bytes]) -> list[str]:
    def refused(error: etree._Element) -> EnterpriseManagerError:
        return UnexpectedAnswer(attribute(error, "Message"))

    rows = rows_of(pieces, root="EntityReferences", names=("Ref",), refused=refused)
    return [attribute(element, "UID") for element in rows]


@pytest.mark.parametrize("size", [1, 7, 64, 100_000])
@pytest.mark.parametrize("between", [b"", b"\r\n  ", b"<!-- c -->", b"<?pi?>"])
def test_every_row_is_read_however_the_answer_is_cut_into_pieces(size: int, between: bytes) -> None:
    rows = between.join(row(number) for number in range(20))
    body = HEAD + b"<Links/>" + between + rows + between + TAIL + b"\r\n"

    assert read(in_pieces(body, size)) == [str(number) for number in range(20)]


@pytest.mark.parametrize(
    "body", [HEAD + TAIL, f"<EntityReferences {XMLNS}/>".encode(), b"<EntityReferences/>"]
)
def test_a_list_may_be_empty(body: bytes) -> None:
    assert read([body]) == []


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_a_byte_order_mark_is_tolerated(size: int) -> None:
    assert read(in_pieces(b"\xef\xbb\xbf" + HEAD + row(1) + TAIL, size)) == ["1"]


@pytest.mark.parametrize(
    "body",
    [
        HEAD + row(1),
        HEAD + row(1) + b"<Ref",
        HEAD + row(1) + b'<Ref UID="2">',
        HEAD + row(1) + b"</Entity",
        HEAD + row(1) + b"<Ref UID=2/>" + TAIL,
        HEAD + row(1) + b"<Ref>\xff</Ref>" + TAIL,
        HEAD + row(1) + b"<Ref>&nbsp;</Ref>" + TAIL,
        HEAD + row(1) + TAIL + row(2),
        b"",
        b" \n",
        b"\xef\xbb\xbf",
        b"plain",
        HEAD[:20],
    ],
)
@pytest.mark.parametrize("size", [1, 5, 100_000])
def test_a_cut_or_garbled_list_is_never_a_short_one(body: bytes, size: int) -> None:
    with pytest.raises(UnexpectedAnswer, match=r"cut off|empty") as failed:
        read(in_pieces(body, size))

    assert failed.value.transient


@pytest.mark.parametrize(
    "body",
    [HEAD + b"x" + row(1) + TAIL, HEAD + row(1) + b"x" + row(2) + TAIL, HEAD + row(1) + row(2) + b"x" + TAIL],
)
def test_text_between_the_rows_is_refused(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="text between"):
        read([body])


@pytest.mark.parametrize("child", [b"<Session/>", b'<Ref xmlns="urn:other"/>'])
def test_another_child_than_a_row_is_refused(child: bytes) -> None:
    with pytest.raises(UnexpectedAnswer, match="EntityReferences holds"):
        read([HEAD + row(1) + child + TAIL])


def test_another_document_is_refused_and_an_error_says_what_it_says() -> None:
    with pytest.raises(UnexpectedAnswer, match="came instead of EntityReferences"):
        read([f"<QueryResult {XMLNS}/>".encode()])
    with pytest.raises(UnexpectedAnswer, match=r"Oops\."):
        read([f'<Error {XMLNS} Message="Oops."/>'.encode()])


@pytest.mark.parametrize("size", [1, 4, 100_000])
@pytest.mark.parametrize(
    "before",
    [
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:1/x.dtd">',
        b'<!-- c --><!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>',
    ],
)
def test_any_document_type_is_refused_for_good(before: bytes, size: int) -> None:
    with pytest.raises(UnexpectedAnswer, match="document type") as refused:
        read(in_pieces(before + HEAD + b"<Ref>&b;</Ref>" + TAIL, size))

    assert not refused.value.transient


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-7"])
def test_a_document_type_hidden_in_another_encoding_is_refused(encoding: str) -> None:
    text = "<?xml version='1.0' encoding='utf-16'?><!DOCTYPE a [<!ENTITY x 'secret'>]><a>&x;</a>"

    with pytest.raises(UnexpectedAnswer):
        read([text.encode(encoding)])


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (b"<a>" * 40 + b"</a>" * 40, "nested"),
        (b"<a>" * 100_000, "nested|cut off"),
        (b"<a/>" * 1_000_000, "more than"),
        (b"x" * 10_000_000, "more than"),
    ],
    ids=["deep", "very deep", "many", "long"],
)
def test_a_monstrous_row_is_refused(inside: bytes, text: str) -> None:
    body = HEAD + row(1) + b"<Ref>" + inside + b"</Ref>" + TAIL

    with pytest.raises(UnexpectedAnswer, match=text):
        read(in_pieces(body, 64 * 1024))


def test_a_list_that_never_begins_is_given_up() -> None:
    def pieces() -> Iterator[bytes]:
        while True:
            yield b"<!-- -->" * 1024

    with pytest.raises(UnexpectedAnswer, match="more than"):
        read(pieces())


def test_a_large_row_is_read() -> None:
    large = b'<Ref UID="2" Name="' + b"x" * (MAX_ROW - 100) + b'"/>'

    assert read(in_pieces(HEAD + row(1) + large + row(3) + TAIL, 1000)) == ["1", "2", "3"]


def test_a_list_of_any_length_takes_little_memory() -> None:
    def pieces() -> Iterator[bytes]:
        yield HEAD
        for number in range(0, 100_000, 500):
            yield b"\n".join(row(at) for at in range(number, number + 500))
        yield TAIL

    rows = rows_of(pieces(), root="EntityReferences", names=("Ref",), refused=lambda _: UnexpectedAnswer(""))
    tracemalloc.start()

    count = sum(1 for _ in rows)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100_000
    assert peak < 5_000_000
