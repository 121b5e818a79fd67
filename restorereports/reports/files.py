"""Where the PDFs lie, how they get there whole, and when they go."""

from __future__ import annotations

import logging
import os
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from restorereports.audit import THE_INSTALLATION, Action, record
from restorereports.models import Report

logger = logging.getLogger(__name__)

DRAFT_SUFFIX = ".part"
DRAFT_KEPT = timedelta(hours=1)  # no render takes that long: what is older was left by a killed worker


def folder() -> Path:
    return Path(settings.VAR_DIR) / "reports"


def path_of(report: Report) -> Path:
    """Where this report's PDF lies, or would lie."""
    return folder() / f"{report}.pdf"


def frozen_folder(report: Report) -> Path:
    """Where the figures and rows lie that this report is rendered from."""
    return folder() / str(report)


def save_draft(report: Report, pdf: bytes) -> Path:
    """The PDF beside its place, safe on disk; `Path.replace` to `path_of` makes it the report's file."""
    draft = folder() / f"{report}.{report.attempts}.{os.getpid()}{DRAFT_SUFFIX}"
    folder().mkdir(mode=0o700, parents=True, exist_ok=True)
    with draft.open("wb") as file:
        file.write(pdf)
        file.flush()
        os.fsync(file.fileno())
    return draft


def sweep(*, as_of: datetime) -> None:
    """Delete the PDFs of reports older than REPORT_KEEP_DAYS that no schedule made, and stray drafts.

    The row stays, with its hash, and says that the file is gone.
    """
    before = as_of - timedelta(days=settings.REPORT_KEEP_DAYS)
    expired = Report.objects.filter(
        schedule=None, status=Report.Status.READY, created_at__lt=before, error=""
    )
    for report in expired.iterator():
        path_of(report).unlink(missing_ok=True)
        report.error = _("The PDF was deleted after %(days)d days. Ask for the report again to get one.") % {
            "days": settings.REPORT_KEEP_DAYS
        }
        with transaction.atomic():
            report.save(update_fields=["error"])
            record(Action.REPORT_DELETED, THE_INSTALLATION, of=report, details={"sha256": report.sha256})
        logger.info("%s: PDF deleted after %d days", report, settings.REPORT_KEEP_DAYS)
    for draft in folder().glob(f"*{DRAFT_SUFFIX}"):
        if draft.stat().st_mtime < (as_of - DRAFT_KEPT).timestamp():
            draft.unlink(missing_ok=True)
