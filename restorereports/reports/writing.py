"""The PDF of a report onto disk: the document, its CSVs from the frozen files, and the manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal

from django.utils.translation import gettext as _

from restorereports.models import Report

from . import manifest as manifests
from . import pdf
from .frozen import Attachment, Frozen
from .pdf_attachments import Attached

_RELATIONSHIPS: Final[dict[str, Literal["Data", "Supplement"]]] = {
    "sessions.csv": "Data",
    "coverage.csv": "Data",
    manifests.NAME: "Supplement",
}


def write_file(report: Report, html: str, taken: Frozen, manifest: dict[str, Any], *, into: Path) -> int:
    """Write the PDF, safe on disk when it returns; returns its pages."""
    beside = into.with_name(f"manifest.{into.name}")
    try:
        beside.write_bytes(manifests.manifest_text(manifest))
        attached = [
            *(_attached(taken.folder / one.name, one.name, _described(one)) for one in taken.attachments),
            _attached(
                beside, manifests.NAME, _("What this report is, of what it was made and what lies in it")
            ),
        ]
        with into.open("wb") as file:
            pages = pdf.write(
                html,
                file,
                identifier=f"{report} {report.stage} {taken.data_sha256}",
                paper=report.paper,
                attached=attached,
                at=taken.figures.as_of,
            )
            file.flush()
            os.fsync(file.fileno())
    finally:
        beside.unlink(missing_ok=True)
    return pages


def _attached(path: Path, name: str, description: str) -> Attached:
    kind = _RELATIONSHIPS[name.removesuffix(".gz")]
    return Attached(name=name, path=path, description=description, relationship=kind)


def _described(one: Attachment) -> str:
    if one.plain_name == "coverage.csv":
        return _("Every VM in scope with its verdict")
    return _("Every restore session of the period")
