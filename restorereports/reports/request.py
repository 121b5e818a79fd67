"""Asking for a report: a row that waits for a worker."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _

from restorereports.models import Report, ReportSchedule, RestoreSessionScope, User


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
    return Report.objects.create(
        scope=scope.as_json(),
        zone=zone,
        organisation=organisation,
        requested_by=requested_by,
        schedule=schedule,
        created_at=at,
    )
