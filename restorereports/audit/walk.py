"""One pass over a chain of entries, oldest first: what is wrong with it, from which entry on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from django.db import models
from django.utils.translation import gettext as _

from .anchors import Anchor
from .chain import GENESIS, Chain
from .reading import is_whole, number_of, rows_of

MOST_FAULTS: Final = 200  # named one by one; the rest is counted


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, from which entry on; `last_good` is the last entry that everything vouches for (0: none)."""

    number: int
    what: str
    last_good: int


def walk_over(chain: Chain, entries: models.QuerySet[Any], head: Any | None, known: Iterable[Anchor]) -> Walk:
    """The finished pass; `known` is what was told of the chain outside of it. Call it inside a snapshot."""
    walk = Walk(chain)
    for anchor in known:
        walk.expect(anchor)
    for key, entry in rows_of(entries):
        if entry is not None and is_whole(entry.number):
            walk.pass_by(entry)
        else:
            walk.pass_by_unreadable(number_of(entries, key, "number"))
    walk.end_at(head)
    return walk


@dataclass(slots=True)
class Walk:
    """Where the pass stands: the last entry seen, the last one that is good, the last one an anchor vouches for."""

    chain: Chain
    number: int = 0
    hash: str | None = GENESIS  # None: it could not be read
    good: bool = True
    last_good: int = 0
    anchored: int = 0
    unsealed_from: int = 0
    good_before_unsealed: int = 0
    entries: int = 0
    expected: int = 0
    total: int = 0
    found: list[Fault] = field(default_factory=list)
    anchors: dict[int, list[Anchor]] = field(default_factory=dict)
    unreadable: list[Anchor] = field(default_factory=list)

    def faults(self) -> tuple[Fault, ...]:
        return tuple(sorted(self.found, key=lambda fault: fault.number))

    def expect(self, anchor: Anchor) -> None:
        self.expected += 1
        if anchor.length < 0:
            self.unreadable.append(anchor)
        else:
            self.anchors.setdefault(anchor.length, []).append(anchor)

    def pass_by(self, entry: Any) -> None:
        self.entries += 1
        if entry.number < 1:
            self._fault(entry.number, _("entry %d was never written by this installation") % entry.number)
            return
        self._check_place(entry.number, entry.previous_hash)
        self._check_seal(entry)
        if self.chain.lost_head(entry):
            words = _("before entry %d the head was missing or changed: entries may have been cut off there")
            self._fault(entry.number, words % entry.number)
        self._compare(entry.number, entry.hash)
        self.number, self.hash = entry.number, entry.hash
        if self.good:
            self.last_good = entry.number

    def pass_by_unreadable(self, number: int | None) -> None:
        """A row with something in it that no column of its kind can hold; `number` where at least that is one."""
        self.entries += 1
        if number is None or number < 1:
            words = _("behind entry %d stands one whose number cannot be read")
            self._fault(self.number + 1, words % self.number)
            return
        self._check_place(number, self.hash)
        self._fault(number, _("entry %d cannot be read: it was changed after it was written") % number)
        self.anchors.pop(number, None)
        self.number, self.hash = number, None

    def _check_place(self, number: int, previous_hash: str | None) -> None:
        if not self.number:
            self._compare(0, GENESIS)
        if number == self.number + 1:
            if self.hash is not None and previous_hash != self.hash:
                self._fault(number, _("entry %d does not follow the one before it") % number)
            return
        first, last = self.number + 1, number - 1
        if first > last:
            self._fault(number, _("entry %d is there more than once") % number)
        elif first == last:
            self._fault(first, _("entry %d is missing") % first)
        else:
            words = _("entries %(first)d to %(last)d are missing")
            self._fault(first, words % {"first": first, "last": last})
        self.anchors = {length: at for length, at in self.anchors.items() if not first <= length <= last}

    def _check_seal(self, entry: Any) -> None:
        if not self.chain.is_unchanged(entry):
            self._fault(entry.number, _("entry %d was changed after it was written") % entry.number)
        elif self.chain.is_sealed(entry):
            self._tell_unsealed(_("the seal of entry %(first)d was changed"), entry.number - 1)
        elif not self.unsealed_from:
            self.unsealed_from, self.good_before_unsealed, self.good = entry.number, self.last_good, False

    def _tell_unsealed(self, one: str, last: int) -> None:
        """A stretch of entries that hang together but bear no seal of this installation has ended."""
        if not self.unsealed_from:
            return
        several = _("entries %(first)d to %(last)d were written anew: they bear no seal of this installation")
        words = one if self.unsealed_from == last else several
        stretch = {"first": self.unsealed_from, "last": last}
        self._fault(self.unsealed_from, words % stretch, last_good=self.good_before_unsealed)
        self.unsealed_from = 0

    def _compare(self, length: int, hash_here: str) -> None:
        for anchor in self.anchors.pop(length, ()):
            if anchor.hash == hash_here:
                self.anchored = length
                continue
            words = _(
                "entry %(n)d is not the one that %(where)s names: %(chain)s was rebuilt with its key, or what is "
                "named was changed"
            )
            vouched = min(self.last_good, self.anchored)
            named = {"n": length, "where": anchor.where, "chain": self.chain.name}
            self._fault(length, words % named, last_good=vouched)
            self.last_good = vouched

    def end_at(self, head: Any | None) -> None:
        """The end of the pass: what the head says, and what somebody has seen beyond the present end."""
        if not self.number:
            self._compare(0, GENESIS)
        if self.unsealed_from:
            words = _(
                "%(chain)s was rebuilt from entry %(first)d on without its key: no seal of this installation "
                "(or AUDIT_KEY is not the one it was written with)"
            )
            facts = {"first": self.unsealed_from, "chain": self.chain.name}
            self._fault(self.unsealed_from, words % facts, last_good=self.good_before_unsealed)
        self._check_head(head)
        words = _("the tail is cut: %(where)s saw %(n)d entries, %(here)d are here")
        for length in sorted(self.anchors):
            for anchor in self.anchors[length]:
                seen = {"where": anchor.where, "n": length, "here": self.number}
                self._fault(self.number + 1, words % seen)
        for anchor in self.unreadable:
            named = {"where": anchor.where, "chain": self.chain.name}
            told = _("what %(where)s says of %(chain)s cannot be read: it was changed") % named
            self._fault(self.number + 1, told, last_good=min(self.last_good, self.anchored))

    def _check_head(self, head: Any | None) -> None:
        after = self.number + 1
        if head is None:
            if self.number:
                words = _("the head is missing: nothing says where %s ended")
                self._fault(after, words % self.chain.name)
        elif not self.chain.head_is_sealed(head):
            self._fault(after, _("the head was changed: it bears no seal of this installation"))
        elif head.length > self.number:
            words = _("the tail is cut: %(n)d entries were written, %(here)d are here")
            self._fault(after, words % {"n": head.length, "here": self.number})
        elif head.length != self.number or self.hash not in (None, head.hash):
            words = _("the head names entry %d as the last one, and not the one that is here")
            self._fault(self.number, words % head.length)

    def _fault(self, number: int, what: str, *, last_good: int | None = None) -> None:
        self.total += 1
        self.good = False
        if len(self.found) < MOST_FAULTS:
            self.found.append(Fault(number, what, self.last_good if last_good is None else last_good))
