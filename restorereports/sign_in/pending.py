"""Between the password and the second factor: who it is stays in the http session for five minutes.

Nobody is logged in by it. It ends when whatever ends the person's sign-ins ends: a new password or role, a switch-off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction
from django.http import HttpRequest

from restorereports.audit import Action, record
from restorereports.models import User

from . import tries
from .actor import actor_of, address_of
from .lasting import Method
from .second_factor import accepts, accepts_recovery_code

WITHIN: Final = timedelta(minutes=5)
_KEY: Final = "pending"


@dataclass(frozen=True, slots=True)
class Pending:
    """The person whose password was right, and where he wanted to go."""

    user: User
    onwards: str


def begin(http_session: SessionBase, user: User, *, onwards: str, at: datetime) -> None:
    http_session.cycle_key()
    http_session[_KEY] = {
        "user": user.pk,
        "sign_ins_end": user.sign_ins_end,
        "next": onwards,
        "at": at.timestamp(),
    }


def person_of(http_session: SessionBase, at: datetime) -> Pending | None:
    held: dict[str, Any] = http_session.get(_KEY, {})
    if not 0 <= at.timestamp() - held.get("at", 0) < WITHIN.total_seconds():
        return None
    same = User.objects.filter(
        pk=held["user"], sign_ins_end=held["sign_ins_end"], is_active=True, identity=None
    )
    user = same.first()
    return Pending(user, held["next"]) if user else None


def end(http_session: SessionBase) -> None:
    http_session.pop(_KEY, None)


def try_code(request: HttpRequest, user: User, code: str, *, at: datetime) -> Method | None:
    """How the code proves it: by the app, or as a recovery code. None: not at all. TooManyTries: not looked at."""
    whose, address = tries.of_second_factor(user), tries.of_address(address_of(request))
    tries.take(whose, address, at=at)
    actor = actor_of(request, person=user)
    if accepts(user, code, at=at):
        method = Method.SECOND_FACTOR
    elif accepts_recovery_code(user, code, actor=actor, at=at):
        method = Method.RECOVERY_CODE
    else:
        with transaction.atomic():
            record(Action.LOG_IN_FAILED, actor, of=user, details={"why": "second factor"})
        return None
    tries.succeeded(whose, address, at=at)
    return method
