"""Asking for a report: a row that waits for a worker."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from restorereports.models import (
    SYSTEM,
    Granted,
    Limited,
    Logo,
    PolicyVersion,
    Reader,
    Report,
    ReportSchedule,
    RestoreSessionScope,
    User,
)
from restorereports.models.grant import resolved
from restorereports.models.granted import EVERYTHING
from restorereports.models.scope import NONE_OF_THEM


class PeriodOpen(ValueError):
    """A report needs a period with both ends."""


class FilteredByPolicy(ValueError):
    """A policy judges all restore sessions of its VMs: a report by it leaves none of them out."""


def request_report(
    *,
    scope: RestoreSessionScope,
    zone: str,
    organisation: str,
    requested_by: User | None,
    at: datetime,
    schedule: ReportSchedule | None = None,
    policy_version: PolicyVersion | None = None,
    language: str = Report.Language.ENGLISH,
    paper: str = Report.Paper.A4,
    classification: str = "",
    distribution: str = "",
    logo: Logo | None = None,
    stage: str = Report.Stage.DRAFT,
    supersedes: Report | None = None,
) -> Report:
    """A waiting report of [scope.start, scope.end), counted in `zone`; PeriodOpen without both ends.

    FilteredByPolicy where a policy shall judge what a filter for result, state, type or class has thinned out.
    """
    if scope.start is None or scope.end is None or scope.start > scope.end:
        raise PeriodOpen(_("A report needs a period with a start and an end."))
    if policy_version and scope.by_outcome:
        raise FilteredByPolicy(
            _(
                "A policy judges all restore sessions of its VMs: take the filter for result, state, type or "
                "class away, or ask for a report without a policy."
            )
        )
    with transaction.atomic():
        if supersedes:  # a report that failed takes nobody's place
            failed = Report.objects.filter(supersedes=supersedes, status=Report.Status.FAILED)
            failed.update(supersedes=None)
        report = Report.objects.create(
            scope=scope.as_json(),
            zone=zone,
            organisation=organisation,
            requested_by=requested_by,
            schedule=schedule,
            created_at=at,
            policy_version=policy_version,
            language=language,
            paper=paper,
            classification=classification,
            distribution=distribution,
            logo=logo,
            stage=stage,
            finalised_by=requested_by if stage == Report.Stage.FINAL else None,
            supersedes=supersedes,
        )
        cover(report, reader_of(report))
    return report


def reader_of(report: Report) -> Reader:
    """With whose eyes the figures are taken: the grants of who asked, or what the schedule names, narrowed to the scope.

    Narrowed, so that a report holds nothing beyond what it covers, whatever else who asked for it may see.
    """
    granted = _granted(report)
    if granted.everything:
        return SYSTEM
    scope = report.restore_session_scope()
    named = frozenset(scope.enterprise_managers)
    servers = frozenset(scope.servers_for(Limited(granted))) - set(NONE_OF_THEM)
    whole = (
        frozenset() if scope.backup_servers else granted.whole_managers & (named or granted.whole_managers)
    )
    showing = resolved((), servers).managers
    managers = whole | (showing & granted.managers & (named or showing))
    narrowed = Granted(servers=servers, managers=managers, whole_managers=whole)
    return Limited(narrowed, of_person=report.requested_by is not None)


def _granted(report: Report) -> Granted:
    if report.requested_by is not None:
        return report.requested_by.granted
    if report.schedule is None:
        return EVERYTHING
    managers = report.schedule.enterprise_managers.values_list("pk", flat=True)
    servers = report.schedule.backup_servers.values_list("pk", flat=True)
    return resolved(list(managers), list(servers)) if managers or servers else EVERYTHING


def cover(report: Report, reader: Reader) -> None:
    """Keep of whom the figures may be: only who may see all of that sees the report."""
    granted = reader.granted
    report.covers_everything = granted.everything
    report.save(update_fields=["covers_everything"])
    report.covers.set(granted.servers)
    report.covers_managers.set(granted.whole_managers)
