"""How long final reports are kept: for ever, or EVIDENCE_KEEP_MONTHS; under legal hold until it is lifted.

Deleting is an act on record, in the register and in the trail. It takes the PDF and what it was rendered from away, and
leaves identifier, SHA-256, data hash, row count and manifest: whoever has the file can still prove that it is this one.
"""

from __future__ import annotations

import calendar
import logging
from datetime import UTC, datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from restorereports import audit
from restorereports.models import RegisterEntry, Report

from .files import delete_files
from .issuing import NotPossible, finals, is_issued
from .register import Kind, enter

logger = logging.getLogger(__name__)

SHORTEST_MONTHS: Final = 13  # a year that an audit looks at, and the month it takes to begin


def sweep(*, as_of: datetime) -> None:
    """Delete the final reports whose time is over; none while EVIDENCE_KEEP_MONTHS is 0.

    Files of what is deleted on record already go too: a process may have ended before it came to them.
    """
    for left in finals().filter(_deleted_on_record()).order_by("pk").iterator():
        delete_files(left)
    months = settings.EVIDENCE_KEEP_MONTHS
    if not months:
        return
    reason = _("Kept for %(n)d months, as EVIDENCE_KEEP_MONTHS says.") % {"n": months}
    before = months_before(as_of, months)
    for report in finals().filter(finalised_at__lt=before, held=False, error="").order_by("pk").iterator():
        with transaction.atomic():
            locked = Report.objects.select_for_update().get(pk=report.pk)
            if not locked.held and not locked.error:
                _delete(locked, audit.THE_INSTALLATION, reason, at=as_of)


def _deleted_on_record() -> Exists:
    return Exists(RegisterEntry.objects.filter(report_id=OuterRef("pk"), kind=Kind.DELETED))


def why_kept(report: Report, *, as_of: datetime) -> str:
    """Why a final report cannot be deleted now; empty when it can."""
    if not is_issued(report) or report.finalised_at is None:
        return _("Only final reports are deleted by hand; drafts go by themselves.")
    if report.error:
        return _("Its files are deleted already.")
    if report.held:
        return _("It is under legal hold. Lift the hold first.")
    months = max(SHORTEST_MONTHS, settings.EVIDENCE_KEEP_MONTHS)
    if report.finalised_at >= months_before(as_of, months):
        return _("Evidence is kept for at least %(n)d months.") % {"n": months}
    return ""


def delete(report: Report, actor: audit.Actor, reason: str, *, at: datetime) -> None:
    """Delete one final report by hand. NotPossible."""
    with transaction.atomic():
        locked = Report.objects.select_for_update().get(pk=report.pk)
        if why := why_kept(locked, as_of=at):
            raise NotPossible(why)
        _delete(locked, actor, reason, at=at)


def hold(report: Report, actor: audit.Actor, reason: str, *, at: datetime) -> None:
    """Set a legal hold: nothing deletes the report until it is lifted. NotPossible."""
    _set_hold(report, actor, reason, at=at, held=True)


def release(report: Report, actor: audit.Actor, reason: str, *, at: datetime) -> None:
    """Lift the legal hold. NotPossible."""
    _set_hold(report, actor, reason, at=at, held=False)


def months_before(at: datetime, months: int) -> datetime:
    """The same day and hour so many months earlier, in UTC; the month's last day where it has no such day."""
    moment = at.astimezone(UTC)
    year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))


def _set_hold(report: Report, actor: audit.Actor, reason: str, *, at: datetime, held: bool) -> None:
    kind, action = (
        (Kind.HELD, audit.Action.REPORT_HELD) if held else (Kind.RELEASED, audit.Action.REPORT_RELEASED)
    )
    if not is_issued(report):
        raise NotPossible(_("Only a final report can be held: make it final first."))
    if held and report.error:
        raise NotPossible(_("Its files are deleted already: there is nothing left to hold."))
    with transaction.atomic():
        same = finals().filter(pk=report.pk, held=not held, error=report.error)
        if not same.update(held=held):
            raise NotPossible(_("Somebody else did it just now. Look at it again."))
        enter(kind, report, _facts(report, actor, reason), at=at)
        audit.record(action, actor, of=report, details={"reason": reason})


def _delete(report: Report, actor: audit.Actor, reason: str, *, at: datetime) -> None:
    """In the caller's transaction; the files go when it is committed."""
    Report.objects.filter(pk=report.pk).update(
        error=_("Deleted on %(day)s: %(reason)s")
        % {"day": f"{at.astimezone(UTC):%Y-%m-%d}", "reason": reason}
    )
    enter(Kind.DELETED, report, _facts(report, actor, reason), at=at)
    details = {"sha256": report.sha256, "data_sha256": report.data_sha256, "reason": reason}
    audit.record(audit.Action.REPORT_DELETED, actor, of=report, details=details)
    transaction.on_commit(lambda: delete_files(report))
    logger.info("%s: final report deleted", report)


def _facts(report: Report, actor: audit.Actor, reason: str) -> dict[str, str | int]:
    return {
        "report": str(report),
        "sha256": report.sha256,
        "data_sha256": report.data_sha256,
        "rows": report.rows,
        "by": actor.person.get_username() if actor.person else str(audit.Via(actor.via).label),
        "reason": reason,
    }
