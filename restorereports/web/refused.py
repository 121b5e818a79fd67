"""Pages that a role does not allow: who asked, for which address; bounded, so that nobody can fill the trail."""

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
MOST: Final = 10  # of one person in that time, whatever the addresses


def record_refusal(request: HttpRequest) -> None:
    """Of people who are logged in: each address once a minute, and no more than MOST of them."""
    person = getattr(request, "user", None)
    if not isinstance(person, User):
        return
    path = storable_text(request.path)
    with transaction.atomic():
        # of two at once the second finds the first's entry
        User.objects.select_for_update(no_key=True).get(pk=person.pk)
        own = AuditEntry.objects.visible_to(person).filter(person=person, action=Action.REFUSED)
        lately = list(own.filter(at__gt=timezone.now() - AT_MOST_EVERY).values_list("object_name", flat=True))
        if path not in lately and len(lately) < MOST:
            details = {"method": request.method or "", "path": path}
            record(Action.REFUSED, actor_of(request), name=path, details=details)
