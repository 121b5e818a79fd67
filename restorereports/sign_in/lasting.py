"""How long a sign-in lasts: 30 minutes without a request of the person, 12 hours in all.

Kept in the http session, as seconds since 1970. The last request is written at most once a minute, so that reading
does not write; an idle sign-in therefore ends up to a minute early, never late.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum
from typing import Final

from django.conf import settings
from django.contrib.auth import login
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from restorereports.audit import Action, record
from restorereports.models import User

from .actor import actor_of

BEGAN, SEEN, PASSWORD = "began_at", "seen_at", "password_at"
WRITTEN_EVERY: Final = timedelta(minutes=1)
PASSWORD_FRESH: Final = timedelta(minutes=5)


class Method(Enum):
    """How somebody proved who he is, as the audit trail has it."""

    PASSWORD = "password"  # noqa: S105  the word, not one
    SECOND_FACTOR = "second factor"
    RECOVERY_CODE = "recovery code"
    OPENID = "openid"


class Ended(Enum):
    """Why a sign-in has ended, as the address of the log-in page has it."""

    IDLE = "idle"
    WHOLE = "whole"


def let_in(request: HttpRequest, user: User, *, method: Method) -> None:
    """Log the person in, in an http session with a new key, and record it."""
    with transaction.atomic():
        login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        request.session.cycle_key()
        begin(request.session, timezone.now())
        record(Action.LOGGED_IN, actor_of(request, person=user), details={"method": method.value})


def begin(http_session: SessionBase, at: datetime) -> None:
    http_session[BEGAN] = http_session[SEEN] = at.timestamp()


def why_ended(http_session: SessionBase, at: datetime) -> Ended | None:
    """None while it lasts. A sign-in without a beginning (of an older version) begins now."""
    if BEGAN not in http_session:
        begin(http_session, at)
    if at.timestamp() - http_session[BEGAN] >= settings.SIGN_IN_WHOLE.total_seconds():
        return Ended.WHOLE
    if at.timestamp() - http_session[SEEN] >= settings.SIGN_IN_IDLE.total_seconds():
        return Ended.IDLE
    return None


def seen(http_session: SessionBase, at: datetime) -> None:
    """The person himself asked for something."""
    if at.timestamp() - http_session[SEEN] >= WRITTEN_EVERY.total_seconds():
        http_session[SEEN] = at.timestamp()


def note_password(http_session: SessionBase, at: datetime) -> None:
    """The person has just given his password."""
    http_session[PASSWORD] = at.timestamp()


def password_is_fresh(http_session: SessionBase, at: datetime) -> bool:
    return 0 <= at.timestamp() - http_session.get(PASSWORD, 0) < PASSWORD_FRESH.total_seconds()
