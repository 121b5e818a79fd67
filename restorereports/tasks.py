"""Celery tasks: ids in, one call. They are wake-ups; losing one loses nothing but seconds."""

from __future__ import annotations

import threading
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.core.management import call_command
from django.utils import timezone

from restorereports.mirror.due import due_enterprise_managers, is_due
from restorereports.mirror.lock import CannotStart
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Pulse
from restorereports.reports import alerts, files, mail, render, retention, schedule

_shutting_down = threading.Event()


@worker_shutting_down.connect
def _stop_syncs(**_kwargs: Any) -> None:
    """A warm shutdown ends running syncs at the next page, after logging off."""
    _shutting_down.set()


@shared_task
def start_due_syncs() -> None:
    for enterprise_manager_id in due_enterprise_managers(as_of=timezone.now()):
        sync_enterprise_manager.delay(enterprise_manager_id)


@shared_task
def sync_enterprise_manager(enterprise_manager_id: int) -> None:
    if not is_due(enterprise_manager_id, as_of=timezone.now()):
        return
    enterprise_manager = EnterpriseManager.objects.get(pk=enterprise_manager_id)
    trigger = "person" if enterprise_manager.sync_requested_at else "schedule"
    try:
        sync(enterprise_manager, trigger=trigger, should_stop=_shutting_down.is_set)
    except CannotStart:
        return  # another worker was faster


@shared_task
def start_due_reports() -> None:
    as_of = timezone.now()
    schedule.plan_deliveries(as_of=as_of)
    for report_id in render.waiting_reports(as_of=as_of):
        render_report.delay(report_id)
    deliver_due_reports.delay()


@shared_task
def render_report(report_id: int) -> None:
    render.render_report(report_id, as_of=timezone.now())


@shared_task
def deliver_due_reports() -> None:
    mail.deliver_due(as_of=timezone.now())


@shared_task
def send_due_alerts() -> None:
    as_of = timezone.now()
    alerts.raise_alerts(as_of=as_of)
    alerts.deliver_alerts(as_of=as_of)


@shared_task
def pulse(worker: str) -> None:
    """`worker` is a Pulse.Worker: beat lives, and a worker of this kind takes up what it sends."""
    Pulse.objects.update_or_create(worker=worker, defaults={"at": timezone.now()})


@shared_task
def sweep_expired() -> None:
    as_of = timezone.now()
    files.sweep(as_of=as_of)
    retention.sweep(as_of=as_of)
    call_command("clearsessions")
