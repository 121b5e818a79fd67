"""Adding to the audit trail, inside the transaction of what is recorded.

An entry's hash covers its columns and the hash before it, its seal is an HMAC of that hash under AUDIT_KEY. The head
bears the length under a seal of its own. So a changed byte, a missing entry, a cut tail and a chain that was computed
anew are all found (see `verification`). Who has the database and the key, puts back an older copy of everything, or
takes the whole trail away together with its head, is found only by what left the house: each report prints length and
hash of its day.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from django.db import connection, models, transaction
from django.utils import timezone

from restorereports.models import AuditEntry, AuditHead, EnterpriseManager, User

from .chain import (
    GENESIS,
    LARGEST_NUMBER,
    hash_of,
    head_is_sealed,
    read_head,
    seal_of_entry,
    seal_of_head,
    storable,
    storable_text,
)

logger = logging.getLogger("restorereports.audit")

_LOCK: Final = 0x52525F7472  # of this trail among PostgreSQL's advisory locks
Action = AuditEntry.Action
Via = AuditEntry.Via


@dataclass(frozen=True, kw_only=True, slots=True)
class Actor:
    """Who acts, by which way, from which address."""

    person: User | None = None
    via: str = Via.SYSTEM
    address: str = ""


THE_INSTALLATION: Final = Actor()
COMMAND_LINE: Final = Actor(via=Via.COMMAND)


class NotWritable(RuntimeError):
    """An entry was to be recorded inside a read-only snapshot."""


def record(
    action: AuditEntry.Action,
    actor: Actor,
    *,
    of: models.Model | None = None,
    name: str = "",
    enterprise_manager: EnterpriseManager | None = None,
    details: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Add one entry, in the caller's transaction: without the act there is no entry, without the entry no act.

    `of` is the object; `enterprise_manager` the one it belongs to, which lets those see it who were granted that one.
    `details` are plain values and never hold a secret. Entries are added one after the other: the lock is held until
    the transaction ends, so record last in it. Outside of one the entry is a transaction of its own.
    """
    if getattr(connection, "transaction_mode", None) == "DEFERRED":  # PostgreSQL refuses such a write itself
        raise NotWritable("a snapshot is read-only: record before it or after it")
    if isinstance(of, EnterpriseManager):
        enterprise_manager = of
    with transaction.atomic():
        head = _locked_head()
        entry = AuditEntry(
            number=head.length + 1,
            at=timezone.now().astimezone(UTC),
            action=action,
            via=actor.via,
            person=actor.person,
            person_name=storable_text(actor.person.get_username()) if actor.person else "",
            address=actor.address,
            object_type=(of._meta.model_name or "") if of else "",
            object_id=of.pk if of else None,
            object_name=storable_text(name or (str(of) if of else "")),
            enterprise_manager=enterprise_manager,
            details=storable(details or {}),
            previous_hash=head.hash,
        )
        entry.hash = hash_of(entry)
        entry.seal = seal_of_entry(entry)
        entry.save()
        _move(head, entry.number, entry.hash)
        # A copy that leaves with the logs; it holds no names, and nothing that was rolled back.
        transaction.on_commit(
            lambda: logger.info("audit %d %s %s", entry.number, entry.action, entry.hash), robust=True
        )
    return entry


def head() -> AuditHead:
    """Where the trail ends now; length 0 before the first entry."""
    return AuditHead.objects.first() or AuditHead(length=0, hash=GENESIS)


def _move(head: AuditHead, length: int, last_hash: str) -> None:
    head.length, head.hash = length, last_hash
    head.seal = seal_of_head(head)
    head.save()


def _locked_head() -> AuditHead:
    """Nobody else adds before this transaction ends; SQLite's immediate transactions see to it themselves.

    A head that is missing, bears no seal of ours or lies behind the last entry is set anew, which is itself an entry:
    else the next act would cover up what somebody did to it.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    found = read_head()
    last = _last_entry()
    if found is None and last[0] == 0:
        return AuditHead(length=0, hash=GENESIS)
    wrong = _what_is_wrong(found, last[0])
    if found is not None and not wrong:
        return found
    logger.error("the head of the audit trail is %s; it goes on behind entry %d", wrong, last[0])
    _move(found or AuditHead(), *last)
    record(Action.HEAD_MISSING, THE_INSTALLATION, details={"head": wrong})
    return AuditHead.objects.get()


def _last_entry() -> tuple[int, str]:
    """Number and hash of the last entry whose number is one: whatever else somebody wrote there stops nobody."""
    numbers = AuditEntry.objects.filter(number__gte=1, number__lte=LARGEST_NUMBER)
    number, last_hash = numbers.order_by("-number").values_list("number", "hash").first() or (0, GENESIS)
    return number, last_hash if isinstance(last_hash, str) else GENESIS


def _what_is_wrong(found: AuditHead | None, last: int) -> str:
    if found is None:
        return "missing"
    if not head_is_sealed(found):
        return "changed"
    return "behind" if last > found.length else ""
