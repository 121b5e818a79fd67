"""What changes the groups' rules: each one transaction, with its entry in the audit trail.

They reach people at their next log-in; nobody who is logged in changes under his own hands.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from restorereports.audit import Action, Actor, record
from restorereports.models import GroupRule, User

from .people import EVERYTHING, NOTHING, Sees


def sees_of_rule(rule: GroupRule) -> Sees:
    if rule.pk is None:
        return NOTHING
    return Sees(
        everything=rule.everything,
        enterprise_managers=frozenset(rule.enterprise_managers.values_list("pk", flat=True)),
        backup_servers=frozenset(rule.backup_servers.values_list("pk", flat=True)),
    )


@transaction.atomic
def save_rule(rule: GroupRule, *, sees: Sees, actor: Actor) -> None:
    """Add or change. Everything stands alone where it is among them; administrators need no grant."""
    before = _as_details(GroupRule.objects.select_for_update().get(pk=rule.pk)) if rule.pk else None
    if rule.role == User.Role.ADMINISTRATOR:
        sees = NOTHING
    elif sees.everything:
        sees = EVERYTHING
    rule.everything = sees.everything
    rule.save()
    rule.enterprise_managers.set(sees.enterprise_managers)
    rule.backup_servers.set(sees.backup_servers)
    after = _as_details(rule)
    if before != after:
        record(Action.GROUP_CHANGED, actor, of=rule, details={"before": before, "after": after})


@transaction.atomic
def delete_rule(rule: GroupRule, *, actor: Actor) -> None:
    """Nothing happens to one that somebody else has deleted."""
    found = GroupRule.objects.select_for_update().filter(pk=rule.pk).first()
    if found is None:
        return
    details = {"before": _as_details(found), "after": None}
    GroupRule.objects.filter(pk=rule.pk).delete()
    record(Action.GROUP_CHANGED, actor, of=rule, details=details)


def _as_details(rule: GroupRule) -> dict[str, Any]:
    return {"group": rule.group, "role": rule.role, "sees": sees_of_rule(rule).as_details()}
