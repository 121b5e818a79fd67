"""Grants: which Enterprise Managers and backup servers a person, or a schedule, may see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .account import User
from .backup_server import BackupServerSource
from .granted import EVERYTHING, Granted


class Grant(models.Model):
    """Of one Enterprise Manager with all that it shows, now and later; of one backup server; or of everything.

    A backup server that Enterprise Manager no longer lists stays granted with it: its history does.

    `by_group`: given by a group of the identity provider, and made anew at each log-in.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="grants")
    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, null=True, related_name="+"
    )
    backup_server = models.ForeignKey(
        "restorereports.BackupServer", on_delete=models.PROTECT, null=True, related_name="+"
    )
    by_group = models.BooleanField(default=False)

    class Meta:
        verbose_name = _("grant")
        constraints = [
            models.CheckConstraint(
                condition=Q(enterprise_manager=None) | Q(backup_server=None), name="a_grant_is_of_one_thing"
            ),
            models.UniqueConstraint(
                fields=["user", "enterprise_manager"], name="one_grant_per_person_and_em"
            ),
            models.UniqueConstraint(fields=["user", "backup_server"], name="one_grant_per_person_and_server"),
            models.UniqueConstraint(
                fields=["user"],
                condition=Q(enterprise_manager=None, backup_server=None),
                name="one_grant_of_everything_per_person",
            ),
        ]

    def __str__(self) -> str:
        return f"grant {self.pk}"


def granted_to(user: User) -> Granted:
    found = list(user.grants.values_list("enterprise_manager", "backup_server"))
    if (None, None) in found:
        return EVERYTHING
    managers = [manager for manager, _server in found if manager]
    return resolved(managers, [server for _manager, server in found if server])


def resolved(managers: Collection[int], servers: Collection[int]) -> Granted:
    """These Enterprise Managers with every backup server that they show, and these backup servers."""
    sources = BackupServerSource.objects.all()
    shown = sources.filter(enterprise_manager__in=managers).values_list("backup_server", flat=True)
    every = frozenset(servers) | frozenset(shown)
    showing = sources.filter(backup_server__in=every).values_list("enterprise_manager", flat=True)
    return Granted(
        servers=every,
        managers=frozenset(managers) | frozenset(showing),
        whole_managers=frozenset(managers),
    )


@dataclass(frozen=True, slots=True)
class Limited:
    """A reader who is nobody: a report, which sees what it covers and nothing else."""

    granted: Granted
    of_person: bool = False  # a person's grants, narrowed to what was asked for
