"""What the audit trail says of reports, their schedules and mails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from restorereports.audit import Action, Actor, record
from restorereports.models import Delivery, Report, ReportSchedule
from restorereports.models.report import split_recipients

from .schedule import month_started_at

_PLAIN: Final = (
    *("name", "recipients", "organisation", "zone", "day", "hour", "is_active"),
    *("language", "paper", "classification", "distribution"),
)


def record_request(report: Report, actor: Actor) -> None:
    """That this report was asked for: of what, in which zone."""
    record(
        Action.REPORT_REQUESTED,
        actor,
        of=report,
        details={
            "filter": report.scope,
            "zone": report.zone,
            "organisation": report.organisation,
            "stage": report.stage,
            "policy": str(report.policy_version or ""),
            "supersedes": str(report.supersedes or ""),
        },
    )


def facts_of(schedule: ReportSchedule) -> dict[str, Any]:
    """What can be changed of a schedule, as plain values; empty before it is saved."""
    if schedule.pk is None:
        return {}
    saved = ReportSchedule.objects.get(pk=schedule.pk)
    return {name: getattr(saved, name) for name in _PLAIN} | {
        "first_month": saved.first_month.isoformat(),
        "policy": str(saved.policy) if saved.policy else "",
        "logo": str(saved.logo) if saved.logo else "",
        "enterprise_managers": sorted(saved.enterprise_managers.values_list("pk", flat=True)),
        "backup_servers": sorted(saved.backup_servers.values_list("pk", flat=True)),
    }


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """By field what it was and what it became; of something new what it is."""
    if not before:
        return {"added": dict(after)}
    return {name: [before[name], after[name]] for name in after if before[name] != after[name]}


def record_mail(delivery: Delivery, actor: Actor, *, outcome: str, refused: Sequence[str] = ()) -> None:
    """What became of the mail of one period. `refused`: recipients that the server took out."""
    report = delivery.report
    details: dict[str, Any] = {
        "outcome": outcome,
        "schedule": delivery.schedule.name,
        "period": f"{month_started_at(delivery.period_start_at):%Y-%m}",
        "recipients": split_recipients(delivery.recipients),
    }
    if refused:
        details["refused"] = list(refused)
    if report is not None:
        details["sha256"] = report.sha256
    record(Action.REPORT_MAILED, actor, of=report or delivery.schedule, details=details)
