"""Figures and the report's row become one HTML document; every word of the PDF is in `templates/reports/`."""

from __future__ import annotations

import base64
import zoneinfo
from collections.abc import Sequence
from datetime import datetime, timedelta
from importlib.metadata import PackageNotFoundError, version

from django.template.loader import render_to_string
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from restorereports.models import RegisterHead, Report
from restorereports.policies.coverage import Judgement
from restorereports.wording import day_text, utc_text

from . import columns, policy_words
from .charts import trend_chart
from .figures import Figures
from .frozen import Attachment
from .printed import printed_text
from .scope_words import machine_form


def html(
    report: Report,
    figures: Figures,
    *,
    attachments: Sequence[Attachment] = (),
    register: RegisterHead | None = None,
) -> str:
    """The whole document, times in the report's zone. `attachments` lie in it, `register` is its end before this report."""
    zone = zoneinfo.ZoneInfo(figures.zone)
    within = {"attachments": attachments, "register": register, "data_sha256": report.data_sha256}
    with timezone.override(zone), translation.override(report.language):
        return render_to_string("reports/report.html", context(report, figures, zone) | within)


def context(report: Report, figures: Figures, zone: zoneinfo.ZoneInfo) -> dict[str, object]:
    start, end = figures.start.astimezone(zone), figures.end.astimezone(zone)
    return {
        "report": report,
        "f": figures,
        "organisation": printed_text(report.organisation),
        "classification": printed_text(report.classification),
        "logo": _logo(report),
        "app": f"Restore Reports {app_version()}",
        "prepared_by": prepared_by(report),
        "generated_at": report.started_at or report.created_at,
        "period_words": period_words(start, end),
        "period_local": _("%(start)s to %(end)s %(zone)s, end excluded")
        % {"start": _minute(start), "end": _minute(end), "zone": figures.zone},
        "period_utc": _("%(start)s to %(end)s")
        % {"start": _utc_minute(figures.start), "end": _utc_minute(figures.end)},
        "clock_changes": clock_changes(start, end),
        "not_over": figures.as_of < figures.end,
        "chart": trend_chart(figures.trend, figures.policy.months if figures.policy else ()),
        "coverage_months": {month.first: month for month in figures.policy.months} if figures.policy else {},
        "trend_whole": figures.trend.within(figures.start, figures.end),
        "machine_form": machine_form(figures.scope),
        "whole_vm": next((d for d in figures.durations.types if not d.is_mount_time and d.measured), None),
        "files": columns.files(with_policy=figures.policy is not None),
        **_policy(figures),
    }


def _policy(figures: Figures) -> dict[str, object]:
    """What is said of the policy beyond its figures; nothing without one."""
    if figures.policy is None:
        return {}
    met, asked = policy_words.judged(figures.policy.requirements)
    return {
        "requirements_met": met,
        "requirements_judged": asked,
        "rules": policy_words.rules(figures.policy),
        "tiers_below": [tier for tier in figures.policy.tiers if tier.judgement == Judgement.NOT_MET],
    }


def _logo(report: Report) -> str:
    """The picture itself as an address, since the document fetches nothing."""
    if report.logo is None:
        return ""
    image = base64.b64encode(bytes(report.logo.image)).decode("ascii")
    return f"data:{report.logo.media_type};base64,{image}"


def file_name(report: Report) -> str:
    """Under which name the PDF is handed out: days and number, no foreign text."""
    scope = report.restore_session_scope()
    zone = zoneinfo.ZoneInfo(report.zone)
    if scope.start is None or scope.end is None:
        raise ValueError("a report has a period with both ends")
    last = max(scope.end - timedelta(microseconds=1), scope.start)
    first_day, last_day = scope.start.astimezone(zone).date(), last.astimezone(zone).date()
    return f"restore-report-{first_day}-to-{last_day}-{report}.pdf"


def app_version() -> str:
    try:
        return version("restore-reports")
    except PackageNotFoundError:
        return "1.0.0"


def period_words(start: datetime, end: datetime) -> str:
    """`1 July to 30 September 2026`; a period that does not end at midnight is given with its hours."""
    if not (_is_midnight(start) and _is_midnight(end)) or start >= end:
        return _("%(start)s to %(end)s") % {"start": _minute(start), "end": _minute(end)}
    first, last = start.date(), end.date() - timedelta(days=1)
    if first == last:
        return date_format(first, _("j F Y"))
    form = _("j F") if first.year == last.year else _("j F Y")
    return _("%(start)s to %(end)s") % {
        "start": date_format(first, form),
        "end": date_format(last, _("j F Y")),
    }


def clock_changes(start: datetime, end: datetime) -> list[str]:
    """The days of the period that have not 24 hours, each with its hours (evidence rule 2)."""
    changes = []
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        following = day + timedelta(days=1)
        hours = (following.timestamp() - day.timestamp()) / 3600
        if hours != 24:
            changes.append(_("%(day)s has %(hours)g hours") % {"day": day_text(day), "hours": hours})
        day = following
    return changes


def prepared_by(report: Report) -> str:
    if report.schedule:
        return _("Schedule “%s”") % printed_text(report.schedule.name)
    if report.requested_by:
        return printed_text(report.requested_by.get_full_name() or report.requested_by.get_username())
    return _("Command line")


def _minute(at: datetime) -> str:
    return f"{day_text(at)} {at:%H:%M}" + (f":{at:%S}" if at.second or at.microsecond else "")


def _utc_minute(at: datetime) -> str:
    whole = utc_text(at)
    return f"{whole[:16]}Z" if whole.endswith(":00.000Z") else whole


def _is_midnight(at: datetime) -> bool:
    return (at.hour, at.minute, at.second, at.microsecond) == (0, 0, 0, 0)
