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
from .append_only import AppendOnly
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


class Logo(AppendOnly):
    """A picture for covers, kept once under its hash, so that an old report stays what it was."""

    sha256 = models.CharField(max_length=64, unique=True)
    media_type = models.CharField(max_length=20)  # image/png or image/jpeg
    image = models.BinaryField()

    class Meta:
        verbose_name = _("logo")

    def __str__(self) -> str:
        return self.sha256[:16]


class Looks(models.Model):
    """How a report is printed and for whom; belongs to each report or schedule, never to the installation."""

    class Language(models.TextChoices):
        ENGLISH = "en", _("English")
        GERMAN = "de", _("German")

    class Paper(models.TextChoices):
        A4 = "a4", _("A4")
        LETTER = "letter", _("Letter")

    organisation = models.CharField(_("organisation"), max_length=200, blank=True)
    zone = models.CharField(_("time zone"), max_length=64, validators=[validate_zone])
    language = models.CharField(_("language"), max_length=5, choices=Language, default=Language.ENGLISH)
    paper = models.CharField(_("paper"), max_length=10, choices=Paper, default=Paper.A4)
    classification = models.CharField(_("classification"), max_length=60, blank=True)
    distribution = models.CharField(_("distribution list"), max_length=500, blank=True)
    logo = models.ForeignKey(
        Logo, verbose_name=_("logo"), on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )

    class Meta:
        abstract = True


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


class ReportSchedule(Looks):
    """A monthly report: the last full month in `zone`, mailed from `day` `hour` o'clock of that zone on.

    It sees what it names, Enterprise Managers and backup servers, and nothing else; everything if it names none.
    """

    name = models.CharField(_("name"), max_length=100, unique=True)
    recipients = models.TextField(_("recipients"), validators=[validate_recipients])
    policy = models.ForeignKey(
        "restorereports.Policy",
        verbose_name=_("policy"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="schedules",
    )
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


class Report(Looks):
    """One PDF: what was asked, when its figures were taken (`as_of`), where the file lies and its hash.

    Figures and rows are frozen when they are taken. A draft becomes final by rendering them once more; a final report
    is never rendered again, a correction is a new report that supersedes it.
    """

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        RENDERING = "rendering", _("Rendering")
        READY = "ready", _("Ready")
        FAILED = "failed", _("Failed")

    class Stage(models.TextChoices):
        DRAFT = "draft", _("DRAFT")
        FINAL = "final", _("FINAL")

    scope = models.JSONField()
    policy_version = models.ForeignKey(
        "restorereports.PolicyVersion", on_delete=models.PROTECT, null=True, related_name="reports"
    )
    stage = models.CharField(max_length=5, choices=Stage, default=Stage.DRAFT)  # what it is, or is to become
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
    draft_sha256 = models.CharField(
        max_length=64, blank=True
    )  # of the draft's PDF that this final report replaced
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
    data_sha256 = models.CharField(max_length=64, blank=True)  # of the frozen figures and rows
    manifest = models.JSONField(default=dict)  # as it lies in the PDF
    finalised_at = models.DateTimeField(null=True)
    finalised_by = models.ForeignKey(
        "restorereports.User", on_delete=models.PROTECT, null=True, related_name="+"
    )  # None: its schedule, or the command line
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, related_name="superseded_by"
    )
    held = models.BooleanField(default=False)  # legal hold, as the register says
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
