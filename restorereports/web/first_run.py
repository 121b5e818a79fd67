"""The one-time link that makes the first administrator of a new installation."""

from __future__ import annotations

from datetime import timedelta

from django.core import signing
from django.db import connection
from django.urls import reverse

from restorereports.models import User

SALT = "first-administrator"
MAX_AGE = timedelta(hours=24)


def first_administrator_path() -> str:
    """The path of the page, good for 24 hours and only while there is no user at all."""
    return reverse("welcome", args=[signing.dumps("", salt=SALT)])


def is_open(token: str) -> bool:
    """Whether this link still makes an administrator."""
    try:
        signing.loads(token, salt=SALT, max_age=MAX_AGE)
    except signing.BadSignature:
        return False
    return not User.objects.exists()


def wait_for_others() -> None:
    """Until the transaction ends nobody else adds a user; SQLite's immediate transactions do so anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f'LOCK TABLE "{User._meta.db_table}" IN EXCLUSIVE MODE')
