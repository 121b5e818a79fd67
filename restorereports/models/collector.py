"""When Enterprise Manager itself could not collect from its backup servers: what it then shows is stale."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


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
