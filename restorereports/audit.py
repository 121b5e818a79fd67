"""The audit trail's chain: adding an entry inside the transaction of what it records, and checking all of it.

An entry's hash covers its columns and the hash before it, its seal is an HMAC of that hash under AUDIT_KEY. The head
bears the length under a seal of its own. So a changed byte, a missing entry, a cut tail and a chain that was computed
anew are all found. Who has the database and the key, or puts back an older copy of everything, is found only by what
left the house: each report prints length and hash of its day, `anchors` compares with those that are kept here.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from restorereports.models import AuditEntry, AuditHead, EnterpriseManager, Report, User

logger = logging.getLogger(__name__)

GENESIS: Final = "0" * 64
_LOCK = 0x52525F7472  # of this trail among PostgreSQL's advisory locks
_COVERED: Final = (
    *("number", "action", "via", "person_id", "person_name", "address"),
    *("object_type", "object_id", "object_name", "enterprise_manager_id", "details"),
)
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
    `details` are plain JSON values and never hold a secret. Entries are added one after the other: the lock is held
    until the transaction ends.
    """
    with transaction.atomic():
        head = _locked_head()
        if isinstance(of, EnterpriseManager):
            enterprise_manager = of
        entry = AuditEntry(
            number=head.length + 1,
            at=timezone.now().astimezone(UTC),
            action=action,
            via=actor.via,
            person=actor.person,
            person_name=actor.person.get_username() if actor.person else "",
            address=actor.address,
            object_type=(of._meta.model_name or "") if of else "",
            object_id=of.pk if of else None,
            object_name=name or (str(of) if of else ""),
            enterprise_manager=enterprise_manager,
            details=json.loads(json.dumps(dict(details or {}))),
            previous_hash=head.hash,
        )
        entry.hash = hash_of(entry)
        entry.seal = seal_of("entry", entry.hash)
        entry.save()
        head.length, head.hash = entry.number, entry.hash
        head.seal = _seal_of_head(head)
        head.save()
    logger.info("audit %d %s %s", entry.number, entry.action, entry.hash)  # a copy that leaves with the logs
    return entry


def head() -> AuditHead:
    """Where the trail ends now; length 0 before the first entry."""
    return AuditHead.objects.first() or AuditHead(length=0, hash=GENESIS)


def _locked_head() -> AuditHead:
    """Nobody else adds before this transaction ends; SQLite's immediate transactions see to it themselves."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    found = AuditHead.objects.first()
    if found is not None:
        return found
    last = AuditEntry.objects.order_by("-number").first()
    if last is None:
        return AuditHead(length=0, hash=GENESIS)
    logger.error("the head of the audit trail is missing; it goes on behind entry %d", last.number)
    begun = AuditHead(length=last.number, hash=last.hash)
    begun.seal = _seal_of_head(begun)
    begun.save(force_insert=True)
    record(Action.HEAD_MISSING, THE_INSTALLATION)
    return AuditHead.objects.get()


def hash_of(entry: AuditEntry) -> str:
    """SHA-256 of the entry as canonical JSON, the previous entry's hash in it."""
    plain = {name: getattr(entry, name) for name in _COVERED}
    plain |= {"at": entry.at.astimezone(UTC).isoformat(), "previous_hash": entry.previous_hash}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def seal_of(kind: str, text: str) -> str:
    return hmac.new(settings.AUDIT_KEY.encode(), f"{kind}:{text}".encode(), hashlib.sha256).hexdigest()


def _seal_of_head(head: AuditHead) -> str:
    return seal_of("head", f"{head.length}:{head.hash}")


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the trail was at some moment, kept elsewhere: its length, its hash, and where that is written."""

    length: int
    hash: str
    where: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, from which entry on; `last_good` is the last entry that everything vouches for (0: none)."""

    number: int
    what: str
    last_good: int


def anchors() -> Iterator[Anchor]:
    """What the reports that were made say of the trail."""
    told = Report.objects.exclude(audit_length=None).order_by("audit_length", "pk")
    for report in told.only("pk", "created_at", "audit_length", "audit_hash").iterator():
        yield Anchor(report.audit_length or 0, report.audit_hash, str(report))


def faults(known: Iterable[Anchor] = ()) -> list[Fault]:
    """Everything that is wrong with the trail, in one pass over it; `known` are compared beside the reports' anchors."""
    by_length: dict[int, list[Anchor]] = {}
    for anchor in (*anchors(), *known):
        by_length.setdefault(anchor.length, []).append(anchor)
    found: list[Fault] = []
    number, before, good = 0, GENESIS, True
    last_good = 0
    rebuilt = False

    def fault(at: int, what: str) -> None:
        found.append(Fault(at, what, last_good))

    for entry in AuditEntry.objects.order_by("number").iterator(chunk_size=2000):
        if entry.number != number + 1:
            gone = _("entries %(first)d to %(last)d are") % {"first": number + 1, "last": entry.number - 1}
            one = _("entry %d is") % (number + 1)
            fault(number + 1, _("%s missing") % (one if entry.number == number + 2 else gone))
            good = False
        elif entry.previous_hash != before:
            fault(entry.number, _("entry %d does not follow the one before it") % entry.number)
            good = False
        if hash_of(entry) != entry.hash:
            fault(entry.number, _("entry %d was changed after it was written") % entry.number)
            good = False
        elif not hmac.compare_digest(seal_of("entry", entry.hash), entry.seal):
            if not rebuilt:
                fault(
                    entry.number, _("the trail was rebuilt from entry %d on: it bears no seal") % entry.number
                )
            good, rebuilt = False, True
        for anchor in by_length.pop(entry.number, ()):
            if anchor.hash != entry.hash:
                fault(
                    entry.number,
                    _("entry %(n)d is not the one that %(where)s names")
                    % {"n": entry.number, "where": anchor.where},
                )
                good = False
        number, before = entry.number, entry.hash
        last_good = number if good else last_good
    found += _at_the_end(number, before, last_good, by_length)
    return found


def _at_the_end(
    number: int, before: str, last_good: int, left: Mapping[int, list[Anchor]]
) -> Iterator[Fault]:
    """The head, and what somebody has seen beyond the present end."""
    end = AuditHead.objects.first()
    if end is None:
        if number:
            yield Fault(number + 1, _("the head is missing: nothing says where the trail ended"), last_good)
    elif not hmac.compare_digest(_seal_of_head(end), end.seal):
        yield Fault(number + 1, _("the head was changed: its seal is not of this installation"), last_good)
    elif end.length > number:
        words = _("the tail is cut: %(n)d entries were written, %(here)d are here")
        yield Fault(number + 1, words % {"n": end.length, "here": number}, last_good)
    elif (end.length, end.hash) != (number, before):
        yield Fault(number, _("the head names another last entry than is here"), last_good)
    for length in sorted(left):
        for anchor in left[length]:
            if length or anchor.hash != GENESIS:
                words = _("the tail is cut: %(where)s saw %(n)d entries, %(here)d are here")
                yield Fault(
                    number + 1, words % {"where": anchor.where, "n": length, "here": number}, last_good
                )
