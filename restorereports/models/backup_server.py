"""A backup server, one row per real one, and under which name each Enterprise Manager shows it."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Subquery, Value, When
from django.db.models.functions import Concat
from django.utils.translation import gettext_lazy as _

from .account import Reader


class BackupServerQuerySet(models.QuerySet["BackupServer"]):
    def visible_to(self, reader: Reader) -> Self:
        granted = reader.granted
        return self if granted.everything else self.filter(pk__in=granted.servers)

    def with_label(self, reader: Reader) -> Self:
        """Adds `label`: the name, with an Enterprise Manager behind it where the reader sees two of that name."""
        visible = BackupServer.objects.visible_to(reader)
        twins = visible.filter(name=OuterRef("name")).exclude(pk=OuterRef("pk"))
        shown_by = BackupServerSource.objects.filter(backup_server=OuterRef("pk")).order_by(
            "enterprise_manager__name"
        )
        named = Concat(
            "name", Value(" ("), Subquery(shown_by.values("enterprise_manager__name")[:1]), Value(")")
        )
        return self.annotate(
            label=Case(When(Exists(twins), then=named), default=F("name"), output_field=models.TextField())
        )


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
    description = models.TextField(blank=True)
    version = models.CharField(max_length=255, blank=True)
    first_seen_at = models.DateTimeField()
    covered_from_at = models.DateTimeField(
        null=True
    )  # complete from here on, as the first full run after it saw
    removed_at = models.DateTimeField(null=True)  # when Enterprise Manager no longer listed it

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["enterprise_manager", "uid"], name="one_source_per_em_and_server_uid"
            )
        ]

    def __str__(self) -> str:
        return self.name
