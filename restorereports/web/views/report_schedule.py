"""Schedules of monthly reports, and sending again what was given up."""

from __future__ import annotations

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from restorereports.audit import Action, record
from restorereports.models import Delivery, ReportSchedule
from restorereports.reports.mail import send_again
from restorereports.reports.on_record import changed, facts_of, record_mail
from restorereports.sign_in.actor import actor_of
from restorereports.tasks import start_due_reports

from ..access import PersonRequest, administrators_only
from ..forms.account import zone_names
from ..forms.report_schedule import ReportScheduleForm
from ..wake import wake


@administrators_only
def reportschedule_add(request: PersonRequest) -> HttpResponse:
    return _edit(request, ReportSchedule())


@administrators_only
def reportschedule_edit(request: PersonRequest, pk: int) -> HttpResponse:
    return _edit(request, get_object_or_404(ReportSchedule, pk=pk))


def _edit(request: PersonRequest, schedule: ReportSchedule) -> HttpResponse:
    shown_name, before = schedule.name, facts_of(schedule)
    form = ReportScheduleForm(
        request.POST or None, request.FILES or None, instance=schedule, reader=request.user
    )
    if form.is_valid():
        with transaction.atomic():
            if changes := changed(before, facts_of(form.save())):
                record(Action.SCHEDULE_CHANGED, actor_of(request), of=schedule, details=changes)
        wake(start_due_reports)
        messages.success(request, _("Saved."))
        return redirect("report-list")
    context = {"form": form, "shown_name": shown_name, "zones": zone_names()}
    return render(request, "web/reportschedule_form.html", context)


@require_POST
@administrators_only
def delivery_resend(request: PersonRequest, pk: int) -> HttpResponse:
    """Send again what was given up: the same report, with its tries counted anew."""
    delivery = get_object_or_404(Delivery, pk=pk)
    with transaction.atomic():
        if again := send_again(delivery, timezone.now()):
            record_mail(delivery, actor_of(request), outcome="to be sent again")
    if again:
        wake(start_due_reports)
        messages.success(request, _("It will be sent again."))
    else:
        messages.warning(request, _("It was not given up, so there is nothing to send again."))
    return redirect("report-list")
