"""The mail of a scheduled report: rendered, sent once, tried again after a failure.

A delivery is claimed before it is sent, by moving its next try into the future. A worker that dies between the
claim and the server's answer leaves a delivery that says so and is tried again: better twice than never. Each
try bears the same Message-ID, so that a mailbox can tell the second copy for what it is.
"""

from __future__ import annotations

import logging
import smtplib
import time
import zoneinfo
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.db import transaction
from django.db.models import F
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _

from restorereports.audit import THE_INSTALLATION
from restorereports.models import Delivery, RegisterEntry, Report, RestoreSessionScope
from restorereports.models.counts import OutcomeCounts, percent
from restorereports.models.period import Period
from restorereports.runlog import log_as
from restorereports.wording import decimal_text, name_text, utc_text

from .files import path_of
from .issuing import is_issued
from .on_record import record_mail
from .render import render_report
from .request import request_report
from .schedule import month_started_at
from .smtp import SmtpBackend

logger = logging.getLogger(__name__)

WAITS = (
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=24),
)
MOST_ATTEMPTS = len(WAITS) + 1
_LOOKS = ("organisation", "zone", "language", "paper", "classification", "distribution", "logo")


class ReportFailed(Exception):
    """There is no PDF to send; the message says why."""


def deliver_due(*, as_of: datetime) -> None:
    """Render and mail each delivery that is due; a failure is recorded on its row and hinders no other."""
    began = time.monotonic()
    due = Delivery.objects.due(as_of).filter(schedule__is_active=True).order_by("pk")
    for delivery_id in list(due.values_list("pk", flat=True)):
        with log_as(f"delivery-{delivery_id}"):
            _deliver(delivery_id, as_of + timedelta(seconds=time.monotonic() - began))


def send_again(delivery: Delivery, at: datetime) -> bool:
    """Begin anew with a delivery that was given up; False when it was not."""
    return bool(
        Delivery.objects.filter(pk=delivery.pk, status=Delivery.Status.GIVEN_UP).update(
            status=Delivery.Status.RETRYING, attempts=0, next_try_at=at, error=""
        )
    )


def _deliver(delivery_id: int, as_of: datetime) -> None:
    """One try. Preparing the PDF counts as part of it, so that a report that fails backs off too."""
    try:
        report = _report_for(delivery_id, as_of)
        if report is None:
            return
        delivery = _claim(delivery_id, as_of)
    except ReportFailed as failure:
        if failed := _claim(delivery_id, as_of):
            _record_failure(failed, str(failure))
        return
    if delivery is None:
        return
    try:
        refused = _send(delivery, report, as_of)
    except (OSError, smtplib.SMTPException) as failure:
        logger.warning("mail not sent: %s", failure)
        _record_failure(delivery, _in_plain_words(failure))
    except Exception as failure:
        logger.exception("mail not sent by a fault of its own")
        words = _("An internal fault (%(kind)s); the log has the details under delivery-%(id)d.")
        _record_failure(delivery, words % {"kind": type(failure).__name__, "id": delivery.pk})
    else:
        _record_sent(delivery, refused, as_of)


def _report_for(delivery_id: int, as_of: datetime) -> Report | None:
    """The finished report of this delivery, made now if need be; None while another worker makes it."""
    with transaction.atomic():
        delivery = Delivery.objects.select_for_update().get(pk=delivery_id)
        if delivery.status not in Delivery.OPEN:
            return None
        report = delivery.report
        if report is None or report.status == Report.Status.FAILED:
            report = _request(delivery, as_of)
        elif _is_lost(report):
            report = _request(delivery, as_of, in_place_of=report)
    render_report(report.pk, as_of=as_of)
    report.refresh_from_db()
    if report.status == Report.Status.FAILED:
        raise ReportFailed(_("The report failed: %s") % report.error)
    return report if report.status == Report.Status.READY else None


def _is_lost(report: Report) -> bool:
    return report.status == Report.Status.READY and not path_of(report).is_file()


def _request(delivery: Delivery, as_of: datetime, *, in_place_of: Report | None = None) -> Report:
    """Final, with the schedule's looks and the latest version of its policy. A lost final report is superseded."""
    schedule = delivery.schedule
    policy = schedule.policy
    if policy is not None and policy.retired_at is not None:
        raise ReportFailed(_("Policy %s is retired: choose another one in the schedule.") % policy)
    lost = in_place_of if in_place_of and is_issued(in_place_of) else None
    scope = RestoreSessionScope(
        start=delivery.period_start_at,
        end=delivery.period_end_at,
        enterprise_managers=tuple(sorted(schedule.enterprise_managers.values_list("pk", flat=True))),
        backup_servers=tuple(sorted(schedule.backup_servers.values_list("pk", flat=True))),
    )
    delivery.report = request_report(
        scope=scope,
        requested_by=None,
        at=as_of,
        schedule=schedule,
        policy_version=policy.latest if policy else None,
        stage=Report.Stage.FINAL,
        supersedes=lost,
        **{name: getattr(schedule, name) for name in _LOOKS},
    )
    delivery.save(update_fields=["report"])
    return delivery.report


def _claim(delivery_id: int, as_of: datetime) -> Delivery | None:
    """Count the try and move the next one away, in one conditional update; None when it is not ours."""
    due = Delivery.objects.due(as_of).filter(pk=delivery_id)
    delivery = due.select_related("schedule").first()
    if delivery is None:
        return None
    if delivery.attempts >= MOST_ATTEMPTS:  # the worker of the last try died
        with transaction.atomic():
            if due.update(status=Delivery.Status.GIVEN_UP, next_try_at=None):
                record_mail(delivery, THE_INSTALLATION, outcome="given up")
        return None
    claimed = due.filter(attempts=delivery.attempts).update(
        status=Delivery.Status.RETRYING,
        attempts=F("attempts") + 1,
        next_try_at=as_of + WAITS[min(delivery.attempts, len(WAITS) - 1)],
        recipients="\n".join(delivery.schedule.addresses()),
        error=_("The worker stopped while it sent this mail; it may have gone out."),
    )
    if not claimed:
        return None
    delivery.refresh_from_db()
    return delivery


def _record_failure(delivery: Delivery, reason: str) -> None:
    delivery.error = reason
    if delivery.attempts >= MOST_ATTEMPTS:
        delivery.status, delivery.next_try_at = Delivery.Status.GIVEN_UP, None
    with transaction.atomic():
        delivery.save(update_fields=["error", "status", "next_try_at"])
        if delivery.status == Delivery.Status.GIVEN_UP:
            record_mail(delivery, THE_INSTALLATION, outcome="given up")


def _record_sent(delivery: Delivery, refused: list[str], as_of: datetime) -> None:
    delivery.status, delivery.sent_at, delivery.next_try_at = Delivery.Status.SENT, as_of, None
    delivery.error = _("Sent, but the mail server refused: %s.") % ", ".join(refused) if refused else ""
    with transaction.atomic():
        delivery.save(update_fields=["status", "sent_at", "next_try_at", "error"])
        record_mail(delivery, THE_INSTALLATION, outcome="sent", refused=refused)
    logger.info("mail of %s sent", delivery)


def _send(delivery: Delivery, report: Report, as_of: datetime) -> list[str]:
    return send(message_of(delivery, report, as_of=as_of))


def send(message: EmailMultiAlternatives) -> list[str]:
    """The recipients that the server refused while it took the mail for the others.

    OSError or SMTPException when it took it for none.
    """
    smtp = "django.core.mail.backends.smtp.EmailBackend"
    ours = f"{SmtpBackend.__module__}.{SmtpBackend.__name__}" if smtp == settings.EMAIL_BACKEND else None
    connection = get_connection(backend=ours)
    message.connection = connection
    message.send()
    return sorted(getattr(connection, "refused", {}))


def headers_of(name: str) -> dict[str, str]:
    """Of a mail that a program wrote; `name` is the same at every try, so that mailboxes know a second copy."""
    domain = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"
    return {"Message-ID": f"<{name}@{domain}>", "Auto-Submitted": "auto-generated"}


def message_of(delivery: Delivery, report: Report, *, as_of: datetime) -> EmailMultiAlternatives:
    """The mail in the report's language: key figures as text and HTML, the PDF attached.

    No VM name stands in its subject.
    """
    with translation.override(report.language):
        context = _context(delivery, report)
        plain = render_to_string("reports/mail.txt", context)
        rich = render_to_string("reports/mail.html", context)
    message = EmailMultiAlternatives(
        subject=context["subject"],
        body=plain,
        to=delivery.schedule.addresses(),
        headers=headers_of(f"delivery-{delivery.pk}.{report}.{report.sha256[:16]}"),
    )
    message.attach_alternative(rich, "text/html")
    message.attach(report.file_name, path_of(report).read_bytes(), "application/pdf")
    return message


def _context(delivery: Delivery, report: Report) -> dict[str, Any]:
    counts = OutcomeCounts(**report.key_figures)
    first = month_started_at(delivery.period_start_at)
    local = zoneinfo.ZoneInfo(report.zone)
    start, end = (at.astimezone(local) for at in (delivery.period_start_at, delivery.period_end_at))
    organisation = name_text(report.organisation)
    share = percent(counts.success, counts.completed)
    subject = _("Restore report %(month)s") % {"month": f"{first:%Y-%m}"}
    return {
        "subject": f"{subject}, {organisation} ({report})" if organisation else f"{subject} ({report})",
        "organisation": organisation,
        "report": report,
        "entry": report.entries.filter(kind=RegisterEntry.Kind.ISSUED).first(),
        "schedule": name_text(delivery.schedule.name),
        "counts": counts,
        "share": decimal_text(share) if share else "",
        "period": Period(start.date(), end.date(), report.zone),
        "as_of": utc_text(report.as_of),
        "as_of_local": report.as_of.astimezone(local) if report.as_of else None,
    }


def _in_plain_words(failure: Exception) -> str:
    server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    if isinstance(failure, OSError) and failure.filename:
        return f"{failure.filename}: {failure.strerror}."
    if isinstance(failure, smtplib.SMTPAuthenticationError):
        return _("The mail server %s refused the log-on. Check EMAIL_URL.") % server
    if isinstance(failure, smtplib.SMTPRecipientsRefused):
        return _("The mail server %(server)s refused every recipient: %(all)s.") % {
            "server": server,
            "all": "; ".join(
                f"{who} ({_answer(code, text)})" for who, (code, text) in failure.recipients.items()
            ),
        }
    if isinstance(failure, smtplib.SMTPResponseException):
        answer = _answer(failure.smtp_code, failure.smtp_error)
        return _("The mail server %(server)s refused the mail: %(answer)s.") % {
            "server": server,
            "answer": answer,
        }
    if isinstance(failure, smtplib.SMTPException):
        return _("The mail server %(server)s broke off: %(what)s.") % {"server": server, "what": failure}
    return _("The mail server %(server)s cannot be reached: %(what)s.") % {"server": server, "what": failure}


def _answer(code: int, text: bytes | str) -> str:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return f"{code} {name_text(' '.join(words.split()))}"
