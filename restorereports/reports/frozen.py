"""Figures and rows of a report as files that never change: figures.json, sessions.csv, coverage.csv, index.json.

A report is rendered from these alone, however often, and never from the tables: what was counted once stays counted.
The data hash covers the figures and the plain bytes of each CSV; it is what people approve of a draft, and what a final
report made of it bears again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from django.utils.translation import gettext as _
from pydantic import TypeAdapter, ValidationError

from .figures import Figures

FIGURES: Final = "figures.json"
INDEX: Final = "index.json"


class FrozenChanged(Exception):
    """The frozen files are not what they were; the message says which one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """A CSV of the report: `name` as it lies in the folder and in the PDF, gzipped or not.

    `rows` without the header. `plain_*` are of the CSV's own text, `size` (bytes) and `sha256` of the file as it is.
    """

    name: str
    rows: int
    size: int
    sha256: str
    plain_size: int
    plain_sha256: str

    @property
    def plain_name(self) -> str:
        return self.name.removesuffix(".gz")


@dataclass(frozen=True, kw_only=True, slots=True)
class Frozen:
    """What a report is rendered from, and where its files lie."""

    folder: Path
    figures: Figures
    attachments: tuple[Attachment, ...]
    data_sha256: str


def canonical(value: Any) -> bytes:
    """JSON with sorted names, without blanks, in UTF-8: equal values give equal bytes."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


@functools.cache
def _adapter() -> TypeAdapter[Figures]:
    return TypeAdapter(Figures)


def figures_text(figures: Figures) -> bytes:
    """The figures as canonical JSON; `read_figures` gives back equal ones."""
    return canonical(_adapter().dump_python(figures, mode="json"))


def read_figures(text: bytes) -> Figures:
    """ValueError when these are no figures, or those of a version that counts otherwise."""
    return _adapter().validate_json(text)


def data_hash(figures: bytes, attachments: tuple[Attachment, ...]) -> str:
    """SHA-256 over the figures' hash and the hash of each CSV's plain bytes, by plain name."""
    files = {one.plain_name: one.plain_sha256 for one in attachments}
    return hashlib.sha256(
        canonical({"figures": hashlib.sha256(figures).hexdigest(), "files": files})
    ).hexdigest()


def index_text(attachments: tuple[Attachment, ...]) -> bytes:
    return canonical([dataclasses.asdict(one) for one in attachments])


def read(folder: Path, *, data_sha256: str) -> Frozen:
    """The files of one report; FrozenChanged when one is missing or not the one that was frozen."""
    try:
        text = (folder / FIGURES).read_bytes()
        index = read_index(folder)
        for one in index:
            if sha256_of(folder / one.name) != one.sha256:
                raise FrozenChanged(_("The frozen file %s was changed.") % one.name)
        if data_hash(text, index) != data_sha256:
            raise FrozenChanged(_("The frozen figures or rows are not those of the data hash on record."))
        figures = read_figures(text)
    except OSError as failure:
        name = Path(failure.filename).name if failure.filename else str(failure.strerror)
        raise FrozenChanged(_("The frozen file %s is missing or cannot be read.") % name) from None
    except ValidationError:
        raise FrozenChanged(
            _("The frozen figures were taken by another version of this program, which renders them no more.")
        ) from None
    return Frozen(folder=folder, figures=figures, attachments=index, data_sha256=data_sha256)


def read_index(folder: Path) -> tuple[Attachment, ...]:
    """FrozenChanged when it was changed beyond reading; OSError when it is missing."""
    try:
        found = tuple(Attachment(**one) for one in json.loads((folder / INDEX).read_bytes()))
        if all(
            one.name in {"sessions.csv", "sessions.csv.gz", "coverage.csv", "coverage.csv.gz"}
            for one in found
        ):
            return found
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    raise FrozenChanged(_("The frozen file %s was changed.") % INDEX)


def sha256_of(path: Path) -> str:
    """Of the file's bytes, in bounded memory. OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
