"""What slows guessing down: failed tries are counted per account and per address, in the database.

A try is counted before the password is looked at and given back when it was right, so that many tries at once, over
many processes, count as many. Nothing that was typed is stored, only keyed digests; an account that does not exist
is counted like one that does.
"""

from __future__ import annotations

import ipaddress
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils.crypto import salted_hmac

from restorereports.models import FailedTries, User

FIRST_WAIT: Final = timedelta(seconds=30)
LONGEST_WAIT: Final = timedelta(minutes=15)
FORGOTTEN_AFTER: Final = timedelta(hours=24)


class TooManyTries(Exception):
    """No try before `wait` has passed; nothing was looked at."""

    def __init__(self, wait: timedelta) -> None:
        super().__init__(f"wait {wait}")
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Counted:
    """Whose tries are counted. With the `free`th failure the waiting begins."""

    digest: str
    free: int


def _counted(kind: str, key: str, free: int) -> Counted:
    digest = salted_hmac("restorereports.FailedTries", f"{kind}:{key}", algorithm="sha256").hexdigest()
    return Counted(digest, free)


def of_account(name: str) -> Counted:
    """Password tries under this name, whether or not there is such an account."""
    return _counted("account", unicodedata.normalize("NFKC", name).casefold(), 5)


def of_second_factor(user: User) -> Counted:
    """Codes tried for this person."""
    return _counted("code", str(user.pk), 5)


def of_address(address: str) -> Counted | None:
    """Tries from this address; of IPv6 the network of 64 bits, for that is what one subscriber has. None: unknown."""
    if not address:
        return None
    ip = ipaddress.ip_address(address)
    whole = ip if ip.version == 4 else ipaddress.ip_network((ip, 64), strict=False)
    return _counted("address", str(whole), 20)


def take(*whose: Counted | None, at: datetime) -> None:
    """Count one try of each as failed, until `give_back`. TooManyTries while one of them must wait: nothing is counted."""
    known = [one for one in whose if one]
    with transaction.atomic():
        rows = _locked(known, at)
        wait = max((row.free_at - at for row in rows.values()), default=timedelta(0))
        if wait > timedelta(0):
            raise TooManyTries(wait)
        for one in known:
            row = rows[one.digest]
            row.count = 1 if at - row.last_at >= FORGOTTEN_AFTER else row.count + 1
            row.last_at = at
            row.free_at = at + _wait_after(row.count, one.free)
            row.save()
    _forget_old(at)


def succeeded(account: Counted, address: Counted | None, *, at: datetime) -> None:
    """The try that was taken was right: the account's failures are forgotten, the address's stay."""
    known = [one for one in (account, address) if one]
    with transaction.atomic():
        rows = _locked(known, at)
        for one in known:
            row = rows[one.digest]
            row.count = 0 if one is account else max(row.count - 1, 0)
            row.free_at = row.last_at + _wait_after(row.count, one.free)
            row.save()


def _wait_after(failures: int, free: int) -> timedelta:
    if failures < free:
        return timedelta(0)
    doublings = min(failures - free, 10)  # far beyond the longest wait
    return min(FIRST_WAIT * 2**doublings, LONGEST_WAIT)


def _locked(whose: list[Counted], at: datetime) -> dict[str, FailedTries]:
    """The rows, made where there was none. The upsert locks them, in one order for everybody, until the end."""
    digests = sorted(one.digest for one in whose)
    FailedTries.objects.bulk_create(
        [FailedTries(digest=digest, count=0, last_at=at, free_at=at) for digest in digests],
        update_conflicts=True,
        unique_fields=["digest"],
        update_fields=["digest"],
    )
    return {row.digest: row for row in FailedTries.objects.filter(digest__in=digests)}


def _forget_old(at: datetime) -> None:
    """Delete what no longer counts, but for rows that somebody else holds just now."""
    with transaction.atomic():
        old = FailedTries.objects.filter(last_at__lte=at - FORGOTTEN_AFTER).select_for_update(
            skip_locked=True
        )
        if stale := [row.pk for row in old[:100]]:
            FailedTries.objects.filter(pk__in=stale).delete()
