"""The register of evidence: final reports, whether a file is one of them, and what is done with one on record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.contrib import messages
from django.db import transaction
from django.db.models import Q
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from restorereports import audit
from restorereports.models import Act, Policy, Report
from restorereports.reports import register, retention
from restorereports.reports.issuing import NotPossible, make_final
from restorereports.reports.register import Kind
from restorereports.sign_in.actor import actor_of
from restorereports.tasks import render_report

from ..access import PersonRequest, administrators_only, only
from ..errors import refusal
from ..evidence import evidence_rows, is_whole, issued_entries
from ..forms.evidence import ReasonForm
from ..hashed_upload import MOST_BYTES, HashedFile, HashingHandler
from ..scope_words import report_rows
from ..wake import wake

ROWS: Final = 50
MOST_MB: Final = MOST_BYTES // 1_000_000


@require_safe
@only(Act.REPORT)
def evidence_list(request: PersonRequest) -> HttpResponse:
    """The final reports by their number in the register, newest first; of one policy where it is chosen."""
    before, policy = request.GET.get("before", ""), request.GET.get("policy", "")
    if not all(
        not text or (text.isascii() and text.isdecimal() and len(text) <= 18) for text in (before, policy)
    ):
        return refusal(request, _("The register has no such place."), back=reverse("evidence-list"))
    entries = issued_entries(request.user)
    if policy:
        entries = entries.filter(report__policy_version__policy=int(policy))
    if before:
        entries = entries.filter(number__lt=int(before))
    found = list(entries[: ROWS + 1])
    rows = evidence_rows(found[:ROWS], request.user)
    words = {row.report.pk: row for row in report_rows([row.report for row in rows], request.user)}
    context = {
        "rows": [(row, words[row.report.pk]) for row in rows],
        "head": register.head(),
        "older": found[ROWS - 1].number if len(found) > ROWS else None,
        "first": not before,
        "policies": Policy.objects.all(),
        "policy": int(policy) if policy else None,
    }
    return render(request, "web/evidence_list.html", context)


@csrf_exempt  # the check reads the form, so it waits until the file's handler is in place
@only(Act.REPORT)
def evidence_verify(request: PersonRequest) -> HttpResponse:
    """A file in, what it is out; it is hashed as it comes and not kept."""
    handler = HashingHandler(request)
    request.upload_handlers = [handler]
    response: HttpResponse = _verify(request)
    if handler.too_big:
        words = _("The file is larger than %(n)d MB: no report is. Nothing was kept of it.")
        return refusal(request, words % {"n": MOST_MB}, back=reverse("evidence-verify"))
    return response


@csrf_protect
def _verify(request: PersonRequest) -> HttpResponse:
    if request.method != "POST":
        return render(request, "web/evidence_verify.html", {"most": MOST_MB})
    file = request.FILES.get("file")
    if not isinstance(file, HashedFile):
        context = {"most": MOST_MB, "error": _("Choose a file first.")}
        return render(request, "web/evidence_verify.html", context, status=422)
    theirs = Report.objects.visible_to(request.user).filter(
        Q(sha256=file.sha256) | Q(draft_sha256=file.sha256)
    )
    report = theirs.select_related("policy_version__policy", "schedule").order_by("-pk").first()
    with transaction.atomic():
        details = {"sha256": file.sha256, "match": str(report or ""), "bytes": file.size}
        audit.record(audit.Action.EVIDENCE_VERIFIED, actor_of(request), of=report, details=details)
    match = _told(report, request) | {"was_draft": report.sha256 != file.sha256} if report else None
    context = {"most": MOST_MB, "file": file, "match": match}
    return render(request, "web/evidence_verify.html", context)


def _told(report: Report, request: PersonRequest) -> dict[str, object]:
    """What is said of the report that the file is."""
    entry = report.entries.filter(kind=Kind.ISSUED).first()
    row = evidence_rows([entry], request.user)[0] if entry else None
    return {
        "report": report,
        "words": report_rows([report], request.user)[0],
        "entry": entry,
        "row": row,
        "whole": entry is None or is_whole(entry, report),
    }


@require_POST
@only(Act.REPORT)
def report_final(request: PersonRequest, pk: int) -> HttpResponse:
    """Have a draft rendered as final, from the same figures."""
    report = _get(request, pk)
    try:
        make_final(report, request.user, actor_of(request))
    except NotPossible as failure:
        return refusal(request, str(failure), back=reverse("report-detail", args=[pk]))
    wake(render_report, report.pk)
    return redirect("report-detail", pk)


@require_POST
@administrators_only
def evidence_hold(request: PersonRequest, pk: int) -> HttpResponse:
    return _act(request, pk, retention.hold, _("The legal hold is set: nothing deletes this report."))


@require_POST
@administrators_only
def evidence_release(request: PersonRequest, pk: int) -> HttpResponse:
    return _act(request, pk, retention.release, _("The legal hold is lifted."))


@require_POST
@administrators_only
def evidence_delete(request: PersonRequest, pk: int) -> HttpResponse:
    return _act(request, pk, retention.delete, _("The files are deleted; hashes and register stay."))


def _act(request: PersonRequest, pk: int, act: Callable[..., None], done: str) -> HttpResponse:
    """One act with a reason, on the report's page again afterwards."""
    report = _get(request, pk)
    back = reverse("report-detail", args=[pk])
    form = ReasonForm(request.POST)
    if not form.is_valid():
        words = " ".join(str(error) for errors in form.errors.values() for error in errors)
        return refusal(request, words, back=back)
    try:
        act(report, actor_of(request), form.cleaned_data["reason"], at=timezone.now())
    except NotPossible as failure:
        return refusal(request, str(failure), back=back)
    messages.success(request, done)
    return HttpResponseRedirect(f"{back}#evidence")


def _get(request: PersonRequest, pk: int) -> Report:
    return get_object_or_404(Report.objects.visible_to(request.user), pk=pk)
