"""Signs of life of what runs unattended: beat, and each kind of worker."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models

SILENT_AFTER = timedelta(minutes=3)


class Pulse(models.Model):
    """When a worker of this kind last took up a wake-up that beat sent."""

    class Worker(models.TextChoices):
        SYNC = "sync"
        REPORTS = "reports"

    worker = models.CharField(max_length=10, choices=Worker, primary_key=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return self.worker


def silent_since(as_of: datetime) -> dict[str, datetime | None]:
    """By kind of worker whose last sign of life is older than SILENT_AFTER (or lies ahead): when; None = never."""
    seen = dict(Pulse.objects.values_list("worker", "at"))
    return {
        worker: seen.get(worker)
        for worker in Pulse.Worker.values
        if worker not in seen or not timedelta(minutes=-1) <= as_of - seen[worker] <= SILENT_AFTER
    }
