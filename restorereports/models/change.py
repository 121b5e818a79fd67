"""What Enterprise Manager changed after first sight: an append-only record beside each restore session."""

from __future__ import annotations

import zlib

from django.db import models
from django.utils.translation import gettext_lazy as _

from .append_only import AppendOnly


class RestoreSessionChange(AppendOnly):
    """One change as one run saw it. `fields` and `kept` map a column to [before, after] as plain JSON values.

    `fields`: what the row took over. `kept`: what EM said but the row did not follow, since a finished restore
    session never goes back. Both empty: only words that have no column changed. `payload_zlib` is the XML
    that was replaced. Progress alone makes no record, so that polling does not grow the table.
    """

    restore_session = models.ForeignKey(
        "restorereports.RestoreSession", on_delete=models.PROTECT, related_name="changes", db_index=False
    )
    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    run = models.ForeignKey(
        "restorereports.SyncRun", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    at = models.DateTimeField()
    fields = models.JSONField(default=dict)
    kept = models.JSONField(default=dict)
    payload_zlib = models.BinaryField()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("change")
        indexes = [models.Index(fields=["restore_session", "id"], name="change_session")]

    def __str__(self) -> str:
        return f"change {self.pk}"

    @property
    def payload(self) -> str:
        """EM's XML before this change."""
        return zlib.decompress(bytes(self.payload_zlib)).decode()
