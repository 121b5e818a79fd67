"""When Enterprise Manager itself could not collect from its backup servers: what it then shows is stale."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .account import Reader


class CollectorOutageQuerySet(models.QuerySet["CollectorOutage"]):
    def visible_to(self, reader: Reader) -> Self:
        """As gaps: of the backup servers that the reader may see, and of all of an Enterprise Manager."""
        granted = reader.granted
        if granted.everything:
            return self
        of_all = Q(backup_server=None, enterprise_manager__in=granted.managers)
        return self.filter(of_all | Q(backup_server__in=granted.servers))


class CollectorOutage(models.Model):
    """[from_at, to_at): EM's copy of a backup server (of all, without one) stood still; opened and closed by runs.

    `from_at` is the last collection that worked. A warning, never a gap: EM catches up (evidence rule 14).
    """

    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="collector_outages"
    )
    backup_server = models.ForeignKey(
        "restorereports.BackupServer", on_delete=models.PROTECT, null=True, related_name="collector_outages"
    )
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)
    message = models.TextField(blank=True)
    opened_run = models.ForeignKey("restorereports.SyncRun", on_delete=models.PROTECT, related_name="+")
    closed_run = models.ForeignKey(
        "restorereports.SyncRun", on_delete=models.PROTECT, null=True, related_name="+"
    )

    objects = CollectorOutageQuerySet.as_manager()

    class Meta:
        ordering = ["-from_at", "-pk"]
        verbose_name = _("outage of EM's collector")
        constraints = [
            models.UniqueConstraint(
                fields=["enterprise_manager", "backup_server"],
                condition=Q(closed_run=None),
                name="one_open_outage_per_em_and_server",
            ),
            models.UniqueConstraint(
                fields=["enterprise_manager"],
                condition=Q(closed_run=None, backup_server=None),
                name="one_open_outage_of_all_per_em",
            ),
        ]

    def __str__(self) -> str:
        return f"collector outage {self.pk}"
