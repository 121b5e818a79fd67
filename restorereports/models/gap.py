"""Gaps: times of which Enterprise Manager may have shown restore sessions that no sync could read."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NoReturn

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .account import Reader
from .append_only import AppendOnly, NeverChanged


class GapQuerySet(models.QuerySet["Gap"]):
    def visible_to(self, reader: Reader) -> GapQuerySet:
        """Those of the backup servers that the reader may see, and those of the Enterprise Managers as a whole."""
        granted = reader.granted
        if granted.everything:
            return self
        of_all = Q(backup_server=None, enterprise_manager__in=granted.managers)
        whole = Q(enterprise_manager__in=granted.whole_managers)
        return self.filter(of_all | whole | Q(backup_server__in=granted.servers))

    def growing(self) -> GapQuerySet:
        return self.filter(closed_run=None)

    def lost(self) -> GapQuerySet:
        """Those in which something may be missing: growing, or closed with a length."""
        return self.filter(Q(closed_run=None) | Q(to_at__gt=models.F("from_at")))


class Gap(models.Model):
    """[from_at, to_at) of restore sessions' creation, opened by one run and closed once by another; never edited.

    While it grows `to_at` is None. `to_at` equal to `from_at`: EM still showed everything, nothing was lost.
    Without `backup_server` it concerns all backup servers of the Enterprise Manager. Evidence rule 14.
    """

    class Cause(models.TextChoices):
        NOT_RUN = "not_run", _("No sync ran")
        FAILED = "failed", _("Syncs failed")
        HISTORY_LOST = "history_lost", _("Enterprise Manager lost its history")
        SERVER_AWAY = "server_away", _("Backup server was removed from Enterprise Manager")

    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="gaps"
    )
    backup_server = models.ForeignKey(
        "restorereports.BackupServer", on_delete=models.PROTECT, null=True, related_name="gaps"
    )
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)
    cause = models.CharField(max_length=20, choices=Cause)
    detail = models.TextField(blank=True)  # the failing runs' own sentence
    opened_at = models.DateTimeField()
    opened_run = models.ForeignKey("restorereports.SyncRun", on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True)
    closed_run = models.ForeignKey(
        "restorereports.SyncRun", on_delete=models.PROTECT, null=True, related_name="+"
    )

    objects = GapQuerySet.as_manager()

    class Meta:
        ordering = ["-from_at", "-pk"]
        verbose_name = _("gap")
        constraints = [
            models.UniqueConstraint(
                fields=["enterprise_manager"],
                condition=Q(closed_run=None, backup_server=None),
                name="one_growing_gap_per_em",
            ),
            models.CheckConstraint(
                condition=Q(to_at=None) | Q(to_at__gte=models.F("from_at")), name="gap_ends_after_its_start"
            ),
        ]

    def __str__(self) -> str:
        return f"gap {self.pk}"

    def save(self, **options: Any) -> None:
        if self.pk is not None:
            raise NeverChanged("gaps are opened and closed by runs, never edited")
        super().save(**options)

    def delete(self, **_options: Any) -> NoReturn:  # type: ignore[override]
        raise NeverChanged("gaps are kept for good")

    @property
    def is_growing(self) -> bool:
        return self.closed_run_id is None

    @property
    def was_recovered(self) -> bool:
        return self.to_at is not None and self.to_at == self.from_at

    @property
    def length(self) -> timedelta | None:
        return self.to_at - self.from_at if self.to_at else None


class GapNote(AppendOnly):
    """What a person has to say about a gap; nobody edits it afterwards."""

    gap = models.ForeignKey(Gap, on_delete=models.PROTECT, related_name="notes")
    author = models.ForeignKey("restorereports.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    text = models.TextField(_("explanation"), max_length=4000)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"note {self.pk}"
