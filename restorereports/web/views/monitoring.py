"""For machines: is this installation alive (`/healthz`), and how is it (`/metrics`, for Prometheus)?

Everything is asked of the database at each scrape, so that any web process answers the same; nothing is written.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import Error as DatabaseFailure
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Count, Min, OuterRef, Q, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from restorereports.models import (
    Alert,
    Delivery,
    EnterpriseManager,
    Gap,
    Pulse,
    Reconciliation,
    Report,
    SyncRun,
)
from restorereports.models.pulse import silent_since
from restorereports.models.sync_run import DEAD_AFTER
from restorereports.reports.render import DEAD_AFTER as RENDERER_DEAD_AFTER

from ..context import VERSION

logger = logging.getLogger(__name__)
_EM = ["enterprise_manager"]


@login_not_required
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and has this program's tables, else 503; says nothing else to anybody."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except DatabaseFailure as failure:
        return _unavailable(failure)
    if missing := _newest_migrations() - set(applied):
        return _unavailable(f"migrations are not applied: {sorted(missing)}")
    return HttpResponse("ok", content_type="text/plain")


@functools.cache
def _newest_migrations() -> frozenset[tuple[str, str]]:
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _unavailable(why: object) -> HttpResponse:
    logger.error("not available: %s", why)
    return HttpResponse("unavailable", content_type="text/plain", status=503)


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format, for whoever bears METRICS_TOKEN; 404 while none is set."""
    if not settings.METRICS_TOKEN:
        raise Http404
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), settings.METRICS_TOKEN):
        return HttpResponse(
            "unauthorized", content_type="text/plain", status=401, headers={"WWW-Authenticate": "Bearer"}
        )
    registry = CollectorRegistry()
    registry.register(_Installation(timezone.now()))
    try:
        return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_PLAIN_0_0_4)
    except DatabaseFailure as failure:
        return _unavailable(failure)


class _Installation(Collector):
    """All gauges as of one moment; the number of queries grows neither with Enterprise Managers nor with rows."""

    def __init__(self, as_of: datetime) -> None:
        self._as_of = as_of

    def describe(self) -> list[Any]:
        """Nothing beforehand: the library would collect twice to learn the names."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily | InfoMetricFamily]:
        managers: list[Any] = list(_managers())
        yield from self._syncs(managers)
        yield from _evidence(managers)
        yield from self._work(managers)
        build = InfoMetricFamily("restore_reports_build", "The program that answers.")
        build.add_metric([], {"version": VERSION})
        yield build

    def _syncs(self, managers: list[Any]) -> Iterator[GaugeMetricFamily]:
        age = _per_em(
            "last_good_sync_age_seconds",
            "Since the start of the last good sync. Absent before the first one and while sync is switched off; "
            "negative when the clock was set back since.",
        )
        never = _per_em("never_synced", "1: switched on, and no sync has worked yet.")
        window = _per_em(
            "window_seconds", "How far back Enterprise Manager answers, as far as that was seen."
        )
        paused = _per_em("sync_paused", "1: a person has to act before the next sync.")
        switched_off = _per_em("sync_switched_off", "1: a person has switched sync off.")
        for em in managers:
            if em.is_active and em.last_good_at:
                age.add_metric([em.name], (self._as_of - em.last_good_at).total_seconds())
            never.add_metric([em.name], em.is_active and em.last_good_at is None)
            window.add_metric([em.name], em.window.total_seconds())
            paused.add_metric([em.name], em.paused_at is not None)
            switched_off.add_metric([em.name], not em.is_active)
        yield from (age, never, window, paused, switched_off)

    def _work(self, managers: list[Any]) -> Iterator[GaugeMetricFamily]:
        waits = [
            since
            for since in (*_syncs_due_since(managers, self._as_of), _report_waits_since(self._as_of))
            if since
        ]
        longest = max([(self._as_of - since).total_seconds() for since in waits], default=0)
        yield GaugeMetricFamily(
            "restore_reports_queue_age_seconds",
            "How long what is due has waited for a worker at most: syncs, and reports to be rendered.",
            max(longest, 0),
        )
        yield GaugeMetricFamily(
            "restore_reports_failed_deliveries",
            "Mails of reports that failed or were given up, and mails about outages that failed.",
            _failed_deliveries(),
        )
        silent = silent_since(self._as_of)
        workers = GaugeMetricFamily(
            "restore_reports_worker_silent",
            "1: no worker of this kind has taken up a wake-up for three minutes, or beat sends none.",
            labels=["worker"],
        )
        for worker in Pulse.Worker.values:
            workers.add_metric([worker], worker in silent)
        yield workers


def _per_em(name: str, meaning: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"restore_reports_{name}", meaning, labels=_EM)


def _managers() -> Any:
    """With their health, what their latest comparison found, and since when their run, if any, is silent."""
    runs = SyncRun.objects.filter(enterprise_manager=OuterRef("pk")).order_by("-pk")
    compared = Reconciliation.objects.filter(enterprise_manager=OuterRef("pk")).order_by("-pk")
    return EnterpriseManager.objects.with_health().annotate(
        last_ended_at=Subquery(runs.exclude(ended_at=None).values("ended_at")[:1]),
        heartbeat_at=Subquery(runs.running().values("heartbeat_at")[:1]),
        reconciled=Subquery(compared.values("state")[:1]),
    )


def _evidence(managers: list[Any]) -> Iterator[GaugeMetricFamily]:
    gaps = _per_em("gaps", "Times from which restore sessions may be missing for good.")
    growing = _per_em("gap_growing", "1: such a time has not ended yet.")
    reconciled = _per_em(
        "reconciled", "1: the last comparison with Enterprise Manager found everything equal."
    )
    found = {
        pk: (count, open_ones)
        for pk, count, open_ones in Gap.objects.lost()
        .order_by()
        .values_list("enterprise_manager")
        .annotate(count=Count("pk"), open_ones=Count("pk", filter=Q(closed_run=None)))
    }
    for em in managers:
        count, open_ones = found.get(em.pk, (0, 0))
        gaps.add_metric([em.name], count)
        growing.add_metric([em.name], open_ones > 0)
        if em.reconciled is not None:
            reconciled.add_metric([em.name], em.reconciled == Reconciliation.State.EQUAL)
    yield from (gaps, growing, reconciled)


def _syncs_due_since(managers: list[Any], as_of: datetime) -> Iterator[datetime]:
    """Since when each due sync waits: as `mirror.due` decides, but closing no dead run, for a scrape writes nothing."""
    for em in managers:
        if not em.is_active or em.paused_at:
            continue
        if em.heartbeat_at is not None:
            if em.heartbeat_at + DEAD_AFTER < as_of:  # its process is gone
                yield em.heartbeat_at + DEAD_AFTER
            continue
        died_at = em.last_ended_at if em.last_status == SyncRun.Status.DIED else None
        reasons = [em.sync_requested_at, died_at, em.next_sync_at or em.created_at]
        yield from (since for since in reasons if since and since <= as_of)


def _report_waits_since(as_of: datetime) -> datetime | None:
    """As `render.waiting_reports`: asked for, or its renderer died."""
    dead = Q(status=Report.Status.RENDERING, started_at__lt=as_of - RENDERER_DEAD_AFTER)
    waits = Report.objects.filter(Q(status=Report.Status.WAITING) | dead).aggregate(
        asked=Min("created_at", filter=Q(status=Report.Status.WAITING)), died=Min("started_at", filter=dead)
    )
    died = waits["died"] + RENDERER_DEAD_AFTER if waits["died"] else None
    return min((since for since in (waits["asked"], died) if since), default=None)


def _failed_deliveries() -> int:
    failed = Delivery.objects.filter(status__in=(Delivery.Status.RETRYING, Delivery.Status.GIVEN_UP))
    return failed.count() + Alert.objects.failed().filter(enterprise_manager__is_active=True).count()
