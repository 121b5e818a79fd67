"""A backup server, one row per real one, and under which name each Enterprise Manager shows it."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from .account import Reader


class BackupServerQuerySet(models.QuerySet["BackupServer"]):
    def visible_to(self, reader: Reader) -> Self:
        return self if reader.is_active else self.none()


class BackupServer(models.Model):
    """A Veeam backup server. `name` is the label of the Enterprise Manager that showed it last."""

    uid = models.CharField(max_length=255, unique=True)
    name = models.TextField(_("backup server"))
    description = models.TextField(blank=True)
    version = models.CharField(max_length=255, blank=True)
    first_seen_at = models.DateTimeField()

    objects = BackupServerQuerySet.as_manager()

    class Meta:
        ordering = ["name", "pk"]
        verbose_name = _("backup server")
        verbose_name_plural = _("backup servers")

    def __str__(self) -> str:
        return self.name


class BackupServerSource(models.Model):
    """One Enterprise Manager's view of a backup server; several may show the same real one."""

    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="backup_server_sources"
    )
    backup_server = models.ForeignKey(BackupServer, on_delete=models.PROTECT, related_name="sources")
    uid = models.CharField(max_length=255)
    name = models.TextField()
    first_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["enterprise_manager", "uid"], name="one_source_per_em_and_server_uid"
            )
        ]

    def __str__(self) -> str:
        return self.name
