"""The comparison of the mirror with Enterprise Manager by a way of its own, not by the pages just read."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .append_only import AppendOnly

UIDS_KEPT = 1000  # on either side; the counts say how many there are


class Reconciliation(AppendOnly):
    """What one full run found when it compared counts and UIDs (evidence: IPE item 5).

    `listed` and `held` compare EM's list of the last 30 days, UID by UID; `counted` and `mirrored` EM's own count
    under the run's filter with the rows here. None: EM did not say. `servers` holds
    [backup server's id or None, listed, held] per backup server.
    """

    class State(models.TextChoices):
        EQUAL = "equal", _("Reconciled")
        DIFFERENT = "different", _("Not reconciled")
        NOT_READABLE = "not_readable", _("Not readable with this role")
        FAILED = "failed", _("Could not be compared")

    run = models.OneToOneField(
        "restorereports.SyncRun", on_delete=models.PROTECT, related_name="reconciliation"
    )
    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager",
        on_delete=models.PROTECT,
        related_name="reconciliations",
        db_index=False,
    )
    at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State)
    retried = models.BooleanField(default=False)
    since_at = models.DateTimeField()  # the rows created from here on were compared UID by UID
    listed = models.PositiveIntegerField(null=True)
    held = models.PositiveIntegerField(null=True)
    counted = models.PositiveIntegerField(null=True)
    mirrored = models.PositiveIntegerField(null=True)
    servers = models.JSONField(default=list)
    only_em_count = models.PositiveIntegerField(default=0)
    only_em = models.JSONField(default=list)
    only_mirror_count = models.PositiveIntegerField(default=0)
    only_mirror = models.JSONField(default=list)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("reconciliation")
        indexes = [models.Index(fields=["enterprise_manager", "-id"], name="reconciliation_em")]

    def __str__(self) -> str:
        return f"reconciliation of run {self.run_id}"
