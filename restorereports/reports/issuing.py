"""A draft becomes final, once: what is asked for, and what the register and the trail say when it is done."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _

from restorereports import audit
from restorereports.models import Report, User
from restorereports.models.report import ReportQuerySet
from restorereports.wording import utc_text

from .document import prepared_by
from .files import frozen_folder
from .manifest import manifest_text
from .register import Kind, enter

# Columns of its row that pages and mails show; nothing changes them once it is final.
_OF_ITS_ROW: Final = (
    *("scope", "zone", "language", "paper", "organisation", "classification", "distribution", "file_name"),
    *("key_figures", "covers_everything", "policy_version_id", "schedule_id", "requested_by_id"),
    *("finalised_by_id", "logo_id"),
)


class NotPossible(Exception):
    """The report is not in a state for this act; the message says why and what to do."""


def may_become_final(report: Report) -> bool:
    """Whether its frozen figures can be rendered as a final report: a draft, or a try at it that failed."""
    is_draft = (
        report.stage == Report.Stage.DRAFT and report.status == Report.Status.READY and not report.error
    )
    failed = report.stage == Report.Stage.FINAL and report.status == Report.Status.FAILED
    return (is_draft or failed) and bool(report.data_sha256) and frozen_folder(report).is_dir()


def make_final(report: Report, person: User, actor: audit.Actor) -> None:
    """Have the frozen figures rendered once more, as final; a worker does it. NotPossible."""
    if not may_become_final(report):
        raise NotPossible(
            _(
                "%s cannot become final: it is no finished draft, or its figures are no longer kept. Ask for a new one."
            )
            % report
        )
    with transaction.atomic():
        same = {name: getattr(report, name) for name in ("status", "stage", "error", "data_sha256")}
        if not Report.objects.filter(pk=report.pk, **same).update(
            status=Report.Status.WAITING,
            stage=Report.Stage.FINAL,
            finalised_by=person,
            draft_sha256=report.sha256,
            attempts=0,
            error="",
        ):
            raise NotPossible(_("%s was changed by somebody else just now. Look at it again.") % report)
        details = {"stage": Report.Stage.FINAL.value, "data_sha256": report.data_sha256}
        audit.record(audit.Action.REPORT_REQUESTED, actor, of=report, details=details)


def finals() -> ReportQuerySet:
    """The reports that were issued, whether their files are kept or not."""
    return Report.objects.filter(stage=Report.Stage.FINAL).exclude(finalised_at=None)


def is_issued(report: Report) -> bool:
    return report.stage == Report.Stage.FINAL and report.finalised_at is not None


def issue(report: Report, *, at: datetime) -> None:
    """Enter a rendered final report, and that the one it corrects is superseded; in the transaction that keeps it."""
    actor = audit.Actor(person=report.finalised_by)
    entry = enter(Kind.ISSUED, report, issued_facts(report), at=at)
    superseded = report.supersedes
    if superseded is not None:
        facts = {
            "report": str(superseded),
            "sha256": superseded.sha256,
            "superseded_by": str(report),
            "superseded_by_sha256": report.sha256,
        }
        entry = enter(Kind.SUPERSEDED, superseded, facts, at=at)
    told = {
        "sha256": report.sha256,
        "data_sha256": report.data_sha256,
        "supersedes": str(superseded or ""),
        "register": f"{entry.number}:{entry.hash}",
    }
    audit.record(audit.Action.REPORT_ISSUED, actor, of=report, details=told)


def issued_facts(report: Report) -> dict[str, Any]:
    """What makes a final report provable without its row; made of the row, so that the two can be compared."""
    manifest = report.manifest
    return {
        "report": str(report),
        "sha256": report.sha256,
        "bytes": report.size,
        "pages": report.pages,
        "rows": report.rows,
        "data_sha256": report.data_sha256,
        "manifest_sha256": hashlib.sha256(manifest_text(manifest)).hexdigest(),
        "as_of": utc_text(report.as_of),
        "final_at": utc_text(report.finalised_at),
        "by": report.manifest.get("made_final_by") or prepared_by(report),
        "parameters": manifest.get("parameters"),
        "period": manifest.get("period"),
        "policy": manifest.get("policy"),
        "counts": manifest.get("counts"),
        "supersedes": str(report.supersedes) if report.supersedes else None,
        "covers": sorted(report.covers.values_list("pk", flat=True)),
        "covers_managers": sorted(report.covers_managers.values_list("pk", flat=True)),
        **{name: getattr(report, name) for name in _OF_ITS_ROW},
    }
