"""The second factor of local accounts: six digits of an authenticator app (TOTP), or one of ten recovery codes.

The app's secret is kept encrypted, of recovery codes only digests. No code works twice.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Final

import pyotp
import segno
from django.conf import settings
from django.db import transaction
from pyotp.utils import strings_equal

from restorereports.audit import Action, Actor, record
from restorereports.models import Identity, RecoveryCode, SecondFactor, User
from restorereports.models.credential import decrypt, encrypt

from .people import remove_second_factor

STEP: Final = 30  # seconds of one code
WINDOW: Final = 1  # steps on either side that a clock may be off
RECOVERY_CODES: Final = 10
_SIGNS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is read as another
_SIGNS_OF_A_CODE: Final = 20  # 99 random bits


def is_local(user: User) -> bool:
    """Whether this person logs in with a password; the others have their second factor at the identity provider."""
    return not Identity.objects.filter(user=user).exists()


def confirmed(user: User) -> SecondFactor | None:
    return SecondFactor.objects.filter(user=user).exclude(confirmed_at=None).first()


def owes_second_factor(user: User) -> bool:
    """Whether this person must set one up before anything else."""
    if settings.SECOND_FACTOR != "required":
        return False
    owing = User.objects.filter(pk=user.pk, identity=None).exclude(second_factor__confirmed_at__isnull=False)
    return owing.exists()


def secret_being_set_up(user: User) -> str:
    """The secret that the app is to learn, the same until it is confirmed. ValueError when there is a confirmed one."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        row = SecondFactor.objects.filter(user=user).first()
        if row is None:
            row = SecondFactor.objects.create(user=user, secret_token=encrypt(pyotp.random_base32()))
        if row.confirmed_at:
            raise ValueError("There is a second factor already.")
        return decrypt(row.secret_token)


def qr_code(user: User, secret: str) -> str:
    """What the app reads, as a `data:` address of an SVG: dark on light also where the page is dark."""
    address = pyotp.TOTP(secret).provisioning_uri(name=user.get_username(), issuer_name="Restore Reports")
    data: str = segno.make(address, error="m", micro=False).svg_data_uri(
        border=4, dark="#000", light="#fff", omitsize=True
    )
    return data


def confirm(user: User, code: str, *, actor: Actor, at: datetime) -> list[str] | None:
    """Take the app into use with its first code: the recovery codes, in clear this once. None: a wrong code."""
    with transaction.atomic():
        row = SecondFactor.objects.select_for_update(no_key=True).filter(user=user, confirmed_at=None).first()
        if row is None or not _advance(row, code, at):
            return None
        row.confirmed_at = at
        row.save()
        codes = _new_recovery_codes(user)  # rows first, the trail's lock last
        record(Action.SECOND_FACTOR_CHANGED, actor, of=user, details={"what": "set up"})
        return codes


def accepts(user: User, code: str, *, at: datetime) -> bool:
    """Whether the app shows this code now; a code that was used, or an older one, is refused."""
    with transaction.atomic():
        row = (
            SecondFactor.objects.select_for_update(no_key=True)
            .filter(user=user)
            .exclude(confirmed_at=None)
            .first()
        )
        if row is None or not _advance(row, code, at):
            return False
        row.save()
        return True


def _advance(row: SecondFactor, code: str, at: datetime) -> bool:
    """Whether the code is of a step that is still to come for this row, which then stands at it."""
    app = pyotp.TOTP(decrypt(row.secret_token))
    now = int(at.timestamp()) // STEP
    for step in range(now - WINDOW, now + WINDOW + 1):
        if strings_equal(app.generate_otp(step), code) and step > row.last_step:
            row.last_step = step
            return True
    return False


def accepts_recovery_code(user: User, code: str, *, actor: Actor, at: datetime) -> bool:
    """Whether this is a recovery code that was not used; it is used by that."""
    unused = RecoveryCode.objects.filter(user=user, digest=_digest(user, code), used_at=None)
    with transaction.atomic():
        if not unused.update(used_at=at):
            return False
        left = RecoveryCode.objects.filter(user=user, used_at=None).count()
        record(
            Action.SECOND_FACTOR_CHANGED,
            actor,
            of=user,
            details={"what": "recovery code used", "recovery codes left": left},
        )
        return True


def renew_recovery_codes(user: User, *, actor: Actor) -> list[str]:
    """Ten new ones, in clear this once; the old ones no longer work."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        codes = _new_recovery_codes(user)
        record(Action.SECOND_FACTOR_CHANGED, actor, of=user, details={"what": "recovery codes renewed"})
        return codes


def remove(user: User, *, actor: Actor) -> None:
    """Forget the app and the recovery codes; nothing happens when there are none."""
    with transaction.atomic():
        User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if remove_second_factor(user):
            record(Action.SECOND_FACTOR_CHANGED, actor, of=user, details={"what": "removed"})


def _new_recovery_codes(user: User) -> list[str]:
    RecoveryCode.objects.filter(user=user).delete()
    codes = ["".join(secrets.choice(_SIGNS) for _ in range(_SIGNS_OF_A_CODE)) for _ in range(RECOVERY_CODES)]
    RecoveryCode.objects.bulk_create(RecoveryCode(user=user, digest=_digest(user, code)) for code in codes)
    return [in_groups(code, 5) for code in codes]


def _digest(user: User, code: str) -> str:
    """Of 99 random bits, so that a plain hash cannot be tried out; spaces, dashes and case do not count."""
    plain = "".join(sign for sign in code.casefold() if sign.isalnum())
    return hashlib.sha256(f"recovery code {user.pk} {plain}".encode()).hexdigest()


def in_groups(text: str, size: int = 4) -> str:
    """Easier to copy by hand: abcd efgh …"""
    return " ".join(text[at : at + size] for at in range(0, len(text), size))
