"""A waiting report becomes a PDF on disk, once, whoever of several workers comes first."""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import time
import zoneinfo
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Q
from django.utils.translation import gettext as _

from restorereports import audit
from restorereports.models import Act, Reader, Report
from restorereports.models.snapshot import snapshot
from restorereports.runlog import log_as

from . import document, pdf
from .cross_foot import CrossFootError
from .figures import Figures, gather
from .files import path_of, save_draft
from .request import cover, reader_of

logger = logging.getLogger(__name__)

DEAD_AFTER = timedelta(minutes=10)
MOST_ATTEMPTS = 3


def waiting_reports(*, as_of: datetime) -> list[int]:
    """Ids of the reports to render: waiting ones, and those whose worker died."""
    return list(Report.objects.filter(_to_render(as_of)).order_by("pk").values_list("pk", flat=True))


def _to_render(as_of: datetime) -> Q:
    died = Q(status=Report.Status.RENDERING, started_at__lt=as_of - DEAD_AFTER)
    return Q(status=Report.Status.WAITING) | died


def render_report(report_id: int, *, as_of: datetime) -> None:
    """Gather the figures as of now, write the PDF, record its hash; a failure is recorded with its reason.

    Does nothing when the report is no longer waiting or another worker is at it.
    """
    report = _claim(report_id, as_of)
    if report is None:
        return
    if report.requested_by is not None and not report.requested_by.may(Act.REPORT):
        _fail(report, _("The person who asked for it may no longer ask for reports, so nothing was read."))
        return
    with log_as(f"report-{report.pk}"):
        began = time.monotonic()
        try:
            reader = reader_of(report)
            _anchor(report)
            figures = _figures(report, reader, as_of=as_of)
            made = pdf.make(document.html(report, figures), identifier=str(report))
            _keep(report, reader, figures, made)
        except CrossFootError as failure:
            logger.error("%s was not issued: %s", report, failure)
            _fail(report, str(failure))
        except Exception as failure:
            logger.exception("%s could not be made", report)
            words = _("An internal fault (%(kind)s) ended it; the log has the details under report-%(id)d.")
            _fail(report, words % {"kind": type(failure).__name__, "id": report.pk})
        else:
            logger.info("%s made in %.1f s, %d pages", report, time.monotonic() - began, made.pages)


def _figures(report: Report, reader: Reader, *, as_of: datetime) -> Figures:
    """The report's figures out of one frozen view of the database."""
    scope = report.restore_session_scope()
    with snapshot():
        return gather(scope=scope, zone=zoneinfo.ZoneInfo(report.zone), as_of=as_of, reader=reader)


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
        return Report.objects.select_related("requested_by", "schedule").get(pk=report_id)
    gave_up = _("The worker stopped %(n)d times while it made this report; the log may say why.")
    mine.filter(attempts__gte=MOST_ATTEMPTS).update(
        status=Report.Status.FAILED, error=gave_up % {"n": MOST_ATTEMPTS}
    )
    return None


def _ours(report: Report) -> Q:
    """Still this attempt: a worker that comes too late changes nothing."""
    return Q(pk=report.pk, status=Report.Status.RENDERING, attempts=report.attempts)


def _keep(report: Report, reader: Reader, figures: Figures, made: pdf.Made) -> None:
    draft = save_draft(report, made.pdf)
    sha256 = hashlib.sha256(made.pdf).hexdigest()
    try:
        with transaction.atomic():
            if Report.objects.filter(_ours(report)).update(
                status=Report.Status.READY,
                as_of=figures.as_of,
                file_name=document.file_name(report),
                sha256=sha256,
                size=len(made.pdf),
                pages=made.pages,
                rows=figures.counts.total,
                key_figures=dataclasses.asdict(figures.counts),
            ):
                cover(report, reader)
                facts = {"report": str(report), "pages": made.pages, "rows": figures.counts.total}
                audit.record(
                    audit.Action.REPORT_MADE, _maker(report), of=report, details=facts | {"sha256": sha256}
                )
                draft.replace(path_of(report))
    finally:
        draft.unlink(missing_ok=True)


def _maker(report: Report) -> audit.Actor:
    """The installation makes it, for the person who asked."""
    return audit.Actor(person=report.requested_by)


def _fail(report: Report, reason: str) -> None:
    Report.objects.filter(_ours(report)).update(status=Report.Status.FAILED, error=reason)
