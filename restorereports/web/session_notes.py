"""The class of one restore session with its changes, and what people say about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from restorereports.models import ClassChange, RestoreSession, RestoreSessionNote, User

from .forms.session_note import ClassForm, SessionNoteForm

NOTES_SHOWN = 200
CHANGES_SHOWN = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class SaidOf:
    """`notes` oldest first, `changes` of the class newest first; forms only for who may write."""

    notes: Sequence[RestoreSessionNote]
    changes: Sequence[ClassChange]
    note_form: SessionNoteForm | None
    class_form: ClassForm | None

    @property
    def last_change(self) -> ClassChange | None:
        return self.changes[0] if self.changes else None

    @property
    def acknowledged(self) -> bool:
        return any(note.acknowledges for note in self.notes)


def said_of(
    row: RestoreSession,
    reader: User,
    *,
    note_form: SessionNoteForm | None = None,
    class_form: ClassForm | None = None,
) -> SaidOf:
    """`note_form` and `class_form` are forms that were sent and not taken."""
    notes = RestoreSessionNote.objects.visible_to(reader).filter(restore_session=row)
    changes = ClassChange.objects.filter(restore_session=row).select_related("by")
    return SaidOf(
        notes=list(notes.select_related("author").order_by("pk")[:NOTES_SHOWN]),
        changes=list(changes.order_by("-pk")[:CHANGES_SHOWN]),
        note_form=note_form or SessionNoteForm(row=row) if reader.may_note else None,
        class_form=class_form or ClassForm(row=row) if reader.may_note else None,
    )
