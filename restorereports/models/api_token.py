"""API tokens: a person's key for programs, shown once, with a purpose, an end and its last use."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, Self

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from .account import User

# A person's groups are read at his log-in alone; tokens do not outlive for longer what was read then.
GROUPS_COUNT_FOR: Final = timedelta(days=7)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def good(self, as_of: datetime) -> Self:
        """Those that still open the API: not ended, not revoked, and nothing has ended what their person has open.

        Of somebody from the identity provider only while his groups were read lately, see GROUPS_COUNT_FOR.
        """
        local, lately = Q(user__identity=None), Q(user__identity__read_at__gte=as_of - GROUPS_COUNT_FOR)
        return self.filter(
            local | lately,
            revoked_at=None,
            expires_at__gt=as_of,
            user__is_active=True,
            sign_ins_end=F("user__sign_ins_end"),
        )


class ApiToken(models.Model):
    """Only a digest of the token is kept; `starts_with` lets its owner tell one from another."""

    class Scope(models.TextChoices):
        RESTORE_SESSIONS = "restore_sessions", _("Restore sessions")
        ESTATE = "estate", _("Enterprise Managers, backup servers and VMs")
        REPORTS = "reports", _("Reports")

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(_("name"), max_length=100)
    digest = models.CharField(max_length=64, unique=True)
    starts_with = models.CharField(max_length=12)
    scopes = models.JSONField(_("scope"))
    sign_ins_end = models.PositiveIntegerField()  # as the person had it when the token was made
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(_("ends"))
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # How many requests since when: the rate limit, the same whichever process answers.
    window_from_at = models.DateTimeField(null=True)
    window_requests = models.PositiveIntegerField(default=0)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("API token")

    def __str__(self) -> str:
        return self.starts_with
