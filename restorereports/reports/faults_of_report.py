"""What is wrong with one final report: its row against the register and the trail, its files against its row."""

from __future__ import annotations

import gzip
import hashlib
import mmap
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Final

from django.utils.translation import gettext as _

from restorereports.audit.chain import storable
from restorereports.models import AuditEntry, RegisterEntry, Report
from restorereports.policies.terms import sha256_of_plain

from .files import frozen_folder, path_of
from .frozen import FIGURES, Attachment, FrozenChanged, data_hash, read_index, sha256_of
from .issuing import issued_facts
from .manifest import NAME, manifest_text
from .register import Kind

_CHUNK: Final = 1 << 20
_HOLDS: Final = (Kind.HELD, Kind.RELEASED)


def faults_of_row(report: Report, entries: Sequence[RegisterEntry]) -> Iterator[str]:
    """Of a final report and its entries in the register, oldest first."""
    issued = [entry for entry in entries if entry.kind == Kind.ISSUED]
    if not issued:
        yield _("the register has no entry of its issue: it was removed, or the report was never issued")
    elif len(issued) > 1:
        yield _("the register issued it more than once")
    else:
        yield from _differences(issued[0].facts, storable(issued_facts(report)))
    holds = [entry.kind for entry in entries if entry.kind in _HOLDS]
    if report.held != (holds[-1:] == [Kind.HELD]):
        yield _("its row and the register differ on whether it is under legal hold")
    if bool(report.error) != any(entry.kind == Kind.DELETED for entry in entries):
        yield _("its row and the register differ on whether it was deleted")
    superseded = Report.objects.filter(supersedes=report, stage=Report.Stage.FINAL).exclude(finalised_at=None)
    if superseded.exists() != any(entry.kind == Kind.SUPERSEDED for entry in entries):
        yield _("its row and the register differ on whether it was superseded")
    yield from _policy_faults(report)
    yield from _trail_faults(report)


def _differences(registered: Any, here: dict[str, Any]) -> Iterator[str]:
    if not isinstance(registered, dict):
        yield _("its entry in the register cannot be read: it was changed")
        return
    for name, value in here.items():
        if registered.get(name) != value:
            yield _("its row and the register differ: %s") % name


def _policy_faults(report: Report) -> Iterator[str]:
    """The terms that it was judged by, as they are kept now."""
    version, told = report.policy_version, report.manifest.get("policy")
    if version is None or not isinstance(told, dict):
        return
    kept = (sha256_of_plain(version.terms), version.terms_sha256)
    if kept != (told.get("terms_sha256"), told.get("terms_sha256")):
        yield _("the terms of %s are not those that it was judged by") % version


def _trail_faults(report: Report) -> Iterator[str]:
    """What it prints of the audit trail, against its row and the trail as it is."""
    told = report.manifest.get("audit_trail")
    if told != {"length": report.audit_length, "hash": report.audit_hash}:
        yield _("its row and its manifest differ on the state of the audit trail")
    if report.audit_length:
        entry = AuditEntry.objects.filter(number=report.audit_length).values_list("hash", flat=True).first()
        if entry != report.audit_hash:
            words = _("the audit trail has at entry %d not the hash that it prints; verify_audit says more")
            yield words % report.audit_length


def faults_of_files(report: Report, *, deleted: bool) -> Iterator[str]:
    """Of the PDF and the frozen files; OSError never, what cannot be read is a fault."""
    pdf = path_of(report)
    if deleted:
        if pdf.exists() or frozen_folder(report).exists():
            yield _("the register says that it was deleted, and its files are there")
        return
    try:
        if sha256_of(pdf) != report.sha256:
            yield _("%s was changed: its SHA-256 is not the one on record") % pdf.name
        if not _holds(pdf, report.manifest):
            yield _("%(name)s in %(pdf)s is not the one on record") % {"name": NAME, "pdf": pdf.name}
    except FileNotFoundError:
        yield _("%s is missing") % pdf.name
    except (OSError, ValueError) as failure:
        yield _("%(name)s cannot be read: %(why)s") % {"name": pdf.name, "why": failure}
    yield from _frozen_faults(report)


def _holds(pdf: Path, manifest: dict[str, Any]) -> bool:
    """Whether the manifest lies in the PDF byte by byte; embedded files are written as they are (`pdf_attachments`)."""
    with pdf.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as inside:
        return inside.find(b"stream\n" + manifest_text(manifest) + b"\nendstream") >= 0


def _frozen_faults(report: Report) -> Iterator[str]:
    folder = frozen_folder(report)
    try:
        figures, index = (folder / FIGURES).read_bytes(), read_index(folder)
        changed = False
        for one in index:
            for what in _attachment_faults(folder, one):
                changed = True
                yield what
        if not changed and data_hash(figures, index) != report.data_sha256:
            yield _("its frozen figures or rows are not those of the data hash on record")
    except FileNotFoundError as failure:
        name = Path(failure.filename).name
        yield _("its frozen file %s is missing") % name
        return
    except FrozenChanged as failure:
        yield str(failure)
        return
    except OSError as failure:
        yield _("its frozen files cannot be read: %s") % failure
        return
    listed = {one.get("name"): one.get("sha256") for one in report.manifest.get("attachments", [])}
    if listed != {one.name: one.sha256 for one in index}:
        yield _("its frozen files are not those that its manifest lists")


def _attachment_faults(folder: Path, one: Attachment) -> Iterator[str]:
    path = folder / one.name
    if sha256_of(path) != one.sha256:
        yield _("its frozen file %s was changed") % one.name
        return
    try:
        with gzip.open(path) if one.name.endswith(".gz") else path.open("rb") as plain:
            sha256 = _hash_of(plain)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        sha256 = ""
    if sha256 != one.plain_sha256:
        yield _("its frozen file %s does not hold the rows that the data hash covers") % one.name


def _hash_of(plain: IO[bytes] | gzip.GzipFile) -> str:
    sha256 = hashlib.sha256()
    while chunk := plain.read(_CHUNK):
        sha256.update(chunk)
    return sha256.hexdigest()
