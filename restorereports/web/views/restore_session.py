"""The list of restore sessions, one restore session, and what the current filter exports."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.db.models import OuterRef, Prefetch, Subquery
from django.http import HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe
from django_filters.views import FilterView
from django_tables2 import SingleTableMixin

from restorereports.models import Act, RestoreSession, RestoreSessionSource, SyncRun
from restorereports.models.counts import by_outcome, count_up_to
from restorereports.models.keyset import Order, page_of, position_of
from restorereports.policies.classes import set_by_hand
from restorereports.policies.notes import write_note
from restorereports.reports.on_record import record_request
from restorereports.reports.request import request_report
from restorereports.reports.sessions_csv import lines
from restorereports.sign_in.actor import actor_of
from restorereports.tasks import render_report

from ..access import PersonRequest, only
from ..completeness import shown_completeness
from ..context import freshness_of
from ..empty import empty_list
from ..errors import refusal
from ..exported import export
from ..filters import RestoreSessionFilter
from ..forms.session_note import ClassForm, SessionNoteForm
from ..history import history_of, last_seen_at
from ..paging import DEFAULT_SORT, SIZES, AddressUnreadable, ListPage, read_page
from ..report_scope import bounded
from ..session_notes import SaidOf, said_of
from ..sumline import sum_line
from ..tables import PageData, RestoreSessionTable
from ..wake import wake

UID_PREFIX = "urn:veeam:RestoreSession:"


def _filterset(request: PersonRequest, *, as_of: datetime) -> RestoreSessionFilter:
    return RestoreSessionFilter(request.GET, request=request, as_of=as_of)


class RestoreSessionListView(SingleTableMixin, FilterView):
    """The start page: filters on the left, sum line, one keyset page of rows."""

    table_class = RestoreSessionTable
    table_pagination = False
    filterset_class = RestoreSessionFilter
    template_name = "web/restoresession_list.html"
    page: ListPage

    def get_filterset(self, filterset_class: Any) -> RestoreSessionFilter:
        return _filterset(self.request, as_of=timezone.now())

    def get(self, request: PersonRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().get(request, *args, **kwargs)
        except AddressUnreadable as unreadable:
            return refusal(request, str(unreadable), back=reverse("restoresession-list"))
        return response

    def get_table_data(self) -> PageData:
        return PageData(self.page.rows)

    def get_table_kwargs(self) -> dict[str, Any]:
        return {"order_by": self.page.sort}

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        valid = self.filterset.is_valid()
        rows = self.object_list.select_related("backup_server").prefetch_related(_source_names())
        self.page = read_page(rows, self.request.GET)
        context: dict[str, Any] = super().get_context_data(page=self.page, valid=valid, **kwargs)
        by_start = self.page.sort == DEFAULT_SORT
        context |= {
            "zone": self.request.user.zone,
            "sizes": SIZES,
            "newer_word": _("Newer") if by_start else _("Previous"),
            "older_word": _("Older") if by_start else _("Next"),
        }
        if not valid:
            return context
        count = count_up_to(self.object_list)
        counts = None if count.over else by_outcome(self.object_list)
        known = freshness_of(self.request).known
        completeness = shown_completeness(
            self.filterset.scope, self.request.user, known, as_of=self.filterset.as_of
        )
        return context | {
            "count": count,
            "sum_line": sum_line(counts, self.filterset) if counts and counts.total else None,
            "chips": self.filterset.chips,
            "period_query": self.filterset.query_of_period,
            "completeness": completeness,
            "empty": None
            if self.page.rows
            else empty_list(self.filterset, self.request.user, known, completeness),
        }


def _source_names() -> Prefetch:
    """The names of the Enterprise Managers that show a row, without the payloads."""
    sources = RestoreSessionSource.objects.select_related("enterprise_manager")
    return Prefetch("sources", sources.only("restore_session_id", "enterprise_manager__name"))


@require_safe
def restoresession_detail(request: PersonRequest, pk: int) -> HttpResponse:
    """One restore session: every field, each source with its payload, the neighbours by start."""
    row = _get(request, pk)
    return _page(request, row, said_of(row, request.user))


def _get(request: PersonRequest, pk: int) -> RestoreSession:
    visible = RestoreSession.objects.visible_to(request.user)
    return get_object_or_404(visible.select_related("backup_server"), pk=pk)


def _page(request: PersonRequest, row: RestoreSession, said: SaidOf, *, status: int = 200) -> HttpResponse:
    visible = RestoreSession.objects.visible_to(request.user)
    order = Order()
    here = position_of(row, order)
    newer = page_of(visible, order, size=1, at=here, backwards=True).rows
    older = page_of(visible, order, size=1, at=here).rows
    full = SyncRun.objects.filter(
        enterprise_manager=OuterRef("enterprise_manager"),
        status=SyncRun.Status.GOOD,
        kind=SyncRun.Kind.FULL,
    ).order_by("-pk")
    sources = (
        row.sources.select_related("enterprise_manager", "first_seen_run", "changed_run", "missing_run")
        .annotate(read_in_full_at=Subquery(full.values("started_at")[:1]))
        .order_by("first_seen_at", "pk")
    )
    context = {
        "row": row,
        "sources": [(source, last_seen_at(source)) for source in sources],
        "history": history_of(row),
        "newer": newer[0] if newer else None,
        "older": older[0] if older else None,
        "said": said,
    }
    return render(request, "web/restoresession_detail.html", context, status=status)


@require_POST
@only(Act.NOTE)
def restoresession_class(request: PersonRequest, pk: int) -> HttpResponse:
    """A person says what the restore was for; rules leave it alone from then on."""
    row = _get(request, pk)
    form = ClassForm(request.POST, row=row)
    if not form.is_valid():
        return _page(request, row, said_of(row, request.user, class_form=form), status=422)
    set_by_hand(
        row,
        session_class=form.cleaned_data["session_class"],
        reason=form.cleaned_data["reason"],
        person=request.user,
        actor=actor_of(request),
        at=timezone.now(),
    )
    messages.success(request, _("The class is set."))
    return redirect(f"{reverse('restoresession-detail', args=[pk])}#class")


@require_POST
@only(Act.NOTE)
def restoresession_note(request: PersonRequest, pk: int) -> HttpResponse:
    """Add what a person has to say; what stands there stays."""
    row = _get(request, pk)
    form = SessionNoteForm(request.POST, row=row)
    if not form.is_valid():
        return _page(request, row, said_of(row, request.user, note_form=form), status=422)
    write_note(
        row,
        form.cleaned_data["text"],
        acknowledges=form.cleaned_data.get("acknowledges", False),
        content_checked=form.cleaned_data.get("content_checked", False),
        person=request.user,
        actor=actor_of(request),
        at=timezone.now(),
    )
    messages.success(request, _("The note is kept."))
    return redirect(f"{reverse('restoresession-detail', args=[pk])}#notes")


def _scope_or_refusal(request: PersonRequest, *, as_of: datetime) -> Any:
    filterset = _filterset(request, as_of=as_of)
    if filterset.is_valid():
        return filterset.scope, None
    sentence = _("The filter cannot be read: %s") % " ".join(
        str(error) for errors in filterset.errors.values() for error in errors
    )
    return None, refusal(
        request, sentence, back=f"{reverse('restoresession-list')}?{request.GET.urlencode()}"
    )


@require_safe
def restoresession_csv(request: PersonRequest) -> HttpResponseBase:
    """The current filter as CSV, all rows, streamed."""
    as_of = timezone.now()
    scope, refused = _scope_or_refusal(request, as_of=as_of)
    if refused:
        return refused
    return export(
        request,
        lines(scope, reader=request.user, spreadsheet_safe=True),
        file_name=f"restore-sessions-{as_of:%Y%m%dT%H%M%SZ}.csv",
        what={"format": "csv", "of": "restore sessions", "filter": scope.as_json()},
    )


@require_POST
@only(Act.REPORT)
def restoresession_pdf(request: PersonRequest) -> HttpResponse:
    """Ask for the PDF of the current filter; the page of the report says when it is there."""
    as_of = timezone.now()
    scope, refused = _scope_or_refusal(request, as_of=as_of)
    if refused:
        return refused
    with transaction.atomic():
        report = request_report(
            scope=bounded(scope, request.user, as_of=as_of),
            zone=request.user.zone,
            organisation="",
            requested_by=request.user,
            at=as_of,
        )
        record_request(report, actor_of(request))
    wake(render_report, report.pk)
    return redirect("report-detail", report.pk)


@require_safe
def search(request: PersonRequest) -> HttpResponse:
    """The search in the head: a restore session's id goes to it, other text to the list of all time."""
    text = request.GET.get("q", "").replace("\0", "").strip()  # PostgreSQL's texts hold no zero character
    found = RestoreSession.objects.visible_to(request.user).filter(uid__in=[text, UID_PREFIX + text])
    ids = list(found.values_list("pk", flat=True)[:2]) if text else []
    if len(ids) == 1:
        return redirect("restoresession-detail", ids[0])
    query = urlencode({"period": "all", "vm": text})
    return HttpResponseRedirect(f"{reverse('restoresession-list')}?{query}")
