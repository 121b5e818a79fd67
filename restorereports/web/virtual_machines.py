"""One VM as its page shows it: what each policy makes of it and why, its names, its exemptions, its restores."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from restorereports.models import (
    Exemption,
    Policy,
    PolicyVersion,
    Presence,
    RestoreSession,
    RestoreSessionScope,
    User,
    VirtualMachine,
)
from restorereports.policies.coverage import coverage
from restorereports.policies.lines import VmLine
from restorereports.policies.rule_lines import write_rule_lines
from restorereports.policies.terms import Terms, Tier, read_terms
from restorereports.policies.tiers import Place, placer
from restorereports.policies.verdicts import VmVerdict

SESSIONS_SHOWN = 50
NAMESAKES_SHOWN = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyView:
    """What one policy makes of the VM. `line` None: out of scope, `why` says by what.

    `rule` is the rule that placed it, in words; "" where the list or the tier for all others did.
    """

    policy: Policy
    version: PolicyVersion
    place: Place
    rule: str
    tier: Tier | None
    line: VmLine | None
    why: str

    @property
    def urgency(self) -> int:
        return list(VmVerdict).index(self.line.verdict) if self.line else len(VmVerdict)


def policy_views(vm: VirtualMachine, reader: User, *, as_of: datetime) -> list[PolicyView]:
    """Of the policies in force, the one that asks for action first."""
    found = [_view(policy, vm, reader, as_of) for policy in Policy.objects.filter(retired_at=None)]
    return sorted(found, key=lambda view: (view.urgency, view.policy.pk))


def _view(policy: Policy, vm: VirtualMachine, reader: User, as_of: datetime) -> PolicyView:
    version = policy.latest
    terms = read_terms(version.terms)
    place = placer(terms)(vm.name, vm.backup_server.name)
    covered = coverage(
        version,
        at=as_of,
        zone=zoneinfo.ZoneInfo(reader.zone),
        scope=RestoreSessionScope(vm_exact=vm.name, backup_servers=(vm.backup_server_id,)),
        reader=reader,
        as_of=as_of,
    )
    line = next((one for one in covered.lines if one.vm_id == vm.pk), None)
    return PolicyView(
        policy=policy,
        version=version,
        place=place,
        rule=_rule(terms, place),
        tier=terms.tier(line.tier) if line else None,
        line=line,
        why="" if line else _why(place),
    )


def _rule(terms: Terms, place: Place) -> str:
    if not place.rule:
        return ""
    return write_rule_lines([terms.tier(place.tier).rules[place.rule - 1]])


def _why(place: Place) -> str:
    if place.excluded:
        return "excluded"
    return "no point" if place.tier else "unplaced"


@dataclass(frozen=True, kw_only=True, slots=True)
class Names:
    """`namesakes`: other VMs that bear or bore the same name, each on its backup server."""

    aliases: Sequence[Any]
    namesakes: Sequence[VirtualMachine]
    more: bool


def names_of(vm: VirtualMachine, reader: User) -> Names:
    visible = VirtualMachine.objects.visible_to(reader).select_related("backup_server")
    others = visible.filter(name_key=vm.name_key).exclude(pk=vm.pk).order_by("backup_server__name", "pk")
    found = list(others[: NAMESAKES_SHOWN + 1])
    return Names(
        aliases=list(vm.aliases.order_by("-until_at")[:NAMESAKES_SHOWN]),
        namesakes=found[:NAMESAKES_SHOWN],
        more=len(found) > NAMESAKES_SHOWN,
    )


def sessions_of(vm: VirtualMachine, reader: User) -> list[RestoreSession]:
    """The newest."""
    rows = RestoreSession.objects.visible_to(reader).filter(virtual_machine=vm)
    return list(rows.order_by("-started_at", "-id")[:SESSIONS_SHOWN])


def exemptions_of_vm(vm: VirtualMachine, reader: User) -> Sequence[Exemption]:
    found = Exemption.objects.visible_to(reader).filter(virtual_machine=vm)
    return list(found.select_related("policy", "given_by", "withdrawn_by")[:100])


def protection_of(vm: VirtualMachine) -> Sequence[Presence]:
    """Since when until when restore points of it are known, newest first."""
    return list(Presence.objects.filter(virtual_machine=vm).order_by("-from_at")[:10])
