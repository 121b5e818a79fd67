"""The mail to administrators when an Enterprise Manager is not read for too long: it forgets, and then we cannot know.

Raised once for each outage and level. It is claimed before it is sent, like the monthly mail, and tried until it is
out or a good sync makes it pointless; it is never given up. Knows models and the monthly mail's way out.
"""

from __future__ import annotations

import logging
import smtplib
import time
import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email
from django.db.models import F
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from restorereports.models import Alert, EnterpriseManager, User
from restorereports.runlog import log_as
from restorereports.wording import name_text

from .mail import WAITS, _in_plain_words, headers_of, send

logger = logging.getLogger(__name__)

STALE_AFTER = timedelta(days=3)  # or a third of what Enterprise Manager keeps, whichever is shorter
_WAITS = WAITS[:4]  # the last one for every further try: 5 and 30 minutes, 2 and 6 hours
_NOBODY_WAITS = WAITS[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Outage:
    """How long an Enterprise Manager has not been read. `since_at` names it: the last good sync, else the adding."""

    enterprise_manager: Any  # as `with_health` gives it
    since_at: datetime
    age: timedelta

    @classmethod
    def of(cls, enterprise_manager: Any, as_of: datetime) -> Outage:
        """A moment that lies ahead counts as far away as one that is past: it says nothing about today either."""
        since_at = enterprise_manager.last_good_at or enterprise_manager.created_at
        return cls(enterprise_manager=enterprise_manager, since_at=since_at, age=abs(as_of - since_at))

    @property
    def level(self) -> Alert.Level | None:
        window = self.enterprise_manager.window
        if self.age >= window * 2 / 3:
            return Alert.Level.CRITICAL
        return Alert.Level.STALE if self.age >= min(STALE_AFTER, window / 3) else None

    def has_dealt_with(self, alert: Alert) -> bool:
        """A good sync came since, or the same outage has a worse alert."""
        worse = alert.level == Alert.Level.STALE and self.level == Alert.Level.CRITICAL
        return alert.since_at != self.since_at or worse


def raise_alerts(*, as_of: datetime) -> None:
    """Add what there is to tell, close what need not be told any more; the queries do not grow with them."""
    outages = {
        one.pk: Outage.of(one, as_of)
        for one in EnterpriseManager.objects.filter(is_active=True).with_health()
    }
    unsent = Alert.objects.filter(enterprise_manager__in=outages, sent_at=None, closed_at=None)
    over = [alert.pk for alert in unsent if outages[alert.enterprise_manager_id].has_dealt_with(alert)]
    if over:
        unsent.filter(pk__in=over).update(closed_at=as_of)
    Alert.objects.bulk_create(
        _missing(outages, as_of), ignore_conflicts=True
    )  # another worker raises the same


def _missing(outages: dict[int, Outage], as_of: datetime) -> Iterator[Alert]:
    known = set(
        Alert.objects.filter(since_at__in={outage.since_at for outage in outages.values()}).values_list(
            "enterprise_manager", "level", "since_at"
        )
    )
    for pk, outage in outages.items():
        level = outage.level
        if level is None or (pk, level, outage.since_at) in known:
            continue
        logger.warning("%s: no good sync since %s", outage.enterprise_manager, outage.since_at)
        yield Alert(
            enterprise_manager=outage.enterprise_manager,
            level=level,
            since_at=outage.since_at,
            created_at=as_of,
            # After a clock was set back a sync starts at once: let it come first.
            next_try_at=as_of + _WAITS[0] if outage.since_at > as_of else None,
        )


def deliver_alerts(*, as_of: datetime) -> None:
    """Mail each alert that is due; a failure is recorded on its row and hinders no other."""
    began = time.monotonic()
    unsent = Alert.objects.filter(sent_at=None, closed_at=None)
    unsent.filter(next_try_at__gt=as_of + _WAITS[-1]).update(next_try_at=as_of)  # the clock was set back
    due = Alert.objects.due(as_of).filter(enterprise_manager__is_active=True).order_by("pk")
    waiting = list(due.values_list("pk", flat=True))
    addresses = recipients() if waiting else []
    for alert_id in waiting:
        with log_as(f"alert-{alert_id}"):
            _deliver(alert_id, addresses, as_of + timedelta(seconds=time.monotonic() - began))


def recipients() -> list[str]:
    """Active administrators who have an e-mail address, and ALERT_RECIPIENTS; each address once."""
    people = User.objects.filter(is_active=True, role=User.Role.ADMINISTRATOR).exclude(email="")
    found: dict[str, str] = {}
    for address in [*people.order_by("pk").values_list("email", flat=True), *settings.ALERT_RECIPIENTS]:
        if _is_address(address):
            found.setdefault(address.casefold(), address)
    return list(found.values())


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        logger.warning("an administrator's e-mail address is none, and is left out: %s", text)
        return False
    return True


def _deliver(alert_id: int, addresses: list[str], as_of: datetime) -> None:
    """One try."""
    alert = _claim(alert_id, addresses, as_of)
    if alert is None:
        return
    try:
        refused = send(message_of(alert, as_of=as_of))
    except (OSError, smtplib.SMTPException) as failure:
        logger.warning("mail not sent: %s", failure)
        _record_failure(alert, _in_plain_words(failure))
    except Exception as failure:
        logger.exception("mail not sent by a fault of its own")
        words = _("An internal fault (%(kind)s); the log has the details under alert-%(id)d.")
        _record_failure(alert, words % {"kind": type(failure).__name__, "id": alert.pk})
    else:
        _record_sent(alert, refused, as_of)


def _claim(alert_id: int, addresses: list[str], as_of: datetime) -> Alert | None:
    """Count the try and move the next one away, in one conditional update; None: not ours, over, or nobody to tell."""
    due = Alert.objects.due(as_of).filter(pk=alert_id)
    alert = due.first()
    if alert is None:
        return None
    if _outage_of(alert, as_of).has_dealt_with(alert):
        due.update(closed_at=as_of)
        return None
    if not addresses:
        words = _("Nobody to tell: give administrators an e-mail address or set ALERT_RECIPIENTS.")
        due.update(error=words, attempts=max(alert.attempts, 1), next_try_at=as_of + _NOBODY_WAITS)
        logger.error("%s", words)
        return None
    claimed = due.filter(attempts=alert.attempts).update(
        attempts=F("attempts") + 1,
        next_try_at=as_of + _WAITS[min(alert.attempts, len(_WAITS) - 1)],
        recipients="\n".join(addresses),
        error=_("The worker stopped while it sent this mail; it may have gone out."),
    )
    if not claimed:
        return None
    alert.refresh_from_db()
    return alert


def _outage_of(alert: Alert, as_of: datetime) -> Outage:
    return Outage.of(EnterpriseManager.objects.with_health().get(pk=alert.enterprise_manager_id), as_of)


def _record_failure(alert: Alert, reason: str) -> None:
    Alert.objects.filter(pk=alert.pk, attempts=alert.attempts).update(error=reason)


def _record_sent(alert: Alert, refused: list[str], as_of: datetime) -> None:
    words = _("Sent, but the mail server refused: %s.") % ", ".join(refused) if refused else ""
    Alert.objects.filter(pk=alert.pk).update(sent_at=as_of, next_try_at=None, error=words)
    logger.info("alert sent to %d", len(alert.recipients.split()) - len(refused))


def message_of(alert: Alert, *, as_of: datetime) -> EmailMultiAlternatives:
    """The mail as of now, in TIME_ZONE: its readers live in several zones. No VM name stands in its subject."""
    context = _context(_outage_of(alert, as_of), alert, as_of)
    message = EmailMultiAlternatives(
        subject=context["subject"],
        body=render_to_string("reports/alert.txt", context),
        to=alert.recipients.split(),
        headers=headers_of(f"alert-{alert.pk}.{alert.level}.{alert.since_at:%Y%m%dT%H%M%S%f}"),
    )
    message.attach_alternative(render_to_string("reports/alert.html", context), "text/html")
    return message


def _context(outage: Outage, alert: Alert, as_of: datetime) -> dict[str, Any]:
    em = outage.enterprise_manager
    name = name_text(em.name)
    kept_until = outage.since_at + em.window
    subject = _("%(level)s: %(name)s, no good sync since %(day)s")
    cause, remedy = _why(em)
    return {
        "subject": subject
        % {"level": alert.get_level_display(), "name": name, "day": _local(outage.since_at)[:10]},
        "name": name,
        "critical": alert.level == Alert.Level.CRITICAL,
        "never": em.last_good_at is None,
        "since": _local(outage.since_at),
        "ahead": outage.since_at > as_of,
        "cause": cause,
        "remedy": remedy,
        "kept_until": _local(kept_until),
        "too_late": kept_until <= as_of,
        "as_of": _local(as_of),
    }


def _why(em: Any) -> tuple[str, str]:
    """What is known of the cause, and what a person can do about it; `em` comes from `with_health`."""
    said = name_text(" ".join((em.last_error or "").split()))
    if em.paused_at:
        paused = _("Its sync is paused until a person acts: %s.") % em.get_paused_because_display()
        return f"{paused} {said}".rstrip(), _remedy_of_pause(em.paused_because)
    if said:
        return said, _("Put right what the last sync says. “Sync now” on its page tries again at once.")
    see = _("See whether beat and the worker for syncs run, and what their logs say.")
    if em.last_attempt_at in (None, em.last_good_at):
        return _("No sync was tried since then."), see
    return _("No sync has worked since then; the last one began %s.") % _local(em.last_attempt_at), see


def _remedy_of_pause(because: str) -> str:
    if because == EnterpriseManager.Pause.CERTIFICATE_CHANGED:
        return _(
            "Compare the new fingerprint with the server itself, then pin it on the Enterprise Manager's page."
        )
    return _("Check account and password on the Enterprise Manager's page, then press “Try again”.")


def _local(at: datetime) -> str:
    """`2026-10-21 19:10 Europe/Berlin`."""
    return f"{at.astimezone(zoneinfo.ZoneInfo(settings.TIME_ZONE)):%Y-%m-%d %H:%M} {settings.TIME_ZONE}"
