"""Checking the whole audit trail in one pass: what was changed, removed, cut or computed anew, and up to where it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from restorereports.models import AuditEntry, AuditHead
from restorereports.models.snapshot import snapshot

from .anchors import Anchor as Anchor
from .anchors import anchors
from .chain import TRAIL, read_head
from .walk import MOST_FAULTS as MOST_FAULTS
from .walk import Fault, walk_over


@dataclass(frozen=True, slots=True)
class Findings:
    """`faults` are the first MOST_FAULTS of `total`; `head` is None where the trail has none."""

    entries: int
    anchors: int
    head: AuditHead | None
    faults: tuple[Fault, ...]
    total: int


def verify(known: Iterable[Anchor] = ()) -> Findings:
    """One pass over one frozen view of the trail; `known` are compared beside what the reports say.

    Must not be called inside a transaction that writes.
    """
    with snapshot():
        end = read_head()
        walk = walk_over(TRAIL, AuditEntry.objects.order_by("number"), end, (*anchors(), *known))
    return Findings(walk.entries, walk.expected, end, walk.faults(), walk.total)


def faults(known: Iterable[Anchor] = ()) -> tuple[Fault, ...]:
    return verify(known).faults
