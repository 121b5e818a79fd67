"""Where the PDFs lie, how they get there whole, and when they go."""

from __future__ import annotations

import logging
import os
import shutil
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


def sync_folder(path: Path) -> None:
    """What was put into a folder is there after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def draft_name(report: Report) -> str:
    """Of what this attempt writes beside the places, a file or a folder."""
    return f"{report}.{report.attempts}.{os.getpid()}{DRAFT_SUFFIX}"


def delete_files(report: Report) -> None:
    """The PDF and what it was rendered from."""
    path_of(report).unlink(missing_ok=True)
    shutil.rmtree(frozen_folder(report), ignore_errors=True)


def sweep(*, as_of: datetime) -> None:
    """Delete the files of drafts older than REPORT_KEEP_DAYS that no schedule made, and what killed workers left.

    The row stays, with its hash, and says that the file is gone. Final reports are evidence: see `retention`.
    """
    before = as_of - timedelta(days=settings.REPORT_KEEP_DAYS)
    old = Report.objects.filter(schedule=None, stage=Report.Stage.DRAFT, created_at__lt=before)
    for report in old.filter(status=Report.Status.READY, error="").iterator():
        _delete_draft(report)
    failed = Report.objects.filter(schedule=None, status=Report.Status.FAILED, finalised_at=None)
    for report in failed.filter(created_at__lt=before).exclude(data_sha256="").iterator():
        if failed.filter(pk=report.pk).update(data_sha256=""):  # nobody tries it again meanwhile
            delete_files(report)
    for draft in folder().glob(f"*{DRAFT_SUFFIX}"):
        if draft.stat().st_mtime < (as_of - DRAFT_KEPT).timestamp():
            shutil.rmtree(draft, ignore_errors=True) if draft.is_dir() else draft.unlink(missing_ok=True)


def _delete_draft(report: Report) -> None:
    """The row first: who makes the draft final meanwhile keeps its files, or is told that they are gone."""
    why = _("The PDF was deleted after %(days)d days. Ask for the report again to get one.")
    still_a_draft = Report.objects.filter(
        pk=report.pk, stage=Report.Stage.DRAFT, status=Report.Status.READY, error=""
    )
    with transaction.atomic():
        if not still_a_draft.update(error=why % {"days": settings.REPORT_KEEP_DAYS}):
            return
        record(Action.REPORT_DELETED, THE_INSTALLATION, of=report, details={"sha256": report.sha256})
    delete_files(report)
    logger.info("%s: PDF deleted after %d days", report, settings.REPORT_KEEP_DAYS)
