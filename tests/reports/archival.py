"""What PDF/A-3a asks of a file, read out of its objects; no validator of the standard is at hand here.

Each function returns what is wrong, in words; nothing is good. The clauses are those of ISO 19005-3.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from fontTools.ttLib import TTFont
from pypdf import PdfReader
from pypdf.generic import ContentStream

_PAINTS = {b"Tj", b"TJ", b"f", b"F", b"f*", b"S", b"s", b"B", b"B*", b"b", b"b*", b"sh", b"Do"}
_DEEPEST = 28  # nested q operators, 6.1.13
_PRINTED, _HIDDEN = 4, 1 | 2 | 32  # flags of annotations, 6.3.2
_FORBIDDEN = ("/AA", "/OpenAction", "/JavaScript", "/NeedsRendering", "/Perms", "/AcroForm", "/Encrypt")


def faults(file: PdfReader) -> list[str]:
    return [*_head(file), *_pages(file), *_images(file), *_fonts(file), *_annotations(file)]


def _head(file: PdfReader) -> Iterator[str]:
    root = file.trailer["/Root"]
    if "/ID" not in file.trailer or file.is_encrypted:
        yield "6.1.3: no identifier, or encrypted"
    yield from (f"6.6.1: {name} in the catalog" for name in _FORBIDDEN if name in root)
    (intent,) = root["/OutputIntents"]
    profile = intent["/DestOutputProfile"].get_object()
    head = profile.get_data()[:40]
    if intent["/S"] != "/GTS_PDFA1" or profile["/N"] != 3 or head[12:20] not in (b"mntrRGB ", b"prtrRGB "):
        yield "6.2.3: the output intent is no RGB profile"
    if not root["/MarkInfo"]["/Marked"] or not str(root.get("/Lang", "")):
        yield "6.7: not marked, or without a language"


def _pages(file: PdfReader) -> Iterator[str]:
    """Nothing is painted outside the structure tree or an artifact, nothing nests too deep, no colour is CMYK."""
    for number, page in enumerate(file.pages, start=1):
        depth, marks = 0, []
        for operands, operator in ContentStream(page.get_contents(), file).operations:
            if operator in (b"q", b"Q"):
                depth += 1 if operator == b"q" else -1
                if depth > _DEEPEST:
                    yield f"6.1.13: page {number} nests {depth} states"
            elif operator in (b"BMC", b"BDC"):
                marks.append((operands[0], operands[1] if len(operands) > 1 else {}))
            elif operator == b"EMC":
                marks.pop()
            elif operator in (b"k", b"K"):
                yield f"6.2.4.3: page {number} paints in CMYK"
            elif operator in _PAINTS and not any(_is_told(*mark) for mark in marks):
                yield f"6.7.2: page {number} paints by {operator.decode()} what no structure holds"
        if depth or marks:
            yield f"page {number} leaves states or marks open"


def _is_told(tag: Any, properties: Any) -> bool:
    return tag == "/Artifact" or (isinstance(properties, dict) and "/MCID" in properties)


def _images(file: PdfReader) -> Iterator[str]:
    for number in range(1, int(file.trailer["/Size"])):
        found = file.get_object(number)
        if not isinstance(found, dict):
            continue
        if found.get("/Subtype") == "/Image" and found.get("/Interpolate", False) == True:  # noqa: E712 (a PDF object that is true whatever it says)
            yield f"6.2.8: image {number} asks to be interpolated"
        if "/LZWDecode" in str(found.get("/Filter", "")):
            yield f"6.1.7.2: stream {number} is packed by LZW"


def fonts_of(file: PdfReader) -> dict[str, Any]:
    found = {}
    for page in file.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            found[str(font.get_object()["/BaseFont"])] = font.get_object()
    return found


def _fonts(file: PdfReader) -> Iterator[str]:
    """Each is embedded, maps to text, and is as wide as the dictionary says."""
    for name, font in fonts_of(file).items():
        (descendant,) = font["/DescendantFonts"]
        inner = descendant.get_object()
        descriptor = inner["/FontDescriptor"].get_object()
        program = descriptor.get("/FontFile2") or descriptor.get("/FontFile3")
        if program is None or font["/Encoding"] != "/Identity-H" or inner["/CIDToGIDMap"] != "/Identity":
            yield f"6.2.11.4: {name} is not embedded as it should be"
            continue
        if "/ToUnicode" not in font:
            yield f"6.2.11.7: {name} maps to no text"
        embedded = TTFont(io.BytesIO(program.get_object().get_data()))
        for glyph, width in _widths(inner["/W"]):
            real = _width(embedded, glyph)
            if abs(real - width) > 1:
                yield f"6.2.11.5: {name} glyph {glyph} is {real:.0f} wide, not {width:.0f}"


def _widths(stated: list[Any]) -> Iterator[tuple[int, float]]:
    """Of `[first [width …] …]`, as WeasyPrint writes it."""
    for first, widths in zip(stated[::2], stated[1::2], strict=True):
        yield from enumerate(map(float, widths), start=int(first))


def _width(font: TTFont, glyph: int) -> float:
    names = font.getGlyphOrder()
    if glyph >= len(names):
        return -1
    return font["hmtx"][names[glyph]][0] * 1000 / font["head"].unitsPerEm


def _annotations(file: PdfReader) -> Iterator[str]:
    for number, page in enumerate(file.pages, start=1):
        for one in page.get("/Annots", ()):
            note = one.get_object()
            flags = int(note.get("/F", 0))
            if not flags & _PRINTED or flags & _HIDDEN:
                yield f"6.3.2: an annotation of page {number} is not printed"
            if "/StructParent" not in note or "/Contents" not in note:
                yield f"6.7: an annotation of page {number} is in no structure or has no words"
            if "/A" in note and note["/A"].get("/S") not in ("/URI", "/GoTo"):
                yield f"6.5.1: an action of page {number}: {note['/A'].get('/S')}"
