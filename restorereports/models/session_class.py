"""Was a restore a test or was it real? The rules that say so, and every change of what was said."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from .append_only import AppendOnly


class SessionClass(models.TextChoices):
    """What a restore session was for, as rules or people say; EM does not."""

    UNSET = "", _("Unset")
    TEST = "test", _("Test")
    REAL = "real", _("Real")


class ClassRules(AppendOnly):
    """All rules of one time, in order; the first that fits counts. A change is a new row with the next number.

    New restore sessions follow the latest. Older ones follow only by a run that somebody asked for.
    """

    number = models.PositiveIntegerField(unique=True)
    rules = models.JSONField(default=list)  # read by `policies.class_rules`
    note = models.TextField(_("why"), blank=True, max_length=2000)
    made_at = models.DateTimeField()
    made_by = models.ForeignKey("restorereports.User", on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-number"]
        verbose_name = _("class rules")
        verbose_name_plural = _("class rules")

    def __str__(self) -> str:
        return f"class rules {self.number}"


class ClassChange(AppendOnly):
    """The class of one restore session was changed, by a person with a reason or by a run of newer rules.

    What rules gave at first sight is no change. `run`: the number of the rules that a run applied to old ones.
    """

    restore_session = models.ForeignKey(
        "restorereports.RestoreSession",
        on_delete=models.PROTECT,
        related_name="class_changes",
        db_index=False,
    )
    before = models.CharField(max_length=4, choices=SessionClass, blank=True)
    after = models.CharField(max_length=4, choices=SessionClass, blank=True)
    reason = models.TextField(_("reason"), max_length=1000)
    at = models.DateTimeField()
    by = models.ForeignKey("restorereports.User", on_delete=models.PROTECT, null=True, related_name="+")
    run = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["-pk"]
        verbose_name = _("change of class")
        indexes = [
            models.Index(fields=["restore_session", "-id"], name="class_change_session"),
            models.Index(fields=["at"], name="class_change_at"),
        ]

    def __str__(self) -> str:
        return f"change of class {self.pk}"
