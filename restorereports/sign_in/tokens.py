"""API tokens: made once and shown once, found by their digest, bounded in how often they ask.

What counts (requests of a token, bad tries of an address) stands in the database, so that it is the same whichever
process answers. Knows models and the audit trail.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Case, F, Q, Value, When
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from restorereports.audit import Action, Actor, record
from restorereports.models import ApiToken, AuditEntry, FailedTries, User

PREFIX: Final = "rr_"  # secret scanners find a token that was published by mistake
_FORM: Final = re.compile(r"rr_[A-Za-z0-9_-]{43}")
STARTS_WITH: Final = 10
MOST_GOOD: Final = 20  # good tokens of one person
REQUESTS_A_MINUTE: Final = 120
BAD_TRIES_A_MINUTE: Final = 20
MINUTE: Final = timedelta(minutes=1)


class TooManyTokens(ValueError):
    """A person has as many good tokens as anybody may have."""


def make_token(
    person: User, *, name: str, scopes: Iterable[str], expires_at: datetime, actor: Actor, at: datetime
) -> tuple[ApiToken, str]:
    """The token's row, and the token itself, which nobody can read again. Raises TooManyTokens."""
    text = PREFIX + secrets.token_urlsafe(32)
    with transaction.atomic():
        owner = User.objects.select_for_update(no_key=True).get(
            pk=person.pk
        )  # of two who make the last one, one waits
        if owner.api_tokens.good(at).count() >= MOST_GOOD:
            raise TooManyTokens(
                _("You have %d tokens that work, and nobody may have more. Revoke one first.") % MOST_GOOD
            )
        token = ApiToken.objects.create(
            user=owner,
            name=name,
            digest=digest_of(text),
            starts_with=text[:STARTS_WITH],
            scopes=sorted(scopes),
            sign_ins_end=owner.sign_ins_end,
            created_at=at,
            expires_at=expires_at,
        )
        told = {"name": name, "scopes": token.scopes, "expires_at": expires_at.isoformat()}
        record(Action.TOKEN_MADE, actor, of=token, details=told)
    return token, text


def revoke_token(token: ApiToken, *, actor: Actor, at: datetime) -> bool:
    """End a token for good; False when it was revoked before."""
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at):
            return False
        record(Action.TOKEN_REVOKED, actor, of=token, details={"name": token.name})
    return True


def digest_of(text: str) -> str:
    """SHA-256 suffices: 256 random bits cannot be guessed, so nothing has to be slow."""
    return hashlib.sha256(text.encode()).hexdigest()


def find_token(text: str, *, at: datetime) -> ApiToken | None:
    """The good token with its person; None for every other text, whatever is wrong with it."""
    if not _FORM.fullmatch(text):
        return None
    return ApiToken.objects.good(at).select_related("user").filter(digest=digest_of(text)).first()


def take_request(token: ApiToken, *, at: datetime) -> int:
    """Count one request: 0, or how many seconds to wait because this minute's are used up.

    One UPDATE that decides and counts, so that requests at the same moment cannot slip through together.
    """
    over = Q(window_from_at=None) | Q(window_from_at__lte=at - MINUTE) | Q(window_from_at__gt=at)
    mine = ApiToken.objects.filter(pk=token.pk)
    counted = mine.filter(over | Q(window_requests__lt=REQUESTS_A_MINUTE)).update(
        window_requests=Case(When(over, then=Value(1)), default=F("window_requests") + 1),
        window_from_at=Case(When(over, then=Value(at)), default=F("window_from_at")),
        last_used_at=at,
    )
    if counted:
        return 0
    begun = mine.values_list("window_from_at", flat=True).first() or at
    return _whole_seconds(begun + MINUTE - at)


def note_bad_try(address: str, *, at: datetime) -> int:
    """Count one bad token of an address: 0, or how many seconds until its tries are answered again.

    Good tokens are never refused for what others behind the same address try.
    """
    mine = FailedTries.objects.filter(digest=_digest_of_address(address))
    past = Q(free_at__lte=at) | Q(free_at__gt=at + MINUTE)  # the minute is over, or the clock was set back
    counted = mine.filter(past | Q(count__lt=BAD_TRIES_A_MINUTE)).update(
        count=Case(When(past, then=Value(1)), default=F("count") + 1),
        free_at=Case(When(past, then=Value(at + MINUTE)), default=F("free_at")),
        last_at=at,
    )
    if counted:
        return 0
    known = mine.first()
    if known is not None:
        return _whole_seconds(known.free_at - at)
    first = FailedTries(digest=_digest_of_address(address), count=1, last_at=at, free_at=at + MINUTE)
    FailedTries.objects.bulk_create([first], ignore_conflicts=True)
    return 0


def _digest_of_address(address: str) -> str:
    """Of IPv6 the network of 64 bits, which is what one subscriber has."""
    if ":" in address:
        address = str(ipaddress.ip_network((address, 64), strict=False))
    return salted_hmac("restorereports.api_token", address, algorithm="sha256").hexdigest()


def _whole_seconds(left: timedelta) -> int:
    return min(max(int(left.total_seconds()) + 1, 1), 60)


def record_refusal(token: ApiToken, *, actor: Actor, path: str, needs: str, at: datetime) -> None:
    """Put a refused request on record, at most one a minute of each token: a loop cannot flood the trail."""
    with transaction.atomic():
        # whoever comes second sees the first one's entry
        ApiToken.objects.select_for_update(no_key=True).get(pk=token.pk)
        told = AuditEntry.objects.filter(object_type=ApiToken._meta.model_name, object_id=token.pk)
        if not told.filter(action=Action.REFUSED, at__gt=at - MINUTE, at__lte=at).exists():
            record(Action.REFUSED, actor, of=token, details={"path": path, "needs": needs})
