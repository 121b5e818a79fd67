"""What people say about a restore session: kept as written, never edited."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from restorereports.audit import Action, Actor, record
from restorereports.models import RestoreSession, RestoreSessionNote, User


def write_note(
    row: RestoreSession,
    text: str,
    *,
    acknowledges: bool,
    content_checked: bool,
    person: User,
    actor: Actor,
    at: datetime,
) -> RestoreSessionNote:
    """Append one note; the audit trail says how long it is, not what it says."""
    with transaction.atomic():
        made: RestoreSessionNote = RestoreSessionNote.objects.create(
            restore_session=row,
            author=person,
            at=at,
            text=text,
            acknowledges=acknowledges,
            content_checked=content_checked,
        )
        facts = {
            "note": made.pk,
            "length": len(text),
            "acknowledges": acknowledges,
            "content_checked": content_checked,
        }
        record(Action.NOTE_WRITTEN, actor, of=row, details=facts)
    return made
