"""Reports asked for and made, their schedules, and whether their mail went out."""

from __future__ import annotations

from datetime import datetime
from typing import Self

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, validate_email
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from .account import Reader, validate_zone
from .scope import RestoreSessionScope


def validate_recipients(text: str) -> None:
    """One e-mail address a line or comma; an empty list or a wrong address is refused."""
    addresses = split_recipients(text)
    if not addresses:
        raise ValidationError(_("Name at least one recipient."))
    for address in addresses:
        try:
            validate_email(address)
        except ValidationError:
            raise ValidationError(
                _("“%(address)s” is no e-mail address."), params={"address": address}
            ) from None


def split_recipients(text: str) -> list[str]:
    return [part for part in text.replace(",", "\n").replace(";", "\n").split() if part]


class ReportScheduleQuerySet(models.QuerySet["ReportSchedule"]):
    def visible_to(self, reader: Reader) -> Self:
        """Those that name only what the reader may see as well."""
        granted = reader.granted
        if granted.everything:
            return self
        own = {"reportschedule": OuterRef("pk")}
        managers = ReportSchedule.enterprise_managers.through.objects.filter(**own)
        servers = ReportSchedule.backup_servers.through.objects.filter(**own)
        return self.filter(
            Exists(managers) | Exists(servers),
            ~Exists(managers.exclude(enterprisemanager__in=granted.whole_managers)),
            ~Exists(servers.exclude(backupserver__in=granted.servers)),
        )


class ReportSchedule(models.Model):
    """A monthly report: the last full month in `zone`, mailed from `day` `hour` o'clock of that zone on.

    It sees what it names, Enterprise Managers and backup servers, and nothing else; everything if it names none.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    recipients = models.TextField(_("recipients"), validators=[validate_recipients])
    organisation = models.CharField(_("organisation"), max_length=200, blank=True)
    zone = models.CharField(_("time zone"), max_length=64, validators=[validate_zone])
    day = models.PositiveSmallIntegerField(
        _("day of the month"), default=1, validators=[MinValueValidator(1), MaxValueValidator(28)]
    )
    hour = models.PositiveSmallIntegerField(_("hour"), default=6, validators=[MaxValueValidator(23)])
    enterprise_managers = models.ManyToManyField("restorereports.EnterpriseManager", blank=True)
    backup_servers = models.ManyToManyField("restorereports.BackupServer", blank=True)
    first_month = models.DateField(_("first month"))
    is_active = models.BooleanField(_("switched on"), default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ReportScheduleQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name = _("report schedule")

    def __str__(self) -> str:
        return self.name

    def addresses(self) -> list[str]:
        return split_recipients(self.recipients)


class ReportQuerySet(models.QuerySet["Report"]):
    def visible_to(self, reader: Reader) -> Self:
        """Those whose figures hold nothing that the reader may not see."""
        granted = reader.granted
        if granted.everything:
            return self
        own = {"report": OuterRef("pk")}
        servers = Report.covers.through.objects.filter(**own)
        managers = Report.covers_managers.through.objects.filter(**own)
        return self.filter(
            Exists(servers) | Exists(managers) | Q(requested_by=getattr(reader, "pk", None) or 0),
            ~Exists(servers.exclude(backupserver__in=granted.servers)),
            ~Exists(managers.exclude(enterprisemanager__in=granted.whole_managers)),
            covers_everything=False,
        )

    def waiting(self) -> Self:
        return self.filter(status=Report.Status.WAITING)


class Report(models.Model):
    """One PDF: what was asked, when its figures were taken (`as_of`), where the file lies and its hash."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RENDERING = "rendering", _("Rendering")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    scope = models.JSONField()
    zone = models.CharField(max_length=64, validators=[validate_zone])
    organisation = models.CharField(max_length=200, blank=True)
    status = models.CharField(max_length=10, choices=Status, default=Status.WAITING)
    requested_by = models.ForeignKey(
        "restorereports.User", on_delete=models.PROTECT, null=True, related_name="reports"
    )
    schedule = models.ForeignKey(ReportSchedule, on_delete=models.PROTECT, null=True, related_name="reports")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    as_of = models.DateTimeField(null=True)
    file_name = models.CharField(max_length=200, blank=True)
    sha256 = models.CharField(max_length=64, blank=True)
    size = models.PositiveIntegerField(default=0)
    pages = models.PositiveSmallIntegerField(default=0)
    rows = models.PositiveIntegerField(default=0)
    key_figures = models.JSONField(default=dict)  # counts by outcome, for the mail beside the PDF
    error = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    # Whose figures may be in it: everything; or those of these backup servers, and those over all backup servers of
    # these Enterprise Managers. Only who may see all of that sees the report.
    covers_everything = models.BooleanField(default=False)
    covers = models.ManyToManyField("restorereports.BackupServer", related_name="+")
    covers_managers = models.ManyToManyField("restorereports.EnterpriseManager", related_name="+")
    # The audit trail when its figures were taken; printed in it, so that a cut or rebuilt trail is found.
    audit_length = models.PositiveBigIntegerField(null=True)
    audit_hash = models.CharField(max_length=64, blank=True)

    objects = ReportQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["-created_at", "-id"], name="report_created")]

    def __str__(self) -> str:
        return f"RR-{self.created_at:%Y}-{self.pk:04d}"

    def restore_session_scope(self) -> RestoreSessionScope:
        return RestoreSessionScope.from_json(self.scope)


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def visible_to(self, reader: Reader) -> Self:
        """Those of schedules and of reports that the reader may see: a schedule may have named something else once."""
        if reader.granted.everything:
            return self
        reports = Q(report=None) | Q(report__in=Report.objects.visible_to(reader))
        return self.filter(reports, schedule__in=ReportSchedule.objects.visible_to(reader))

    def due(self, as_of: datetime) -> Self:
        """Not sent yet and its next try has come."""
        return self.filter(Q(next_try_at=None) | Q(next_try_at__lte=as_of), status__in=Delivery.OPEN)


class Delivery(models.Model):
    """The mail of one schedule for one period; unique, so that each period goes out once."""

    class Status(models.TextChoices):
        PLANNED = "planned", _("Planned")
        RETRYING = "retrying", _("Failed, will be tried again")
        SENT = "sent", _("Sent")
        GIVEN_UP = "given_up", _("Failed, given up")

    OPEN = (Status.PLANNED, Status.RETRYING)

    schedule = models.ForeignKey(ReportSchedule, on_delete=models.PROTECT, related_name="deliveries")
    period_start_at = models.DateTimeField()
    period_end_at = models.DateTimeField()
    report = models.ForeignKey(Report, on_delete=models.PROTECT, null=True, related_name="deliveries")
    status = models.CharField(max_length=10, choices=Status, default=Status.PLANNED)
    recipients = models.TextField(blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        ordering = ["-period_start_at", "-pk"]
        verbose_name_plural = _("deliveries")
        constraints = [
            models.UniqueConstraint(
                fields=["schedule", "period_start_at"], name="one_delivery_per_schedule_and_period"
            )
        ]

    def __str__(self) -> str:
        return f"{self.schedule} {self.period_start_at:%Y-%m}"
