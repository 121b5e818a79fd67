"""The audit trail: who did what, when, to which; written once, each entry bound to the one before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .append_only import AppendOnly, AppendOnlyQuerySet

if TYPE_CHECKING:
    from .account import Reader


class AuditEntryQuerySet(AppendOnlyQuerySet):
    def visible_to(self, reader: Reader) -> AuditEntryQuerySet:
        """Everything, or what one did oneself and what was done to Enterprise Managers granted as a whole."""
        granted = reader.granted
        if granted.everything:
            return self
        own = Q(person=getattr(reader, "pk", None)) if getattr(reader, "pk", None) else Q(pk__in=[])
        return self.filter(own | Q(enterprise_manager__in=granted.whole_managers))


class AuditEntry(AppendOnly):
    """One act. `number` runs without holes from 1; `hash` covers every column but `seal` and the previous hash.

    `seal` is an HMAC of `hash` under AUDIT_KEY, which the database does not hold: a chain that was computed anew
    bears none. `person_name` is the name as it was then. `details` never hold a secret.
    """

    class Action(models.TextChoices):
        LOGGED_IN = "logged_in", _("Logged in")
        LOG_IN_FAILED = "log_in_failed", _("Log-in failed")
        LOGGED_OUT = "logged_out", _("Logged out")
        SIGN_IN_ENDED = "sign_in_ended", _("Sign-in ended")
        REFUSED = "refused", _("Page refused")
        PERSON_ADDED = "person_added", _("Person added")
        PERSON_CHANGED = "person_changed", _("Person changed")
        GRANTS_CHANGED = "grants_changed", _("Grants changed")
        GROUP_CHANGED = "group_changed", _("Group changed")
        LINK_MADE = "link_made", _("One-time link made")
        PASSWORD_CHANGED = "password_changed", _("Password changed")
        SECOND_FACTOR_CHANGED = "second_factor_changed", _("Second factor changed")
        TOKEN_MADE = "token_made", _("API token made")
        TOKEN_REVOKED = "token_revoked", _("API token revoked")
        EM_ADDED = "em_added", _("Enterprise Manager added")
        EM_CHANGED = "em_changed", _("Enterprise Manager changed")
        EM_TESTED = "em_tested", _("Connection tested")
        EM_SYNC_REQUESTED = "em_sync_requested", _("Sync asked for")
        PIN_ACCEPTED = "pin_accepted", _("Certificate pinned")
        NOTE_WRITTEN = "note_written", _("Note written")
        POLICY_CHANGED = "policy_changed", _("Policy changed")
        EXEMPTION_GIVEN = "exemption_given", _("Exemption given")
        EXEMPTION_WITHDRAWN = "exemption_withdrawn", _("Exemption withdrawn")
        CLASS_SET = "class_set", _("Class set")
        CLASS_RULES_CHANGED = "class_rules_changed", _("Class rules changed")
        CLASS_RULES_RUN = "class_rules_run", _("Class rules run over old restore sessions")
        EXPORT_BEGUN = "export_begun", _("Export begun")
        EXPORT_ENDED = "export_ended", _("Export ended")
        REPORT_REQUESTED = "report_requested", _("Report asked for")
        REPORT_MADE = "report_made", _("Report made")
        REPORT_DOWNLOADED = "report_downloaded", _("Report downloaded")
        REPORT_DELETED = "report_deleted", _("PDF deleted")
        SCHEDULE_CHANGED = "schedule_changed", _("Schedule changed")
        REPORT_ISSUED = "report_issued", _("Report made final")
        REPORT_HELD = "report_held", _("Legal hold set")
        REPORT_RELEASED = "report_released", _("Legal hold lifted")
        EVIDENCE_VERIFIED = "evidence_verified", _("Evidence verified")
        REPORT_MAILED = "report_mailed", _("Report mailed")
        KEYS_ROTATED = "keys_rotated", _("Keys rotated")
        BACKED_UP = "backed_up", _("Backup made")
        RESTORED = "restored", _("Backup restored")
        HEAD_MISSING = "head_missing", _("Head of the trail was missing")

    class Via(models.TextChoices):
        WEB = "web", _("browser")
        API = "api", _("API")
        COMMAND = "command", _("command line")
        SYSTEM = "system", _("the installation itself")

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField()
    action = models.CharField(_("action"), max_length=30, choices=Action)
    via = models.CharField(max_length=10, choices=Via)
    person = models.ForeignKey(
        "restorereports.User",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,  # its check would lock the person's row while the trail's end is locked
    )
    person_name = models.CharField(_("person"), max_length=255, blank=True)
    address = models.CharField(max_length=45, blank=True)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.BigIntegerField(null=True)
    object_name = models.TextField(blank=True)
    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        db_index=False,
        db_constraint=False,
    )
    details = models.JSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    seal = models.CharField(max_length=64)

    objects: ClassVar[Any] = AuditEntryQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        verbose_name = _("entry of the audit trail")
        indexes = [
            models.Index(fields=["person", "-number"], name="audit_person"),
            models.Index(fields=["action", "-number"], name="audit_action"),
            models.Index(fields=["object_type", "object_id", "-number"], name="audit_object"),
            models.Index(fields=["enterprise_manager", "-number"], name="audit_em"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    def __str__(self) -> str:
        return f"entry {self.number}"


class AuditHead(models.Model):
    """Where the trail ends: one row. Its seal covers the length, so that a cut tail is found."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    length = models.PositiveBigIntegerField()
    hash = models.CharField(max_length=64)
    seal = models.CharField(max_length=64)

    class Meta:
        verbose_name = _("head of the audit trail")

    def __str__(self) -> str:
        return f"{self.length}:{self.hash}"

    def as_json(self) -> dict[str, Any]:
        return {"length": self.length, "hash": self.hash}
