"""Restore sessions: one row per real one, each Enterprise Manager that shows it as a source beside it."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext_lazy as _

from .account import Reader
from .backup_server import BackupServerSource
from .note import RestoreSessionNote
from .session_class import SessionClass
from .virtual_machine import VirtualMachine, VirtualMachineAlias, name_key

FINAL_STATE = "Stopped"
VM_SORT_LENGTH = 100


class Outcome(models.TextChoices):
    """What EM's state and result mean for a count (evidence rules 3 and 4)."""

    SUCCESS = "Success", _("Success")
    WARNING = "Warning", _("Warning")
    FAILED = "Failed", _("Failed")
    NO_RESULT = "NoResult", _("No result")
    OTHER = "Other", _("Other")
    RUNNING = "Running", _("Running")
    UNKNOWN = "Unknown", _("Final state unknown")

    @classmethod
    def of(cls, *, state: str, result: str) -> Outcome:
        """Only `Stopped` is final; a stopped one without result never passes; unknown words are Other."""
        if state != FINAL_STATE:
            return cls.RUNNING
        if result in ("", "None"):
            return cls.NO_RESULT
        return cls(result) if result in (cls.SUCCESS, cls.WARNING, cls.FAILED) else cls.OTHER


class RestoreSessionQuerySet(models.QuerySet["RestoreSession"]):
    _servers: frozenset[int] | None = None  # whose VMs' names are looked at: those of others would cost time

    def visible_to(self, reader: Reader) -> Self:
        """What this reader may see; every read of restore sessions begins here."""
        granted = reader.granted
        if granted.everything:
            return self
        rows = self.filter(backup_server__in=granted.servers)
        rows._servers = granted.servers
        return rows

    def _clone(self) -> Self:
        rows: Self = super()._clone()  # type: ignore[misc]
        rows._servers = self._servers
        return rows

    def started_in(self, start: datetime | None, end: datetime | None) -> Self:
        """Created in the half-open period [start, end); an open side is None."""
        rows = self if start is None else self.filter(started_at__gte=start)
        return rows if end is None else rows.filter(started_at__lt=end)

    def from_enterprise_managers(self, ids: Collection[int]) -> Self:
        """Shown by any of these Enterprise Managers; the server condition lets an index narrow first."""
        servers = BackupServerSource.objects.filter(enterprise_manager__in=ids).values("backup_server")
        sources = RestoreSessionSource.objects.filter(
            restore_session=OuterRef("pk"), enterprise_manager__in=ids
        )
        return self.filter(Exists(sources), backup_server__in=servers)

    def with_vm_containing(self, text: str) -> Self:
        """VM's present or former name contains the text, case ignored; the few names are searched, not the many rows."""
        return self._of(name__icontains=text)

    def with_vm_named(self, name: str) -> Self:
        """VM's present or a former name equals exactly, on whichever backup server."""
        return self._of(name_key=name_key(name))

    def _of(self, **called: str) -> Self:
        """Of VMs that bear or bore such a name; a union, because with OR neither table's index would serve.

        Only names that the reader may see are looked at, so that the time it takes tells nothing of the others.
        """
        bear = VirtualMachine.objects.filter(**called)
        bore = VirtualMachineAlias.objects.filter(**called)
        if self._servers is not None:
            bear = bear.filter(backup_server__in=self._servers)
            bore = bore.filter(virtual_machine__backup_server__in=self._servers)
        ids = bear.values("pk").union(bore.values("virtual_machine"))
        return self.filter(virtual_machine__in=ids)

    def qualifying(
        self,
        *,
        job_types: Collection[str],
        classes: Collection[str],
        warning_passes: bool = False,
        content_checked: bool = False,
    ) -> Self:
        """Those that count as a restore test (rule 7): finished with success, of these types and classes.

        A Warning passes only where asked for and acknowledged (rule 6); `content_checked` asks for such a note.
        """
        notes = RestoreSessionNote.objects.filter(restore_session=OuterRef("pk"))
        if warning_passes:
            passing = Q(outcome=Outcome.SUCCESS) | Q(Exists(notes.filter(acknowledges=True)))
            rows = self.filter(passing, outcome__in=[Outcome.SUCCESS, Outcome.WARNING])
        else:
            rows = self.filter(outcome=Outcome.SUCCESS)
        rows = rows.filter(job_type__in=job_types, session_class__in=classes)
        return rows.filter(Exists(notes.filter(content_checked=True))) if content_checked else rows

    def carried_into(self, start: datetime, end: datetime) -> Self:
        """Started before the period and ended inside it: listed, never counted."""
        return self.filter(started_at__lt=start, ended_at__gte=start, ended_at__lt=end)


class RestoreSession(models.Model):
    """One restore session of one backup server. Times are UTC, words are EM's own."""

    backup_server = models.ForeignKey(
        "restorereports.BackupServer",
        on_delete=models.PROTECT,
        related_name="restore_sessions",
        db_index=False,
    )
    virtual_machine = models.ForeignKey(
        VirtualMachine, on_delete=models.PROTECT, null=True, related_name="restore_sessions", db_index=False
    )
    uid = models.CharField(max_length=255)
    name = models.TextField()
    vm_name = models.TextField(blank=True)
    vm_sort = models.CharField(max_length=VM_SORT_LENGTH, blank=True, editable=False)
    job_type = models.CharField(max_length=255, blank=True)
    state = models.CharField(max_length=255)
    result = models.CharField(max_length=255)
    outcome = models.CharField(max_length=8, choices=Outcome)
    progress = models.IntegerField(null=True)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.BigIntegerField(null=True)
    restore_point_uid = models.TextField(blank=True)
    restore_point_name = models.TextField(blank=True)
    restored_object_ref = models.TextField(blank=True)
    failure_message = models.TextField(blank=True)
    first_seen_at = models.DateTimeField()
    changed_at = models.DateTimeField(null=True)
    # Said by rules or people, never by EM: syncs give it once, to a new row, and leave it alone after that.
    session_class = models.CharField(_("class"), max_length=4, choices=SessionClass, blank=True)
    class_by_hand = models.BooleanField(default=False)

    objects = RestoreSessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("restore session")
        verbose_name_plural = _("restore sessions")
        constraints = [
            models.UniqueConstraint(fields=["backup_server", "uid"], name="one_row_per_server_and_uid"),
        ]
        indexes = [
            models.Index(fields=["-started_at", "-id"], name="session_started"),
            models.Index(fields=["backup_server", "-started_at", "-id"], name="session_server"),
            models.Index(fields=["virtual_machine", "-started_at", "-id"], name="session_vm"),
            # The latest success of a VM: two equalities, so that SQLite takes this one without statistics, too.
            models.Index(
                fields=["virtual_machine", "outcome", "-started_at", "-id"], name="session_vm_outcome"
            ),
            models.Index(fields=["outcome", "-started_at", "-id"], name="session_outcome"),
            models.Index(fields=["job_type", "-started_at", "-id"], name="session_job_type"),
            models.Index(fields=["state", "-started_at", "-id"], name="session_state"),
            models.Index(fields=["vm_sort", "-started_at", "-id"], name="session_vm_sort"),
            models.Index(fields=["ended_at", "-started_at", "-id"], name="session_ended"),
            models.Index(fields=["duration_ms", "-started_at", "-id"], name="session_duration"),
            models.Index(fields=["session_class", "-started_at", "-id"], name="session_class"),
            models.Index(fields=["uid"], name="session_uid"),
            models.Index(fields=["started_at"], condition=~Q(state=FINAL_STATE), name="session_unfinished"),
        ]

    def __str__(self) -> str:
        return self.name


class RestoreSessionSource(models.Model):
    """One Enterprise Manager's view of a restore session, with its latest raw XML (canonical, compressed)."""

    restore_session = models.ForeignKey(RestoreSession, on_delete=models.PROTECT, related_name="sources")
    enterprise_manager = models.ForeignKey(
        "restorereports.EnterpriseManager", on_delete=models.PROTECT, related_name="restore_session_sources"
    )
    uid = models.CharField(max_length=255)
    first_seen_at = models.DateTimeField()
    first_seen_run = models.ForeignKey(
        "restorereports.SyncRun", on_delete=models.PROTECT, related_name="+", db_index=False
    )
    changed_at = models.DateTimeField(null=True)
    changed_run = models.ForeignKey(
        "restorereports.SyncRun", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    missing_at = models.DateTimeField(null=True)  # when this Enterprise Manager no longer knew it
    missing_run = models.ForeignKey(
        "restorereports.SyncRun", on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )
    payload_digest = models.BinaryField(max_length=32)
    payload_zlib = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["enterprise_manager", "restore_session"], name="one_source_per_em_and_session"
            )
        ]
        indexes = [
            models.Index(fields=["enterprise_manager", "uid"], name="source_em_uid"),
            models.Index(
                fields=["enterprise_manager", "id"], condition=Q(missing_at=None), name="source_shown"
            ),
        ]

    def __str__(self) -> str:
        return self.uid

    @property
    def payload(self) -> str:
        """EM's XML of this restore session as last received."""
        return zlib.decompress(bytes(self.payload_zlib)).decode()
