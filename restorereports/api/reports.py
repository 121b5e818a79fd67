"""Reports: the list, one with its hash and its place in the audit trail, and its file."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.http import FileResponse, Http404
from ninja import Query, Router, Schema
from pydantic import Field

from restorereports.audit import Action, Via, record
from restorereports.models import ApiToken, Report, User
from restorereports.reports.files import path_of
from restorereports.reports.scope_words import filters_of
from restorereports.sign_in.actor import actor_of

from .gate import ApiRequest
from .operations import reads
from .paging import PageParameters, page_by_id
from .values import Time

SCOPE = ApiToken.Scope.REPORTS
PDF = "application/pdf"
router = Router(tags=["reports"])


class ReportFilters(Schema):
    """What narrows the report beside its period; an empty list or text does not. Ids that may be seen."""

    enterprise_managers: list[int]
    backup_servers: list[int]
    vm: str
    vm_exact: str
    outcomes: list[str]
    results: list[str]
    states: list[str]
    job_types: list[str]


class FilterWords(Schema):
    """The same for people; `more` values are meant beyond those that are named."""

    label: str
    values: list[str]
    more: int


class ReportOut(Schema):
    id: int
    number: str = Field(description="As printed on it.", examples=["RR-2026-0042"])
    status: Report.Status
    created_at: Time
    as_of: Time | None = Field(description="When its figures were taken.")
    period_from: Time | None
    period_to: Time | None
    zone: str
    organisation: str
    file_name: str
    sha256: str = Field(description="Of the PDF; empty until it is made.")
    size: int
    pages: int
    rows: int
    audit_length: int | None = Field(description="Entries of the audit trail when its figures were taken.")
    audit_hash: str


class ReportDetail(ReportOut):
    filters: ReportFilters
    filter_words: list[FilterWords]
    file_there: bool = Field(description="PDFs asked for by hand are deleted after a while.")


class ReportPage(Schema):
    items: list[ReportOut]
    next_cursor: str | None


@reads(router, "/reports", scope=SCOPE, answers=ReportPage, name="list_reports")
def list_reports(request: ApiRequest, asked: Query[PageParameters]) -> ReportPage:
    """Reports, newest first."""
    visible = Report.objects.visible_to(request.user)
    found, following = page_by_id(visible, asked, of="reports", newest_first=True)
    return ReportPage(items=[ReportOut(**_fields(report)) for report in found], next_cursor=following)


@reads(router, "/reports/{int:id}", scope=SCOPE, answers=ReportDetail, name="get_report", not_found=True)
def get_report(request: ApiRequest, id: int) -> ReportDetail:
    """One report, what it covers, and whether its file is still there."""
    report = _get(request, id)
    words = filters_of(report.restore_session_scope(), reader=request.user)
    return ReportDetail(
        **_fields(report),
        filters=_filters(report, request.user),
        filter_words=[FilterWords(label=one.label, values=list(one.values), more=one.rest) for one in words],
        file_there=_file_there(report),
    )


@reads(
    router,
    "/reports/{int:id}/file",
    scope=SCOPE,
    answers=None,
    name="get_report_file",
    not_found=True,
    content={PDF: {"schema": {"type": "string", "contentMediaType": PDF}}},
)
def get_report_file(request: ApiRequest, id: int) -> FileResponse:
    """The PDF as it was made; compare its SHA-256 with the report's."""
    report = _get(request, id)
    if not _file_there(report):
        raise Http404
    file = path_of(report).open("rb")
    record(
        Action.REPORT_DOWNLOADED,
        actor_of(request, via=Via.API),
        of=report,
        details={"sha256": report.sha256, "token": request.api_token.starts_with},
    )
    return FileResponse(
        file,
        as_attachment=True,
        filename=report.file_name or f"{report}.pdf",
        content_type=PDF,
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


def _get(request: ApiRequest, pk: int) -> Report:
    report: Report | None = Report.objects.visible_to(request.user).filter(pk=pk).first()
    if report is None:
        raise Http404
    return report


def _file_there(report: Report) -> bool:
    return report.status == Report.Status.READY and path_of(report).is_file()


_PLAIN = [name for name in ReportOut.model_fields if name not in ("id", "number", "period_from", "period_to")]


def _fields(report: Report) -> dict[str, Any]:
    scope = report.restore_session_scope()
    return {name: getattr(report, name) for name in _PLAIN} | {
        "id": report.pk,
        "number": str(report),
        "period_from": scope.start,
        "period_to": scope.end,
    }


def _filters(report: Report, person: User) -> ReportFilters:
    scope, granted = report.restore_session_scope(), person.granted

    def seen(ids: Collection[int], known: Collection[int]) -> list[int]:
        return [pk for pk in ids if granted.everything or pk in known]

    return ReportFilters(
        enterprise_managers=seen(scope.enterprise_managers, granted.managers),
        backup_servers=seen(scope.backup_servers, granted.servers),
        vm=scope.vm,
        vm_exact=scope.vm_exact,
        outcomes=list(scope.outcomes),
        results=list(scope.results),
        states=list(scope.states),
        job_types=list(scope.job_types),
    )
