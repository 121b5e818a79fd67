"""The register of evidence: which final reports were issued, and what became of them; hash-chained."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .append_only import AppendOnly


class RegisterEntry(AppendOnly):
    """One act on a final report. `number` runs without holes from 1; `hash` covers what it says and the hash before.

    `facts` hold what makes the report provable without its row: identifier, SHA-256 of the PDF, data hash, parameters,
    policy version, as_of, who or which schedule, counts. `seal` is an HMAC of `hash` under AUDIT_KEY.
    """

    class Kind(models.TextChoices):
        ISSUED = "issued", _("Issued")
        SUPERSEDED = "superseded", _("Superseded")
        HELD = "held", _("Legal hold set")
        RELEASED = "released", _("Legal hold lifted")
        DELETED = "deleted", _("Deleted")

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    kind = models.CharField(max_length=12, choices=Kind)
    report = models.ForeignKey(
        "restorereports.Report", on_delete=models.PROTECT, related_name="entries", db_constraint=False
    )
    facts = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    seal = models.CharField(max_length=64)

    class Meta:
        ordering = ["-number"]
        verbose_name = _("entry of the register")
        verbose_name_plural = _("entries of the register")

    def __str__(self) -> str:
        return f"entry {self.number}"


class RegisterHead(models.Model):
    """Where the register ends: one row. Its seal covers the length, so that a cut tail is found."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    length = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)
    seal = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("head of the register")
