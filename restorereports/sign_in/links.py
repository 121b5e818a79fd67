"""One-time links: how a local account gets a password that nobody but its person has ever known.

A link is signed and bound to the account's present state (password, last log-in, activity, `sign_ins_end`), so that
whatever changes it ends the link: its own use first of all. Nothing of a link is kept.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.db import transaction
from django.urls import reverse
from django.utils.http import base36_to_int
from django.utils.translation import gettext as _

from restorereports.audit import Action, Actor, record
from restorereports.models import Identity, User

from . import second_factor
from .people import change_password

MAX_AGE: Final = timedelta(hours=24)


class LinkEnded(ValueError):
    """Used, too old, replaced, or never made: nobody is told which."""


class NoLinkPossible(ValueError):
    """A switched-off account, or one without a password of its own."""


class _Tokens(PasswordResetTokenGenerator):
    key_salt = "restorereports.sign_in.links"

    def _make_hash_value(self, user: Any, timestamp: int) -> str:
        bound = (user.pk, user.password, user.last_login, user.is_active, user.sign_ins_end, timestamp)
        return "\n".join(map(str, bound))

    def check_token(self, user: Any, token: str | None) -> bool:
        """Django's check, and a time of our own."""
        if not super().check_token(user, token):
            return False
        made_at = base36_to_int(str(token).partition("-")[0])
        return self._num_seconds(self._now()) - made_at <= MAX_AGE.total_seconds()


_tokens = _Tokens()


@transaction.atomic
def make_link(person: User, *, actor: Actor, without_second_factor: bool = False) -> str:
    """The path of the page that sets a new password. Ends what the person has open, older links among it.

    NoLinkPossible says what stands against it.
    """
    person = User.objects.select_for_update(no_key=True).get(pk=person.pk)
    _refuse_impossible(person)
    person.end_sign_ins()
    person.save(update_fields=["sign_ins_end"])
    if without_second_factor:
        second_factor.remove(person, actor=actor)
    record(Action.LINK_MADE, actor, of=person, details={"without_second_factor": without_second_factor})
    return reverse("link", args=[person.pk, _tokens.make_token(person)])


def person_of(pk: int, token: str) -> User:
    """Whose link this is; LinkEnded when it opens nothing. Asking does not use it up."""
    person = User.objects.filter(pk=pk, is_active=True, identity=None).first()
    if person is None or not _tokens.check_token(person, token):
        raise LinkEnded
    return person


@transaction.atomic
def use_link(pk: int, token: str, password: str, *, actor: Actor) -> None:
    """Set the password, once. LinkEnded when another was first; ValidationError when the password is refused.

    Who uses the link acts as its person: `actor` says only from where.
    """
    person = person_of(pk, token)
    User.objects.select_for_update(no_key=True).get(pk=person.pk)
    person = person_of(pk, token)  # as it stands now that nobody else can change it
    as_person = Actor(person=person, via=actor.via, address=actor.address)
    change_password(person, password, actor=as_person, how="one-time link")


def _refuse_impossible(person: User) -> None:
    if Identity.objects.filter(user=person).exists():
        raise NoLinkPossible(_("This person comes from the identity provider and has no password here."))
    if not person.is_active:
        raise NoLinkPossible(_("This account is switched off. Switch it on first."))
