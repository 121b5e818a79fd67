"""What is protected: the VMs with restore points, and since when until when."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .append_only import AppendOnly


class Inventory(AppendOnly):
    """One reading of EM's restore points. Totals of EM's own overview stand beside ours as a control figure.

    `since_at` None: all restore points were read (once, and for new backup servers), else those made since then.
    """

    class State(models.TextChoices):
        GOOD = "good", _("Read")
        NOT_READABLE = "not_readable", _("Not readable with this role")
        FAILED = "failed", _("Could not be read")

    run = models.OneToOneField("restorereports.SyncRun", on_delete=models.PROTECT, related_name="inventory")
    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager",
        on_delete=models.PROTECT,
        related_name="inventories",
        db_index=False,
    )
    at = models.DateTimeField()
    state = models.CharField(max_length=12, choices=State)
    since_at = models.DateTimeField(null=True)
    restore_points = models.PositiveIntegerField(default=0)  # read by this reading
    vms = models.PositiveIntegerField(default=0)  # protected according to the mirror, after it
    appeared = models.PositiveIntegerField(default=0)
    vanished = models.PositiveIntegerField(default=0)
    overview_protected = models.PositiveIntegerField(null=True)
    overview_backed_up = models.PositiveIntegerField(null=True)
    overview_restore_points = models.PositiveIntegerField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("inventory")
        verbose_name_plural = _("inventories")
        indexes = [models.Index(fields=["enterprise_manager", "-id"], name="inventory_em")]

    def __str__(self) -> str:
        return f"inventory of run {self.run_id}"


class PresenceQuerySet(models.QuerySet["Presence"]):
    def at(self, moment: datetime) -> Self:
        """Those that had a restore point at this moment (rule 8: the in-scope set of a period's end)."""
        return self.filter(Q(to_at=None) | Q(to_at__gt=moment), from_at__lte=moment)


class Presence(models.Model):
    """One VM had restore points in one Enterprise Manager during [from_at, to_at); open while it has.

    `from_at` is the creation of the oldest restore point seen, `to_at` when none was found any more. A VM that
    comes back gets a new interval. `restore_points` counts those seen in this interval.
    """

    virtual_machine = models.ForeignKey(
        "restorereports.VirtualMachine", on_delete=models.PROTECT, related_name="presences", db_index=False
    )
    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="presences"
    )
    from_at = models.DateTimeField()
    to_at = models.DateTimeField(null=True)
    restore_points = models.PositiveIntegerField(default=0)
    newest_point_at = models.DateTimeField()
    newest_point_uid = models.CharField(max_length=255)
    checked_at = models.DateTimeField()  # when its newest restore point was last seen or asked for

    objects = PresenceQuerySet.as_manager()

    class Meta:
        ordering = ["from_at", "pk"]
        verbose_name = _("presence")
        constraints = [
            models.UniqueConstraint(
                fields=["virtual_machine", "enterprise_manager"],
                condition=Q(to_at=None),
                name="one_open_presence_per_vm_and_em",
            )
        ]
        indexes = [models.Index(fields=["virtual_machine", "from_at"], name="presence_vm")]

    def __str__(self) -> str:
        return f"presence {self.pk}"
