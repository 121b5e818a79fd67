"""What every page must say before anything else: one notice, a line for each matter, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from restorereports.models import Pulse, Reconciliation, User
from restorereports.models.pulse import silent_since
from restorereports.templatetags.pages import moment, span
from restorereports.wording import name_html

from .health import Health

LINES_SHOWN = 4
FIRST_MINUTES = timedelta(minutes=5)  # so long a new installation may be without a sign of life


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """`what` is bold and says what happened, `means` what follows. `tone` is bad or warn; `halts`: nothing works."""

    tone: str
    what: SafeString | str
    means: SafeString | str
    address: str = ""
    link: SafeString | str = ""
    halts: bool = False


def banner_lines(known: list[Health], reader: User, *, as_of: datetime) -> list[Line]:
    """At most one query, whatever there is to say."""
    lines = [
        *_dead(known, reader, as_of),
        *(line for health in known for line in _lines_of(health, reader)),
    ]
    return sorted(lines, key=lambda line: line.tone != "bad")


def _dead(known: list[Health], reader: User, as_of: datetime) -> Iterator[Line]:
    """Who takes up no work: beat and both kinds of worker leave a sign of life every few seconds."""
    silent = silent_since(as_of)
    oldest = min([health.enterprise_manager.created_at for health in known] + [reader.date_joined])
    new = as_of - oldest < FIRST_MINUTES or not known
    if not silent or (new and not any(silent.values())):
        return
    if len(silent) == len(Pulse.Worker.values):
        last = max((at for at in silent.values() if at), default=None)
        yield Line(
            tone="bad",
            what=_("Nothing has taken up work since %s.") % moment(last)
            if last
            else _("Nothing has taken up work yet."),
            means=_("Beat, the workers or the broker is down: no sync, no report and no mail starts."),
            halts=True,
        )
        return
    worker, at = next(iter(silent.items()))
    what, means = {
        Pulse.Worker.SYNC: (_("The worker for syncs is silent"), _("No sync starts.")),
        Pulse.Worker.REPORTS: (_("The worker for reports is silent"), _("No report and no mail goes out.")),
    }[Pulse.Worker(worker)]
    since = _(" since %s.") % moment(at) if at else _(": no sign of life yet.")
    yield Line(tone="bad", what=f"{what}{since}", means=means)


def _lines_of(health: Health, reader: User) -> Iterator[Line]:
    em = health.enterprise_manager
    name = name_html(em.name)
    page = reverse("enterprisemanager-detail", args=[em.pk])
    look = format_html(_("Look at {}"), name)
    if em.losing_since and em.is_active:
        yield Line(
            tone="bad",
            what=format_html(_("{}: restore sessions are being lost."), name),
            means=_not_read(health) + _("EM forgets faster than it is read."),
            address=f"{page}#gaps",
            link=format_html(_("Look at {}’s gaps"), name),
        )
    elif health.stale and em.last_good_at:
        yield _stale(health, page, look)
    elif health.stale:
        yield Line(
            tone="warn",
            what=format_html(_("{} has never been read."), name),
            means=_("Nothing of it is in this mirror."),
            address=page,
            link=look,
        )
    if em.reconciled == Reconciliation.State.DIFFERENT and health.whole:
        yield Line(
            tone="warn",
            what=format_html(_("{} is not reconciled."), name),
            means=_("EM’s own list and this mirror differ."),
            address=f"{page}#reconciliation",
            link=format_html(_("Look at {}’s differences"), name),
        )
    if em.alert_error is not None and reader.granted.everything:  # it names recipients
        yield Line(
            tone="warn",
            what=format_html(_("The alert mail about {} did not go out."), name),
            means=name_html(em.alert_error[:300]),
        )


def _not_read(health: Health) -> str:
    at = health.enterprise_manager.last_good_at
    if at is None or not health.stale:
        return ""
    values = {"age": span(health.age), "at": moment(at)}
    return _("Not read for %(age)s; data as of %(at)s. ") % values


def _stale(health: Health, page: str, look: SafeString) -> Line:
    em = health.enterprise_manager
    name, age, at = name_html(em.name), span(health.age), moment(em.last_good_at or em.created_at)
    if not health.days_left:
        what = format_html(_("{} has not been read for {}, longer than EM remembers."), name, age)
        means = _("Data as of %s; restore sessions after that may be lost.") % at
    else:
        what = format_html(_("{} has not been read for {}."), name, age)
        means = _("Data as of %(at)s; %(left)s are left before EM forgets what is not copied.") % {
            "at": at,
            "left": span(health.days_left),
        }
    return Line(tone="bad" if health.critical else "warn", what=what, means=means, address=page, link=look)
