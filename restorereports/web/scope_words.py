"""What a report covers, in words, for any number of reports with two queries."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Outcome,
    Report,
    RestoreSessionScope,
    SessionClass,
    User,
)
from restorereports.wording import job_type_text, name_text


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportRow:
    """A report with its period and its filters in words."""

    report: Report
    period: str
    scope: str


def report_rows(reports: Iterable[Report], reader: User) -> list[ReportRow]:
    scopes = [(report, report.restore_session_scope()) for report in reports]
    managers = _names(
        EnterpriseManager, reader, {pk for _report, scope in scopes for pk in scope.enterprise_managers}
    )
    servers = _names(BackupServer, reader, {pk for _report, scope in scopes for pk in scope.backup_servers})
    return [
        ReportRow(
            report=report,
            period=period_words(scope, report.zone),
            scope=_scope_words(scope, managers, servers),
        )
        for report, scope in scopes
    ]


def _names(
    model: type[EnterpriseManager] | type[BackupServer], reader: User, ids: set[int]
) -> dict[int, str]:
    """A name for each; what the reader may not know bears none, and what is not there its number."""
    if not ids:
        return {}
    known = dict(model.objects.visible_to(reader).filter(pk__in=ids).values_list("pk", "name"))
    return {pk: f"#{pk}" if reader.granted.everything else _("unknown") for pk in ids} | known


def period_words(scope: RestoreSessionScope, zone: str) -> str:
    """`2026-07-01 to 2026-07-31`, with the time of day where an end is not a midnight of the zone."""
    if scope.start is None or scope.end is None:
        return _("all")
    start, end = (at.astimezone(zoneinfo.ZoneInfo(zone)) for at in (scope.start, scope.end))
    last = f"{end - timedelta(days=1):%Y-%m-%d}" if _is_midnight(end) else f"{end:%Y-%m-%d %H:%M:%S}"
    first = f"{start:%Y-%m-%d}" if _is_midnight(start) else f"{start:%Y-%m-%d %H:%M:%S}"
    return first if first == last else _("%(first)s to %(last)s") % {"first": first, "last": last}


def _is_midnight(at: datetime) -> bool:
    return at.hour == at.minute == at.second == at.microsecond == 0


def _scope_words(scope: RestoreSessionScope, managers: dict[int, str], servers: dict[int, str]) -> str:
    parts = [
        (_("Enterprise Manager"), [managers[pk] for pk in scope.enterprise_managers]),
        (_("backup server"), [servers[pk] for pk in scope.backup_servers]),
        (_("VM contains"), [scope.vm] if scope.vm else []),
        (_("VM is"), [scope.vm_exact] if scope.vm_exact else []),
        (_("result"), [str(Outcome(value).label) for value in scope.outcomes] + list(scope.results)),
        (_("type"), [job_type_text(value) for value in scope.job_types]),
        (_("state"), list(scope.states)),
        (_("class"), [str(SessionClass(value).label) for value in scope.session_classes]),
    ]
    words = [
        f"{label} {', '.join(name_text(value) for value in values)}" for label, values in parts if values
    ]
    return "; ".join(words) or _("all restore sessions")
