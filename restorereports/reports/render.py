"""A waiting report becomes a PDF on disk, once, whoever of several workers comes first."""

from __future__ import annotations

import dataclasses
import logging
import shutil
import time
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils import translation
from django.utils.translation import gettext as _

from restorereports import audit
from restorereports.models import Act, Report
from restorereports.runlog import log_as

from . import document, register
from .cross_foot import CrossFootError
from .files import draft_name, folder, frozen_folder, path_of, sync_folder
from .freezing import freeze, put_in_place
from .frozen import Frozen, FrozenChanged, read, sha256_of
from .issuing import issue
from .manifest import manifest_of
from .request import cover, reader_of
from .writing import write_file

logger = logging.getLogger(__name__)

DEAD_AFTER = timedelta(minutes=10)
MOST_ATTEMPTS = 3
_WITH = ("requested_by", "finalised_by", "schedule", "policy_version__policy", "supersedes", "logo")


def waiting_reports(*, as_of: datetime) -> list[int]:
    """Ids of the reports to render: waiting ones, and those whose worker died."""
    return list(Report.objects.filter(_to_render(as_of)).order_by("pk").values_list("pk", flat=True))


def _to_render(as_of: datetime) -> Q:
    died = Q(status=Report.Status.RENDERING, started_at__lt=as_of - DEAD_AFTER)
    return Q(Q(status=Report.Status.WAITING) | died, finalised_at=None)  # what is final stays as it is


def render_report(report_id: int, *, as_of: datetime) -> None:
    """Freeze the figures as of now, render them, record hashes; a failure is recorded with its reason.

    A draft that is to become final was frozen before: only its rendering is done, and its entry in the register.

    Does nothing when the report is no longer waiting or another worker is at it.
    """
    report = _claim(report_id, as_of)
    if report is None:
        return
    asked_by = report.finalised_by or report.requested_by
    if asked_by is not None and not asked_by.may(Act.REPORT):
        _fail(report, _("The person who asked for it may no longer ask for reports, so nothing was read."))
        return
    with log_as(f"report-{report.pk}"):
        began = time.monotonic()
        try:
            taken = _frozen(report, as_of=as_of)
            pages = _keep(report, taken, at=as_of) if taken else 0
        except (CrossFootError, FrozenChanged) as failure:
            logger.error("%s was not issued: %s", report, failure)
            _fail(report, str(failure))
        except Exception as failure:
            logger.exception("%s could not be made", report)
            words = _("An internal fault (%(kind)s) ended it; the log has the details under report-%(id)d.")
            _fail(report, words % {"kind": type(failure).__name__, "id": report.pk})
        else:
            logger.info("%s made in %.1f s, %d pages", report, time.monotonic() - began, pages)


def _frozen(report: Report, *, as_of: datetime) -> Frozen | None:
    """The frozen figures and rows: those of an earlier attempt or of its draft, else taken now.

    None when another worker took the report over meanwhile.
    """
    if report.data_sha256:
        return read(frozen_folder(report), data_sha256=report.data_sha256)
    reader = reader_of(report)
    _anchor(report)
    taken = freeze(report, reader, as_of=as_of)
    try:
        with transaction.atomic():
            if not Report.objects.filter(_ours(report)).update(
                as_of=taken.figures.as_of,
                rows=taken.figures.counts.total,
                key_figures=dataclasses.asdict(taken.figures.counts),
                data_sha256=taken.data_sha256,
            ):
                return None
            cover(report, reader)
            taken = put_in_place(report, taken)
    finally:
        shutil.rmtree(folder() / draft_name(report), ignore_errors=True)
    report.refresh_from_db()
    return taken


def _anchor(report: Report) -> None:
    """Where the audit trail ends as the figures are taken: what is printed finds a trail that was cut or rebuilt."""
    end = audit.head()
    report.audit_length, report.audit_hash = end.length, end.hash
    Report.objects.filter(_ours(report)).update(audit_length=end.length, audit_hash=end.hash)


def _claim(report_id: int, as_of: datetime) -> Report | None:
    """One conditional update decides between workers; the last attempt's death is recorded as a failure."""
    mine = Report.objects.filter(_to_render(as_of), pk=report_id)
    if mine.filter(attempts__lt=MOST_ATTEMPTS).update(
        status=Report.Status.RENDERING, started_at=as_of, attempts=F("attempts") + 1, error=""
    ):
        return Report.objects.select_related(*_WITH).get(pk=report_id)
    gave_up = _("The worker stopped %(n)d times while it made this report; the log may say why.")
    mine.filter(attempts__gte=MOST_ATTEMPTS).update(
        status=Report.Status.FAILED, error=gave_up % {"n": MOST_ATTEMPTS}
    )
    return None


def _ours(report: Report) -> Q:
    """Still this attempt: a worker that comes too late changes nothing."""
    return Q(pk=report.pk, status=Report.Status.RENDERING, attempts=report.attempts)


def _keep(report: Report, taken: Frozen, *, at: datetime) -> int:
    """Render, put the file in its place and say so, in the register too if it is final; returns its pages."""
    end = register.head()
    manifest = manifest_of(report, taken, end)
    draft = folder() / draft_name(report)
    try:
        with translation.override(report.language):
            html = document.html(report, taken.figures, attachments=taken.attachments, register=end)
            pages = write_file(report, html, taken, manifest, into=draft)
        with transaction.atomic():
            if Report.objects.filter(_ours(report)).update(
                status=Report.Status.READY,
                file_name=document.file_name(report),
                sha256=sha256_of(draft),
                size=draft.stat().st_size,
                pages=pages,
                manifest=manifest,
                finalised_at=at if report.stage == Report.Stage.FINAL else None,
            ):
                report.refresh_from_db()
                _tell(report, at=at)
                draft.replace(path_of(report))
                sync_folder(folder())
    finally:
        draft.unlink(missing_ok=True)
    return pages


def _tell(report: Report, *, at: datetime) -> None:
    """The register first, the trail last: each holds its lock until the transaction ends."""
    if report.stage == Report.Stage.FINAL:
        issue(report, at=at)
    facts = {
        "report": str(report),
        "stage": report.stage,
        "pages": report.pages,
        "rows": report.rows,
        "sha256": report.sha256,
        "data_sha256": report.data_sha256,
    }
    audit.record(audit.Action.REPORT_MADE, _maker(report), of=report, details=facts)


def _maker(report: Report) -> audit.Actor:
    """The installation makes it, for the person who asked."""
    return audit.Actor(person=report.finalised_by or report.requested_by)


def _fail(report: Report, reason: str) -> None:
    Report.objects.filter(_ours(report)).update(status=Report.Status.FAILED, error=reason)
