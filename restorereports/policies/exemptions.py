"""Giving and withdrawing exemptions; what was given is never edited."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from restorereports.audit import Action, Actor, record
from restorereports.models import Exemption, Policy, User, VirtualMachine


class ExemptionRefused(ValueError):
    """It cannot be given or withdrawn; the message says why."""


def give_exemption(
    policy: Policy,
    vm: VirtualMachine,
    *,
    reason: str,
    approver: str,
    expires_at: datetime,
    person: User,
    actor: Actor,
    at: datetime,
) -> Exemption:
    """The VM need not meet the policy from `at` until `expires_at`; ExemptionRefused where one is in force already."""
    if expires_at <= at:
        raise ExemptionRefused(_("An exemption ends after today."))
    with transaction.atomic():
        Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)
        standing = Exemption.objects.visible_to(person).filter(
            policy=policy, virtual_machine=vm, withdrawn_at=None, expires_at__gt=at
        )
        if standing.exists():
            raise ExemptionRefused(
                _("This VM is exempt already; withdraw that exemption before giving another.")
            )
        made = Exemption.objects.create(
            policy=policy,
            virtual_machine=vm,
            reason=reason,
            approver=approver,
            given_at=at,
            given_by=person,
            expires_at=expires_at,
        )
        record(
            Action.EXEMPTION_GIVEN,
            actor,
            of=policy,
            details={
                "exemption": made.pk,
                "vm": vm.name,
                "backup_server": vm.backup_server.name,
                "reason": reason,
                "approver": approver,
                "expires_at": expires_at.isoformat(),
            },
        )
    return made


def withdraw_exemption(exemption: Exemption, *, person: User, actor: Actor, at: datetime) -> None:
    """From now on the VM is measured again; ExemptionRefused when it was withdrawn or has ended already."""
    with transaction.atomic():
        mine = (
            Exemption.objects.visible_to(person)
            .select_for_update(no_key=True, of=("self",))
            .select_related("virtual_machine", "policy")
            .get(pk=exemption.pk)
        )
        if mine.withdrawn_at is not None or mine.expires_at <= at:
            raise ExemptionRefused(_("This exemption is over already."))
        mine.withdrawn_at, mine.withdrawn_by = at, person
        mine.save(update_fields=["withdrawn_at", "withdrawn_by"])
        details = {"exemption": mine.pk, "vm": mine.virtual_machine.name}
        record(Action.EXEMPTION_WITHDRAWN, actor, of=mine.policy, details=details)
