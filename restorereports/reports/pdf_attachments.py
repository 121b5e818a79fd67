"""Files inside a PDF/A-3, as associated files of the document, straight from disk.

WeasyPrint's own attachments are read into memory, packed once more and listed twice among the associated files; so they
are added here, when the PDF is otherwise finished. The only file besides `pdf` that knows how a PDF is written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import pydyf

_MEDIA_TYPES: Final = {".csv": "text/csv", ".gz": "application/gzip", ".json": "application/json"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Attached:
    """A file that travels in the PDF. `relationship` is PDF/A-3's word for what it is to the document."""

    name: str
    path: Path
    description: str
    relationship: Literal["Data", "Supplement"]


class _File(pydyf.Stream):
    """A file's bytes as they are, read when they are written and not kept."""

    def __init__(self, path: Path, extra: dict[str, Any]) -> None:
        super().__init__([], extra | {"Length": path.stat().st_size})
        self._path = path

    @property
    def data(self) -> bytes:
        """What the PDF's identifier is made of: the checksum in the dictionary stands for the file."""
        return bytes(pydyf.Dictionary(self.extra).data)

    @property
    def indirect(self) -> bytes:
        head = f"{self.number} {self.generation} obj\n".encode() + self.data + b"\nstream\n"
        return b"".join((head, self._path.read_bytes(), b"\nendstream\nendobj"))


def attach(pdf: pydyf.PDF, files: Sequence[Attached], *, at: datetime) -> None:
    """Add the files to a finished PDF, dated `at`: in its list of embedded files, and as associated files, each once."""
    if not files:
        return
    names, associated = pydyf.Array(), pydyf.Array()
    for file in sorted(files, key=lambda one: one.name):  # a name tree is sorted
        specification = _specification(pdf, file, at)
        names.extend([pydyf.String(file.name), specification.reference])
        associated.append(specification.reference)
    tree = pydyf.Dictionary({"Names": names})
    pdf.add_object(tree)
    pdf.catalog.setdefault("Names", pydyf.Dictionary())["EmbeddedFiles"] = tree.reference
    pdf.catalog["AF"] = associated


def _specification(pdf: pydyf.PDF, file: Attached, at: datetime) -> pydyf.Dictionary:
    moment = pydyf.String(at.astimezone(UTC).strftime("D:%Y%m%d%H%M%SZ"))
    with file.path.open("rb") as source:
        checksum = hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    parameters = {"CheckSum": f"<{checksum}>", "Size": file.path.stat().st_size}
    media_type = _MEDIA_TYPES[Path(file.name).suffix].replace("/", "#2f")
    stream = _File(
        file.path,
        {
            "Type": "/EmbeddedFile",
            "Subtype": f"/{media_type}",
            "Params": pydyf.Dictionary(parameters | {"CreationDate": moment, "ModDate": moment}),
        },
    )
    pdf.add_object(stream)
    specification = pydyf.Dictionary(
        {
            "Type": "/Filespec",
            "F": pydyf.String(file.name),
            "UF": pydyf.String(file.name),
            "EF": pydyf.Dictionary({"F": stream.reference, "UF": stream.reference}),
            "Desc": pydyf.String(file.description),
            "AFRelationship": f"/{file.relationship}",
        }
    )
    pdf.add_object(specification)
    return specification
