"""Reports: made and in the making, one report, its file, and asking for another."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from restorereports.audit import Action, record
from restorereports.models import Act, Delivery, Report, ReportSchedule
from restorereports.reports.files import path_of
from restorereports.reports.on_record import record_request
from restorereports.reports.request import request_report
from restorereports.sign_in.actor import actor_of
from restorereports.tasks import render_report

from ..access import PersonRequest, only
from ..context import freshness_of
from ..errors import refusal
from ..evidence import evidence_of
from ..forms.account import zone_names
from ..forms.report import ReportForm
from ..report_preview import report_preview
from ..scope_words import report_rows
from ..wake import wake

KEPT = (
    "zone",
    "organisation",
    "language",
    "paper",
    "classification",
    "distribution",
    "stage",
    "supersedes",
)
REPORTS_SHOWN = 50
_LOOKS = ("organisation", "zone", "language", "paper", "classification", "distribution")
DELIVERIES_SHOWN = 25


@require_safe
@only(Act.REPORT)
def report_list(request: PersonRequest) -> HttpResponse:
    """Reports by number, newest first; then the schedules and what became of their mails."""
    reports = (
        Report.objects.visible_to(request.user).select_related("requested_by", "schedule").order_by("-pk")
    )
    before = request.GET.get("before", "")
    if before:
        if not before.isdecimal() or len(before) > 18:
            return refusal(request, _("The list of reports has no such place."), back=reverse("report-list"))
        reports = reports.filter(pk__lt=int(before))
    found = list(reports[: REPORTS_SHOWN + 1])
    context = {
        "rows": report_rows(found[:REPORTS_SHOWN], request.user),
        "before": found[REPORTS_SHOWN - 1].pk if len(found) > REPORTS_SHOWN else None,
        "first": not before,
        "keep_days": settings.REPORT_KEEP_DAYS,
        "schedules": ReportSchedule.objects.visible_to(request.user),
        "deliveries": Delivery.objects.visible_to(request.user).select_related("schedule", "report")[
            :DELIVERIES_SHOWN
        ],
    }
    return render(request, "web/report_list.html", context)


def _get(request: PersonRequest, pk: int) -> Report:
    visible = Report.objects.visible_to(request.user).select_related("requested_by", "schedule")
    return get_object_or_404(visible, pk=pk)


@require_safe
@only(Act.REPORT)
def report_detail(request: PersonRequest, pk: int) -> HttpResponse:
    """One report; while it is in the making the page, or its fragment by htmx, is asked again."""
    report = _get(request, pk)
    pending = report.status in (Report.Status.WAITING, Report.Status.RENDERING)
    context = {
        "row": report_rows([report], request.user)[0],
        "report": report,
        "pending": pending,
        "file_there": report.status == Report.Status.READY and path_of(report).is_file(),
        "deliveries": report.deliveries.visible_to(request.user).select_related("schedule"),
        "evidence": evidence_of(report, request.user, as_of=timezone.now()),
    }
    if not request.htmx:
        return render(request, "web/report_detail.html", context)
    response = render(request, "web/parts/report_status.html", context)
    if not pending:
        response["HX-Refresh"] = "true"
    return response


@require_safe
@only(Act.REPORT)
def report_file(request: PersonRequest, pk: int) -> FileResponse:
    """The PDF as it was made, as an attachment."""
    report = _get(request, pk)
    path = path_of(report)
    if report.status != Report.Status.READY or not path.is_file():
        raise Http404
    file = path.open("rb")
    if request.method != "HEAD":  # else nothing leaves
        record(Action.REPORT_DOWNLOADED, actor_of(request), of=report, details={"sha256": report.sha256})
    return FileResponse(
        file,
        as_attachment=True,
        filename=report.file_name or f"{report}.pdf",
        content_type="application/pdf",
        headers={
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        },
    )


@only(Act.REPORT)
def report_add(request: PersonRequest) -> HttpResponse:
    """Ask for a report of what one may see; with `preview` its figures are shown first."""
    as_of = timezone.now()
    form = ReportForm(
        request.POST or None,
        request.FILES or None,
        reader=request.user,
        as_of=as_of,
        initial=_initial(request),
    )
    context: dict[str, Any] = {"form": form, "zones": zone_names()}
    if form.is_valid():
        if "preview" in request.POST:
            preview = report_preview(form, request.user, freshness_of(request).known, as_of=as_of)
            return render(request, "web/report_add.html", context | {"preview": preview})
        report = _asked(request, form, as_of)
        if report is not None:
            wake(render_report, report.pk)
            return redirect("report-detail", report.pk)
    return render(request, "web/report_add.html", context)


def _initial(request: PersonRequest) -> dict[str, Any]:
    """One's own zone; of a correction (`?supersedes=`) the looks and the policy of the report that it replaces."""
    text = request.GET.get("supersedes", "")
    finals = Report.objects.visible_to(request.user).filter(stage=Report.Stage.FINAL)
    old = finals.filter(pk=int(text)).first() if text.isdecimal() and len(text) <= 18 else None
    if old is None:
        return {"zone": request.user.zone}
    looks = {name: getattr(old, name) for name in _LOOKS}
    policy = old.policy_version.policy_id if old.policy_version else None
    return looks | {"supersedes": old.pk, "stage": Report.Stage.FINAL.value, "policy": policy}


def _asked(request: PersonRequest, form: ReportForm, as_of: datetime) -> Report | None:
    """The waiting report; None, with an error of the form, when another one took the same place meanwhile."""
    values = form.cleaned_data
    policy = values["policy"]
    try:
        with transaction.atomic():
            report = request_report(
                scope=form.scope(),
                requested_by=request.user,
                at=as_of,
                policy_version=policy.latest if policy else None,
                logo=form.kept_logo,
                **{name: values[name] for name in KEPT},
            )
            record_request(report, actor_of(request))
    except IntegrityError:
        form.add_error("supersedes", _("Another report took the place of this one meanwhile."))
        return None
    return report
