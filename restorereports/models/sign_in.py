"""How people prove who they are: the identity provider's account, the second factor, and what slows guessing down."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .account import User


class Identity(models.Model):
    """The account at the identity provider: issuer and subject, which never change, unlike an e-mail address."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="identity")
    issuer = models.CharField(max_length=500)
    subject = models.CharField(max_length=255)
    groups = models.JSONField(default=list)  # as the provider said at the last log-in
    first_seen_at = models.DateTimeField()
    read_at = models.DateTimeField()

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = [
            models.UniqueConstraint(fields=["issuer", "subject"], name="one_person_per_issuer_and_subject")
        ]

    def __str__(self) -> str:
        return f"identity {self.pk}"


class GroupRule(models.Model):
    """What the members of one group of the identity provider become at each log-in."""

    group = models.CharField(_("group"), max_length=255, unique=True)
    role = models.CharField(_("role"), max_length=20, choices=User.Role)
    everything = models.BooleanField(_("everything"), default=False)
    enterprise_managers = models.ManyToManyField("restorereports.EnterpriseManager", blank=True)
    backup_servers = models.ManyToManyField("restorereports.BackupServer", blank=True)

    class Meta:
        ordering = ["group"]
        verbose_name = _("group")

    def __str__(self) -> str:
        return self.group


class SecondFactor(models.Model):
    """The authenticator app of a local account. Without `confirmed_at` it is being set up and asked of nobody."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="second_factor")
    secret_token = models.TextField()  # encrypted, as the passwords of Enterprise Managers are
    confirmed_at = models.DateTimeField(null=True)
    last_step = models.BigIntegerField(default=0)  # the 30-second step of the last code: no code works twice

    class Meta:
        verbose_name = _("second factor")

    def __str__(self) -> str:
        return f"second factor {self.pk}"


class RecoveryCode(models.Model):
    """Stands in once for the authenticator app. Only a digest is kept."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="recovery_codes")
    digest = models.CharField(max_length=64)
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("recovery code")
        constraints = [
            models.UniqueConstraint(fields=["user", "digest"], name="one_recovery_code_per_digest")
        ]

    def __str__(self) -> str:
        return f"recovery code {self.pk}"


class FailedTries(models.Model):
    """Failed tries of one account or one address, by a keyed digest: what was typed is not kept."""

    digest = models.CharField(max_length=64, unique=True)
    count = models.PositiveIntegerField(default=0)
    last_at = models.DateTimeField()
    free_at = models.DateTimeField()  # no further try before

    class Meta:
        verbose_name = _("failed tries")
        verbose_name_plural = _("failed tries")

    def __str__(self) -> str:
        return f"failed tries {self.pk}"
