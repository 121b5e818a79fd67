"""Pages that a role does not allow: who asked, for which address, once a minute at most."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from restorereports.audit import Action, record
from restorereports.audit.chain import storable_text
from restorereports.models import AuditEntry, User
from restorereports.sign_in.actor import actor_of

AT_MOST_EVERY: Final = timedelta(minutes=1)  # for one person and one address


def record_refusal(request: HttpRequest) -> None:
    """Of people who are logged in; a browser that tries again and again makes no second entry within a minute."""
    person = getattr(request, "user", None)
    if not isinstance(person, User):
        return
    path = storable_text(request.path)
    with transaction.atomic():
        User.objects.select_for_update().get(
            pk=person.pk
        )  # of two at once the second finds the first's entry
        own = AuditEntry.objects.visible_to(person).filter(person=person, action=Action.REFUSED)
        if not own.filter(at__gt=timezone.now() - AT_MOST_EVERY, object_name=path).exists():
            details = {"method": request.method or "", "path": path}
            record(Action.REFUSED, actor_of(request), name=path, details=details)
