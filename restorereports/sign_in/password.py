"""Local accounts: the password, slowed down, with the same answer and the same work whoever is asked for."""

from __future__ import annotations

import unicodedata

from django.contrib.auth import authenticate
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone

from restorereports.audit import Action, record
from restorereports.models import Identity, User

from . import tries
from .actor import actor_of, address_of


class WrongPassword(Exception):
    """No local account with this name and this password."""


def local_account(request: HttpRequest, *, name: str, password: str, why: str = "password") -> User:
    """The person with this name and password; WrongPassword, or TooManyTries, in which case nothing was tried.

    Whoever signs in at the identity provider has no password here, whatever the row holds. `why` a failure is one,
    for the trail.
    """
    name = unicodedata.normalize("NFKC", name)
    at = timezone.now()
    account, address = tries.of_account(name), tries.of_address(address_of(request))
    tries.take(account, address, at=at)
    found = authenticate(request, username=name, password=password)
    # Read anew: a password that was hashed in an older way has just been hashed in the present one.
    user = User.objects.filter(username=name).first()
    if user is None or found is None or Identity.objects.filter(user=user).exists():
        with transaction.atomic():
            failed = actor_of(request, person=user)
            record(Action.LOG_IN_FAILED, failed, of=user, details={"why": why})
        raise WrongPassword
    tries.succeeded(account, address, at=at)
    return user


def is_own_password(request: HttpRequest, user: User, password: str) -> bool:
    """Whether somebody who is logged in knows the password too. TooManyTries as at the log-in."""
    try:
        name = user.get_username()
        return local_account(request, name=name, password=password, why="password asked again") == user
    except WrongPassword:
        return False


def end_everywhere(request: HttpRequest, user: User) -> None:
    """End every http session, API token and one-time link of this person."""
    with transaction.atomic():
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        locked.end_sign_ins()
        locked.save(update_fields=["sign_ins_end"])
        record(Action.LOGGED_OUT, actor_of(request, person=user), details={"where": "everywhere"})
