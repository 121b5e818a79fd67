"""What binds a chain's entries: the hash of an entry, the seals, and texts that come back as they were written.

The audit trail is one such chain, the register of evidence another: `Chain` says in what they differ.

A hash must be the same after a reload from either engine. PostgreSQL stores neither NUL nor lone surrogates and
keeps JSON as values, so that 1.0 or 1e400 may come back written otherwise: `storable` leaves only what does not
change on the way.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from restorereports.models import AuditEntry, AuditHead

from .reading import CANNOT_BE_READ, is_whole

GENESIS: Final = "0" * 64
LARGEST_NUMBER: Final = 2**53  # beyond it readers of JSON disagree on what a number is
THE_HEAD: Final = 1  # the only row of its table
_COVERED: Final = (
    *("number", "action", "via", "person_id", "person_name", "address"),
    *("object_type", "object_id", "object_name", "enterprise_manager_id", "details"),
)
_NUL_SHOWN: Final = "\N{SYMBOL FOR NULL}"
_UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"


def storable_text(text: str) -> str:
    """The text as both engines keep it: NUL as its picture, a lone surrogate as the replacement character."""
    text = text.replace("\0", _NUL_SHOWN)
    try:
        text.encode()
    except UnicodeEncodeError:
        return "".join(_UNREADABLE if "\ud800" <= sign <= "\udfff" else sign for sign in text)
    return text


def storable(value: Any) -> Any:
    """Plain JSON that both engines give back equal: fractions and huge numbers as text, tuples as lists.

    TypeError for what is no plain value: it has no business in the trail.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return storable_text(str(value))
    if isinstance(value, int):
        return int(value) if -LARGEST_NUMBER <= value <= LARGEST_NUMBER else hex(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Mapping):
        return {storable_text(str(name)): storable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [storable(part) for part in value]
    raise TypeError(f"the audit trail keeps plain values, not {type(value).__name__}")


def hash_of(entry: AuditEntry) -> str:
    """SHA-256 of the entry as canonical JSON, the previous entry's hash in it."""
    return hash_of_columns(entry, _COVERED)


def hash_of_columns(entry: Any, columns: tuple[str, ...]) -> str:
    """Of these columns, the moment in UTC and the previous entry's hash."""
    plain = {name: getattr(entry, name) for name in columns}
    plain |= {"at": entry.at.astimezone(UTC).isoformat(), "previous_hash": entry.previous_hash}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """One chain of entries with a head. `name` is what its faults call it, the kinds keep its seals from another's.

    `lost_head`: whether an entry says that the head was missing or changed when it was written.
    """

    name: str | Promise
    entry_kind: str
    head_kind: str
    hash_of: Callable[[Any], str]
    lost_head: Callable[[Any], bool]

    def seal_of_entry(self, entry: Any) -> str:
        return _seal(self.entry_kind, entry.hash)

    def seal_of_head(self, head: Any) -> str:
        return _seal(self.head_kind, f"{head.length}:{head.hash}")

    def is_unchanged(self, entry: Any) -> bool:
        """Whether the entry bears its own hash; what cannot be hashed was never written by this installation."""
        try:
            return self.hash_of(entry) == entry.hash
        except CANNOT_BE_READ:
            return False

    def is_sealed(self, entry: Any) -> bool:
        return _equal(self.seal_of_entry(entry), entry.seal)

    def head_is_sealed(self, head: Any) -> bool:
        return is_whole(head.length) and _equal(self.seal_of_head(head), head.seal)


TRAIL: Final = Chain(
    name=_("the trail"),
    entry_kind="entry",
    head_kind="head",
    hash_of=hash_of,
    lost_head=lambda entry: entry.action == AuditEntry.Action.HEAD_MISSING,
)


def seal_of_entry(entry: AuditEntry) -> str:
    return TRAIL.seal_of_entry(entry)


def seal_of_head(head: AuditHead) -> str:
    return TRAIL.seal_of_head(head)


def head_is_sealed(head: AuditHead) -> bool:
    return TRAIL.head_is_sealed(head)


def read_head() -> AuditHead | None:
    """The head, without a seal where it cannot be read; None where there is none."""
    try:
        return AuditHead.objects.filter(pk=THE_HEAD).first()
    except CANNOT_BE_READ:
        return AuditHead(pk=THE_HEAD, length=0, hash="", seal="")


def _seal(kind: str, text: str) -> str:
    sealed = f"{kind}:{text}".encode("utf-8", "surrogatepass")
    return hmac.new(settings.AUDIT_KEY.encode(), sealed, hashlib.sha256).hexdigest()


def _equal(seal: str, found: object) -> bool:
    if not isinstance(found, str):
        return False
    return hmac.compare_digest(seal.encode(), found.encode("utf-8", "surrogatepass"))
