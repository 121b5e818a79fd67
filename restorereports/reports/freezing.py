"""Taking a report's figures and rows out of one frozen view of the database, into files that are never changed again.

The files are written beside their place and put there in one step, once the row says that they are its own.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import zoneinfo
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Final, cast

from django.utils import translation
from django.utils.translation import gettext as _

from restorereports.models import Reader, Report
from restorereports.models.snapshot import snapshot

from . import coverage_csv, sessions_csv
from .cross_footed import same
from .figures import Figures, gather_with_coverage
from .files import DRAFT_SUFFIX, draft_name, folder, frozen_folder, sync_folder
from .frozen import FIGURES, INDEX, Attachment, Frozen, data_hash, figures_text, index_text, read_figures

GZIPPED_OVER: Final = 1_000_000  # bytes of a CSV
_LINES: Final = 500  # written at once
_LEVEL: Final = 3  # half the time of 6 for a tenth more bytes


def freeze(report: Report, reader: Reader, *, as_of: datetime) -> Frozen:
    """Gather figures and rows in one snapshot and write them beside the report's place; `put_in_place` keeps them.

    CrossFootError when the figures contradict each other. Nothing is left behind when it fails.
    """
    draft = folder() / draft_name(report)
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700, parents=True)
    try:
        with translation.override(report.language):
            return _write(report, reader, draft, as_of=as_of)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def put_in_place(report: Report, frozen: Frozen) -> Frozen:
    """Make these the report's files, in place of what an attempt that died has left."""
    place = frozen_folder(report)
    if place.exists():
        left = place.with_name(f"{frozen.folder.name}.old{DRAFT_SUFFIX}")
        place.rename(left)
        shutil.rmtree(left, ignore_errors=True)
    frozen.folder.rename(place)
    sync_folder(place.parent)
    return Frozen(
        folder=place,
        figures=frozen.figures,
        attachments=frozen.attachments,
        data_sha256=frozen.data_sha256,
    )


def _write(report: Report, reader: Reader, draft: Path, *, as_of: datetime) -> Frozen:
    scope = report.restore_session_scope()
    with snapshot():
        figures, covered = gather_with_coverage(
            scope=scope,
            zone=zoneinfo.ZoneInfo(report.zone),
            as_of=as_of,
            reader=reader,
            policy_version=report.policy_version,
        )
        files = [_write_csv(draft, "sessions.csv", sessions_csv.lines(scope, reader=reader))]
        if covered is not None:
            files.append(_write_csv(draft, "coverage.csv", coverage_csv.lines(covered)))
    _foot(figures, files)
    attachments = tuple(files)
    text = figures_text(figures)
    _write_whole(draft / FIGURES, text)
    _write_whole(draft / INDEX, index_text(attachments))
    sync_folder(draft)
    return Frozen(
        folder=draft,
        figures=read_figures(text),  # what is rendered now is what is read back later
        attachments=attachments,
        data_sha256=data_hash(text, attachments),
    )


def _foot(figures: Figures, files: list[Attachment]) -> None:
    """The files hold as many rows as the figures count. CrossFootError."""
    same(_("restore sessions in the period"), figures.counts.total, _("rows of sessions.csv"), files[0].rows)
    if figures.policy is not None:
        in_scope = figures.policy.total("in_scope")
        same(_("VMs in scope"), in_scope, _("rows of coverage.csv"), files[1].rows)


def _write_csv(draft: Path, name: str, lines: Iterable[str]) -> Attachment:
    """Plain up to GZIPPED_OVER bytes, gzipped beyond, in one pass and bounded memory; the same lines, the same bytes."""
    plain = hashlib.sha256()
    plain_size, rows = 0, -1  # the header is no row
    path = draft / name
    held: list[bytes] = []
    packed: gzip.GzipFile | None = None
    with (draft / "rows").open("wb") as file:
        for block, lines_in_it in _blocks(lines):
            plain.update(block)
            plain_size += len(block)
            rows += lines_in_it
            if packed is None:
                held.append(block)
                if plain_size <= GZIPPED_OVER:
                    continue
                packed = gzip.GzipFile("", "wb", _LEVEL, cast(IO[bytes], file), mtime=0)
                block, held = b"".join(held), []
            packed.write(block)
        if packed is None:
            file.write(b"".join(held))
        else:
            packed.close()
            path = draft / f"{name}.gz"
        file.flush()
        os.fsync(file.fileno())
    (draft / "rows").rename(path)
    with path.open("rb") as written:
        sha256 = hashlib.file_digest(written, "sha256").hexdigest()
    return Attachment(
        name=path.name,
        rows=rows,
        size=path.stat().st_size,
        sha256=sha256,
        plain_size=plain_size,
        plain_sha256=plain.hexdigest(),
    )


def _blocks(lines: Iterable[str]) -> Iterator[tuple[bytes, int]]:
    """Some lines at once, and how many they are."""
    block: list[str] = []
    for line in lines:
        block.append(line)
        if len(block) == _LINES:
            yield "".join(block).encode(), len(block)
            block = []
    if block:
        yield "".join(block).encode(), len(block)


def _write_whole(path: Path, text: bytes) -> None:
    with path.open("wb") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
