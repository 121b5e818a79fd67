"""Reads a PDF back: its text, and which glyphs it really draws (extracted text can be right over empty boxes)."""

from __future__ import annotations

import io
from collections.abc import Iterator

from fontTools.ttLib import TTFont
from pypdf import PdfReader
from pypdf.generic import ContentStream


def reader_of(pdf: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(pdf))


def text_of(pdf: bytes) -> str:
    """All pages' text with blanks folded."""
    return " ".join(" ".join(page.extract_text() for page in reader_of(pdf).pages).split())


def undrawn(pdf: bytes) -> list[str]:
    """Fonts of which a text run shows `.notdef`, with the page.

    That is glyph 0, or a code beyond the embedded font's glyphs: WeasyPrint gives one to each missing
    character and maps it to glyph 0 by a CMap.
    """
    return [
        f"page {number}: {font}"
        for number, page in enumerate(reader_of(pdf).pages, start=1)
        for font, glyphs, codes in _runs(page)
        if any(code == 0 or code >= glyphs for code in codes)
    ]


def glyphs_drawn(pdf: bytes) -> int:
    return sum(len(codes) for page in reader_of(pdf).pages for _font, _glyphs, codes in _runs(page))


def _runs(page) -> Iterator[tuple[str, int, list[int]]]:
    """(font, number of its glyphs, codes) of each text run."""
    fonts = page["/Resources"]["/Font"].get_object()
    font, sizes = None, {}
    for operands, operator in ContentStream(page.get_contents(), page.pdf).operations:
        if operator == b"Tf":
            font = fonts[operands[0]].get_object()
            if font["/BaseFont"] not in sizes:
                sizes[font["/BaseFont"]] = _size(font)
        elif operator in (b"Tj", b"TJ"):
            parts = operands[0] if operator == b"TJ" else operands
            raw = b"".join(_bytes(part) for part in parts if not isinstance(part, int | float))
            assert font["/Subtype"] == "/Type0", "only composite fonts are expected here"
            codes = [int.from_bytes(raw[n : n + 2], "big") for n in range(0, len(raw), 2)]
            yield str(font["/BaseFont"]), sizes[font["/BaseFont"]], codes


def _size(font) -> int:
    (descendant,) = font["/DescendantFonts"]
    descriptor = descendant.get_object()["/FontDescriptor"].get_object()
    file = descriptor.get("/FontFile2") or descriptor["/FontFile3"]
    return TTFont(io.BytesIO(file.get_object().get_data()))["maxp"].numGlyphs


def _bytes(part) -> bytes:
    return part.original_bytes if hasattr(part, "original_bytes") else bytes(part)
