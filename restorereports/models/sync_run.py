"""One sync of one Enterprise Manager, recorded from its start; the running row is also the lock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

HEARTBEAT_SECONDS = 10
DEAD_AFTER = timedelta(seconds=40)  # a killed run's lock is free within 60 s: this plus a wake-up of beat


class SyncRunQuerySet(models.QuerySet["SyncRun"]):
    def running(self) -> Self:
        return self.filter(status=SyncRun.Status.RUNNING)

    def silent(self, as_of: datetime) -> Self:
        """Running runs whose heartbeat stopped: the process that held them is gone.

        A heartbeat that lies ahead was made before the clock was set back; a live one beats again at once.
        """
        stopped = Q(heartbeat_at__lt=as_of - DEAD_AFTER) | Q(heartbeat_at__gt=as_of + DEAD_AFTER)
        return self.running().filter(stopped)


class SyncRun(models.Model):
    """What a sync asked, received and changed. Counts are rows received from this Enterprise Manager."""

    class Kind(models.TextChoices):
        INCREMENTAL = "incremental", _("incremental")
        FULL = "full", _("full")

    class Status(models.TextChoices):
        RUNNING = "running", _("Running")
        GOOD = "good", _("Done")
        FAILED = "failed", _("Failed")
        STOPPED = "stopped", _("Stopped")
        DIED = "died", _("Died")

    class Trigger(models.TextChoices):
        SCHEDULE = "schedule", _("schedule")
        PERSON = "person", _("person")
        COMMAND = "command", _("command line")

    class Collector(models.TextChoices):
        GOOD = "good", _("Working")
        PARTIAL = "partial", _("Not every backup server")
        FAILED = "failed", _("Failed")
        NOT_READABLE = "not_readable", _("Not readable with this role")
        UNKNOWN = "unknown", _("Not known")

    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="runs"
    )
    kind = models.CharField(max_length=12, choices=Kind)
    trigger = models.CharField(max_length=10, choices=Trigger, default=Trigger.SCHEDULE)
    status = models.CharField(max_length=8, choices=Status, default=Status.RUNNING)
    started_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    window_from_at = models.DateTimeField(null=True)
    page = models.PositiveIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)
    seen = models.PositiveIntegerField(default=0)
    new = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    missing = models.PositiveIntegerField(default=0)  # rows that a full run found gone from EM
    asked_by_id = models.PositiveIntegerField(default=0)
    unanswered = models.PositiveIntegerField(default=0)  # asked by id, and EM could not tell
    asked_up_to = models.BigIntegerField(default=0)  # the next run goes on behind this source
    oldest_at = models.DateTimeField(null=True)
    newest_at = models.DateTimeField(null=True)
    covers_from_at = models.DateTimeField(
        null=True
    )  # a full run misses nothing that was created from here on
    read_to_at = models.DateTimeField(null=True)  # a good run has what EM knew of the time before
    account = models.CharField(max_length=255, blank=True)
    role = models.CharField(max_length=80, blank=True)
    api_versions = models.CharField(max_length=200, blank=True)
    restore_scope = models.CharField(max_length=10, blank=True)  # as declared when it ran
    clock_skew_seconds = models.FloatField(null=True)  # EM's clock less ours
    database_skew_seconds = models.FloatField(null=True)  # the database's clock less ours
    collector = models.CharField(max_length=12, choices=Collector, blank=True)
    collected_at = models.DateTimeField(null=True)  # EM's last collection that worked, by EM's clock
    error_kind = models.CharField(max_length=40, blank=True)
    error = models.TextField(blank=True)
    error_detail = models.TextField(blank=True)

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]  # never by time: a clock set back must not reorder runs
        constraints = [
            models.UniqueConstraint(
                fields=["enterprise_manager"], condition=Q(status="running"), name="one_running_sync_per_em"
            )
        ]
        indexes = [
            models.Index(fields=["enterprise_manager", "-id"], name="syncrun_em"),
            models.Index(fields=["enterprise_manager", "status", "-id"], name="syncrun_em_status"),
            models.Index(fields=["heartbeat_at"], condition=Q(status="running"), name="syncrun_running"),
        ]

    def __str__(self) -> str:
        return f"run {self.pk}"

    @property
    def took(self) -> timedelta | None:
        return self.ended_at - self.started_at if self.ended_at else None
