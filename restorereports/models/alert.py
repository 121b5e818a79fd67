"""The mail that says that an Enterprise Manager was not read for too long."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class AlertQuerySet(models.QuerySet["Alert"]):
    def due(self, as_of: datetime) -> Self:
        return self.filter(Q(next_try_at=None) | Q(next_try_at__lte=as_of), sent_at=None, closed_at=None)

    def failed(self) -> Self:
        """Tried, and not out yet."""
        return self.filter(sent_at=None, closed_at=None, attempts__gt=0)


class Alert(models.Model):
    """One mail for one outage (`since_at`: the last good sync) and level; kept as a record of what was said when."""

    class Level(models.TextChoices):
        STALE = "stale", _("Stale")
        CRITICAL = "critical", _("Critical")

    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="alerts"
    )
    level = models.CharField(max_length=10, choices=Level)
    since_at = models.DateTimeField()
    created_at = models.DateTimeField()
    recipients = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(
        null=True
    )  # a good sync, or a worse alert, came before the mail went out
    error = models.TextField(blank=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("alert")
        constraints = [
            models.UniqueConstraint(
                fields=["enterprise_manager", "level", "since_at"], name="one_alert_per_outage_and_level"
            )
        ]

    def __str__(self) -> str:
        return f"alert {self.pk}"
