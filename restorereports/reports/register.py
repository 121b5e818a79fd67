"""Adding to the register of evidence, inside the transaction of what is entered.

Built like the audit trail: an entry's hash covers its columns and the hash before it, seals are HMACs under AUDIT_KEY,
the head bears the length. Each final report prints the register's length and last hash of the moment it was rendered.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from restorereports.audit.chain import (
    GENESIS,
    LARGEST_NUMBER,
    Chain,
    hash_of_columns,
    storable,
)
from restorereports.audit.entries import NotWritable
from restorereports.audit.reading import CANNOT_BE_READ
from restorereports.models import RegisterEntry, RegisterHead, Report

logger = logging.getLogger("restorereports.register")

Kind = RegisterEntry.Kind
LOST_HEAD: Final = "head_before"  # in the facts of an entry before which the head was missing or changed
THE_HEAD: Final = 1  # the only row of its table
_LOCK: Final = 0x52525F7267  # of this chain among PostgreSQL's advisory locks
_COVERED: Final = ("number", "kind", "report_id", "facts")

REGISTER: Final = Chain(
    name=_("the register"),
    entry_kind="register entry",
    head_kind="register head",
    hash_of=lambda entry: hash_of_columns(entry, _COVERED),
    lost_head=lambda entry: isinstance(entry.facts, dict) and LOST_HEAD in entry.facts,
)


def enter(
    kind: RegisterEntry.Kind, report: Report, facts: Mapping[str, Any], *, at: datetime
) -> RegisterEntry:
    """Add one entry, in the caller's transaction. `facts` are plain values and never a secret.

    The lock is held until the transaction ends: enter before `audit.record`, and both last.
    """
    if getattr(connection, "transaction_mode", None) == "DEFERRED":
        raise NotWritable("a snapshot is read-only: enter before it or after it")
    with transaction.atomic():
        end, wrong = _locked_head()
        entry = RegisterEntry(
            number=end.length + 1,
            at=at.astimezone(UTC),
            kind=kind,
            report=report,
            facts=storable({**facts, LOST_HEAD: wrong} if wrong else facts),
            previous_hash=end.hash,
        )
        entry.hash = REGISTER.hash_of(entry)
        entry.seal = REGISTER.seal_of_entry(entry)
        entry.save()
        end.length, end.hash = entry.number, entry.hash
        end.seal = REGISTER.seal_of_head(end)
        end.save()
        transaction.on_commit(
            lambda: logger.info("register %d %s %s", entry.number, entry.kind, entry.hash), robust=True
        )
    return entry


def head() -> RegisterHead:
    """Where the register ends now; length 0 before the first entry."""
    return RegisterHead.objects.filter(pk=THE_HEAD).first() or RegisterHead(length=0, hash=GENESIS)


def read_head() -> RegisterHead | None:
    """The head, without a seal where it cannot be read; None where there is none."""
    try:
        return RegisterHead.objects.filter(pk=THE_HEAD).first()
    except CANNOT_BE_READ:
        return RegisterHead(pk=THE_HEAD, length=0, hash="", seal="")


def _locked_head() -> tuple[RegisterHead, str]:
    """The head, and what is wrong with it, which the next entry says: else that entry would cover it up.

    Nobody else enters before this transaction ends; SQLite's immediate transactions see to it themselves.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    found = read_head()
    numbers = RegisterEntry.objects.filter(number__gte=1, number__lte=LARGEST_NUMBER)
    last, last_hash = numbers.order_by("-number").values_list("number", "hash").first() or (0, GENESIS)
    if found is None and last == 0:
        return RegisterHead(length=0, hash=GENESIS), ""
    wrong = _what_is_wrong(found, last)
    if found is not None and not wrong:
        return found, ""
    logger.error("the head of the register is %s; it goes on behind entry %d", wrong, last)
    end = found or RegisterHead()
    end.length, end.hash = last, last_hash if isinstance(last_hash, str) else GENESIS
    return end, wrong


def _what_is_wrong(found: RegisterHead | None, last: int) -> str:
    if found is None:
        return "missing"
    if not REGISTER.head_is_sealed(found):
        return "changed"
    return "behind" if last > found.length else ""
