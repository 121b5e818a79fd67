"""An Enterprise Manager: what we poll, with which account, trusting which certificate."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, time, timedelta
from typing import Self

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import OuterRef, Subquery
from django.utils.translation import gettext_lazy as _

from . import credential
from .account import Reader
from .sync_run import SyncRun

SPREAD_OVER, SPREAD_STEP = 360, 97  # minutes after midnight over which, and apart from each other by which
LISTED_WINDOW = timedelta(days=30)  # EM's list /restoreSessions reaches this far back (documented)
# The shortest event history that EM can be set to keep (EM's user guide: 1 to 999 weeks). Until a longer one was
# seen, a longer one is not relied on.
LEAST_WINDOW = timedelta(weeks=1)
LONGEST_WINDOW = timedelta(weeks=999)


class EnterpriseManagerQuerySet(models.QuerySet["EnterpriseManager"]):
    def visible_to(self, reader: Reader) -> Self:
        """Those that show a backup server which the reader may see; `Granted.whole` says of which he sees all."""
        granted = reader.granted
        return self if granted.everything else self.filter(pk__in=granted.managers)

    def with_health(self) -> Self:
        """Adds `last_good_at`, `last_attempt_at`, `last_status`, `last_error` from the sync runs."""
        runs = SyncRun.objects.filter(enterprise_manager=OuterRef("pk")).order_by("-pk")
        ended = runs.exclude(status=SyncRun.Status.RUNNING)
        good = runs.filter(status=SyncRun.Status.GOOD)
        return self.annotate(
            last_good_at=Subquery(good.values("started_at")[:1]),
            last_attempt_at=Subquery(runs.values("started_at")[:1]),
            last_status=Subquery(ended.values("status")[:1]),
            last_error=Subquery(ended.values("error")[:1]),
        )


class EnterpriseManager(models.Model):
    """One Enterprise Manager server. `url` ends in /api; the password is write-only."""

    class Pause(models.TextChoices):
        LOGON_REFUSED = "logon_refused", _("Log-on refused")
        CERTIFICATE_CHANGED = "certificate_changed", _("Certificate changed")

    class RestoreScope(models.TextChoices):
        NOT_DECLARED = "", _("not declared")
        FULL = "full", _("everything")
        CUSTOM = "custom", _("a part")

    name = models.CharField(_("name"), max_length=100, unique=True)
    url = models.CharField(_("address"), max_length=500)
    username = models.CharField(_("account"), max_length=255)
    password_token = models.TextField(editable=False)
    ca_pem = models.TextField(_("CA certificate"), blank=True)
    pin_sha256 = models.CharField(_("pinned fingerprint"), max_length=64, blank=True)
    pinned_pem = models.TextField(editable=False, blank=True)
    pinned_at = models.DateTimeField(null=True, editable=False)
    allow_plain_http = models.BooleanField(_("allow plain HTTP"), default=False)
    interval_minutes = models.PositiveSmallIntegerField(
        _("interval in minutes"), default=15, validators=[MinValueValidator(1), MaxValueValidator(1440)]
    )
    full_sync_at = models.TimeField(_("daily full sync at"), null=True, blank=True)
    restore_scope = models.CharField(
        _("restore scope of the account"), max_length=10, choices=RestoreScope, blank=True
    )
    is_active = models.BooleanField(_("sync switched on"), default=True)

    sync_requested_at = models.DateTimeField(null=True, editable=False)
    paused_at = models.DateTimeField(null=True, editable=False)
    paused_because = models.CharField(max_length=30, choices=Pause, blank=True, editable=False)
    offered_pem = models.TextField(blank=True, editable=False)
    oldest_received_at = models.DateTimeField(null=True, editable=False)
    newest_received_at = models.DateTimeField(null=True, editable=False)
    # Age of the oldest restore session that EM was seen to show: how far back it answers. None: none seen yet.
    shown_window = models.DurationField(null=True, editable=False)
    # Whether rows were seen to leave EM at that age; else EM may well answer further back.
    window_is_cut = models.BooleanField(default=False, editable=False)
    covered_from_at = models.DateTimeField(null=True, editable=False)  # what EM had when it was first read
    created_at = models.DateTimeField(auto_now_add=True)
    credentials_changed_at = models.DateTimeField(null=True, editable=False)

    objects = EnterpriseManagerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("Enterprise Manager")
        verbose_name_plural = _("Enterprise Managers")

    def __str__(self) -> str:
        return self.name

    @property
    def next_sync_at(self) -> datetime | None:
        """When the next scheduled sync starts; needs `with_health`. None: as soon as a worker looks.

        Early by two wake-ups, so that from start to start never more than the interval passes.
        """
        last: datetime | None = self.last_attempt_at  # type: ignore[attr-defined]
        if last is None:
            return None
        interval = timedelta(minutes=self.interval_minutes)
        return last + interval - min(timedelta(seconds=2 * settings.WAKE_UP_SECONDS), interval / 2)

    def full_sync_before(self, as_of: datetime) -> datetime:
        """The latest moment at which a daily full sync was due: the set time of TIME_ZONE, else one spread by id."""
        zone = zoneinfo.ZoneInfo(settings.TIME_ZONE)
        minutes = (self.pk or 0) * SPREAD_STEP % SPREAD_OVER
        due = self.full_sync_at or time(minutes // 60, minutes % 60)
        today = datetime.combine(as_of.astimezone(zone).date(), due, zone)
        return today if today <= as_of else datetime.combine(today.date() - timedelta(days=1), due, zone)

    @property
    def window(self) -> timedelta:
        """How far back this Enterprise Manager answers, as far as that was seen; at least LEAST_WINDOW."""
        return max(self.shown_window or LEAST_WINDOW, LEAST_WINDOW)

    def set_password(self, password: str, *, at: datetime) -> None:
        """Encrypt and keep the password; a pause for a refused log-on ends with it."""
        self.password_token = credential.encrypt(password)
        self.credentials_changed_at = at
        if self.paused_because == self.Pause.LOGON_REFUSED:
            self.resume()

    def password(self) -> str:
        """The password in clear, for the log-on alone; CredentialUnreadable when no key opens it."""
        return credential.decrypt(self.password_token)

    def resume(self) -> None:
        self.paused_at, self.paused_because, self.offered_pem = None, "", ""

    def trust_certificate(self, pem: str, sha256: str, *, at: datetime) -> None:
        """Pin this certificate; a pause for a changed certificate ends with it."""
        self.ca_pem, self.pinned_pem, self.pin_sha256, self.pinned_at = "", pem, sha256, at
        if self.paused_because == self.Pause.CERTIFICATE_CHANGED:
            self.resume()
