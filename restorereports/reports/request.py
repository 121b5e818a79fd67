"""Asking for a report: a row that waits for a worker."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from restorereports.models import (
    SYSTEM,
    Limited,
    Reader,
    Report,
    ReportSchedule,
    RestoreSessionScope,
    User,
)
from restorereports.models.grant import resolved
from restorereports.models.scope import NONE_OF_THEM


class PeriodOpen(ValueError):
    """A report needs a period with both ends."""


def request_report(
    *,
    scope: RestoreSessionScope,
    zone: str,
    organisation: str,
    requested_by: User | None,
    at: datetime,
    schedule: ReportSchedule | None = None,
) -> Report:
    """A waiting report of [scope.start, scope.end), counted in `zone`; PeriodOpen without both ends."""
    if scope.start is None or scope.end is None or scope.start > scope.end:
        raise PeriodOpen(_("A report needs a period with a start and an end."))
    with transaction.atomic():
        report = Report.objects.create(
            scope=scope.as_json(),
            zone=zone,
            organisation=organisation,
            requested_by=requested_by,
            schedule=schedule,
            created_at=at,
        )
        cover(report, reader_of(report))
    return report


def reader_of(report: Report) -> Reader:
    """With whose eyes the figures are taken: who asked for it, what its schedule names, or the installation."""
    if report.requested_by is not None:
        return report.requested_by
    if report.schedule is None:
        return SYSTEM
    managers = report.schedule.enterprise_managers.values_list("pk", flat=True)
    servers = report.schedule.backup_servers.values_list("pk", flat=True)
    return Limited(resolved(list(managers), list(servers))) if managers or servers else SYSTEM


def cover(report: Report, reader: Reader) -> None:
    """Keep of whom the figures may be: only who may see all of that sees the report."""
    report.covers_everything = reader.granted.everything
    report.save(update_fields=["covers_everything"])
    servers = () if report.covers_everything else report.restore_session_scope().servers_for(reader)
    report.covers.set([pk for pk in servers if servers != NONE_OF_THEM])
