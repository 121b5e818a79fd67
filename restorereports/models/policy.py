"""Policies: how often which VMs must be restored; versions that are never edited, and exemptions."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NoReturn, Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .account import Reader
from .append_only import AppendOnly, NeverChanged


class Policy(models.Model):
    """A policy under its number; what it says stands in its versions. A retired one judges no new report."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    created_at = models.DateTimeField()
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        verbose_name = _("policy")
        verbose_name_plural = _("policies")

    def __str__(self) -> str:
        return f"P-{self.pk:02d}"

    @property
    def latest(self) -> PolicyVersion:
        """The version in force; each policy is made with its first."""
        return self.versions.order_by("-number")[0]


class PolicyVersion(AppendOnly):
    """What a policy says from `made_at` on. `terms` is canonical JSON that `policies.terms` reads."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    terms = models.JSONField()
    terms_sha256 = models.CharField(max_length=64)
    note = models.TextField(_("why"), blank=True, max_length=2000)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey(
        "restorereports.User", on_delete=models.PROTECT, null=True, related_name="+"
    )  # None: the command line

    class Meta:
        ordering = ["policy", "-number"]
        verbose_name = _("version of a policy")
        constraints = [
            models.UniqueConstraint(fields=["policy", "number"], name="one_version_per_policy_and_number")
        ]

    def __str__(self) -> str:
        return f"{self.policy} v{self.number}"


class ExemptionQuerySet(models.QuerySet["Exemption"]):
    def visible_to(self, reader: Reader) -> Self:
        """Those of VMs on backup servers that the reader may see."""
        granted = reader.granted
        if granted.everything:
            return self
        return self.filter(virtual_machine__backup_server__in=granted.servers)

    def in_force(self, moment: datetime) -> Self:
        """Those given before this moment, neither expired nor withdrawn before it: nothing is exempt in hindsight."""
        return self.filter(
            Q(withdrawn_at=None) | Q(withdrawn_at__gte=moment), given_at__lt=moment, expires_at__gte=moment
        )


class Exemption(models.Model):
    """One VM need not meet one policy until `expires_at`. It is never edited, only withdrawn once, and kept."""

    policy = models.ForeignKey(Policy, on_delete=models.PROTECT, related_name="exemptions")
    virtual_machine = models.ForeignKey(
        "restorereports.VirtualMachine", on_delete=models.PROTECT, related_name="exemptions"
    )
    reason = models.TextField(_("reason"), max_length=1000)
    approver = models.CharField(_("approved by"), max_length=150)
    given_at = models.DateTimeField()
    given_by = models.ForeignKey("restorereports.User", on_delete=models.PROTECT, related_name="+")
    expires_at = models.DateTimeField(_("ends"))
    withdrawn_at = models.DateTimeField(null=True)
    withdrawn_by = models.ForeignKey(
        "restorereports.User", on_delete=models.PROTECT, null=True, related_name="+"
    )

    objects = ExemptionQuerySet.as_manager()

    class Meta:
        ordering = ["-given_at", "-pk"]
        verbose_name = _("exemption")
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=models.F("given_at")), name="exemption_ends_after_its_start"
            )
        ]

    def __str__(self) -> str:
        return f"exemption {self.pk}"

    def delete(self, **_options: Any) -> NoReturn:  # type: ignore[override]
        raise NeverChanged("exemptions are withdrawn, never deleted")
