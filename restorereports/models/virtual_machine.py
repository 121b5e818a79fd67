"""A protected machine as restore sessions name it."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .account import Reader
from .inventory import Presence


def name_key(name: str) -> str:
    """SHA-256 of the exact name: names of 1,000 characters do not fit an index row, their key does."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()


class VirtualMachineQuerySet(models.QuerySet["VirtualMachine"]):
    def visible_to(self, reader: Reader) -> Self:
        granted = reader.granted
        return self if granted.everything else self.filter(backup_server__in=granted.servers)

    def protected_at(self, moment: datetime) -> Self:
        """Those with a restore point at this moment, each once, through whichever Enterprise Manager (rule 8)."""
        return self.filter(pk__in=Presence.objects.at(moment).values("virtual_machine"))


class VirtualMachine(models.Model):
    """Identity by backup server and hierarchy object where known, else by backup server and exact name."""

    backup_server = models.ForeignKey(
        "restorereports.BackupServer", on_delete=models.PROTECT, related_name="vms"
    )
    name = models.TextField(_("VM"))
    name_key = models.CharField(max_length=64)
    object_ref = models.CharField(max_length=500, blank=True)
    first_seen_at = models.DateTimeField()

    objects = VirtualMachineQuerySet.as_manager()

    class Meta:
        verbose_name = _("VM")
        constraints = [
            models.UniqueConstraint(
                fields=["backup_server", "name_key"],
                condition=Q(object_ref=""),
                name="one_vm_per_name_without_object",
            ),
            models.UniqueConstraint(
                fields=["backup_server", "object_ref"], condition=~Q(object_ref=""), name="one_vm_per_object"
            ),
        ]
        indexes = [models.Index(fields=["name_key"], name="vm_name_key")]

    def __str__(self) -> str:
        return self.name


class VirtualMachineAlias(models.Model):
    """A name that a VM bore before it was renamed: restore sessions of that time still carry it."""

    virtual_machine = models.ForeignKey(VirtualMachine, on_delete=models.PROTECT, related_name="aliases")
    name = models.TextField()
    name_key = models.CharField(max_length=64)
    until_at = models.DateTimeField()

    class Meta:
        verbose_name = _("former name")
        constraints = [
            models.UniqueConstraint(fields=["virtual_machine", "name_key"], name="one_alias_per_vm_and_name")
        ]
        indexes = [models.Index(fields=["name_key"], name="vm_alias_name_key")]

    def __str__(self) -> str:
        return self.name
