"""What people say about a restore session; nobody edits it afterwards."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from .account import Reader
from .append_only import AppendOnly, AppendOnlyQuerySet


class RestoreSessionNoteQuerySet(AppendOnlyQuerySet):
    def visible_to(self, reader: Reader) -> Self:
        granted = reader.granted
        if granted.everything:
            return self
        return self.filter(restore_session__backup_server__in=granted.servers)


class RestoreSessionNote(AppendOnly):
    """One note. `acknowledges`: its author has looked at a session without success and answers for it.

    `content_checked`: the restored content was looked at and was right, which EM's result does not say.
    """

    restore_session = models.ForeignKey(
        "restorereports.RestoreSession", on_delete=models.PROTECT, related_name="notes", db_index=False
    )
    author = models.ForeignKey("restorereports.User", on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField()
    text = models.TextField(_("note"), max_length=4000)
    acknowledges = models.BooleanField(_("acknowledges"), default=False)
    content_checked = models.BooleanField(_("content was checked"), default=False)

    objects: ClassVar[Any] = RestoreSessionNoteQuerySet.as_manager()

    class Meta:
        ordering = ["pk"]
        verbose_name = _("note")
        indexes = [
            models.Index(fields=["restore_session", "id"], name="note_session"),
            models.Index(
                fields=["restore_session", "at"],
                condition=models.Q(acknowledges=True),
                name="note_acknowledges",
            ),
        ]

    def __str__(self) -> str:
        return f"note {self.pk}"
