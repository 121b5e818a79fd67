"""Which tier of a policy has a VM: the machine list first, then the rules in order, then the tier for all others."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from .terms import Machine, Rule, Terms


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a VM belongs. `tier` "": out of scope, by a rule when `excluded`, else because no rule fits.

    `machine` is its line in the list. `rule`: which rule decided, from 1 within its tier; 0 for none.
    """

    tier: str
    excluded: bool = False
    machine: Machine | None = None
    rule: int = 0

    @property
    def listed(self) -> bool:
        return self.machine is not None


def placer(terms: Terms) -> Callable[[str, str], Place]:
    """A function that tells of a VM's name and its backup server's where it belongs."""
    exact = {(machine.name, machine.backup_server): machine for machine in terms.machines}

    def place(name: str, backup_server: str) -> Place:
        machine = exact.get((name, backup_server)) or exact.get((name, ""))
        label = machine.label if machine else ""
        if any(fits(rule, name, backup_server, label) for rule in terms.exclude):
            return Place(tier="", excluded=True, machine=machine)
        if machine and machine.tier:
            return Place(tier=machine.tier, machine=machine)
        for tier in terms.tiers:
            for number, rule in enumerate(tier.rules, 1):
                if fits(rule, name, backup_server, label):
                    return Place(tier=tier.name, machine=machine, rule=number)
        return Place(tier=terms.other_tier, machine=machine)

    return place


def fits(rule: Rule, name: str, backup_server: str, label: str) -> bool:
    return (
        (not rule.name or _pattern(rule.name).match(name.casefold()) is not None)
        and (
            not rule.backup_server or _pattern(rule.backup_server).match(backup_server.casefold()) is not None
        )
        and (not rule.label or rule.label.casefold() == label.casefold())
    )


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    """`*` for any characters, `?` for one; brackets mean themselves, since names hold them."""
    return re.compile(fnmatch.translate(text.casefold().replace("[", "[[]")))
