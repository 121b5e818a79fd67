"""What the identity provider's groups make of a person, read anew at each log-in.

The highest role among the rules of one's groups counts, with the grants of the rules *with that role only*. Were the
grants of all rules joined, an operator of one backup server who is a viewer of another could write notes on both:
rights that somebody gave for one thing would leak to another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import count
from typing import Final

from django.db import IntegrityError, transaction

from restorereports.audit import Action, Actor, record
from restorereports.models import Grant, GroupRule, Identity, User

from .group_rules import sees_of_rule
from .people import sees_of
from .provider import Claims

ORDER: Final = (
    *(User.Role.VIEWER, User.Role.AUDITOR, User.Role.OPERATOR),
    *(User.Role.POLICY_OWNER, User.Role.ADMINISTRATOR),
)
LONGEST_NAME: Final = 140  # leaves room for the number that makes it unique
Thing = tuple[int | None, int | None]  # Enterprise Manager, backup server; neither: everything


class Why(Enum):
    """Why somebody whom the provider knows is not let in."""

    NO_GROUP = "no group"
    SWITCHED_OFF = "switched off"


@dataclass(frozen=True, slots=True)
class Admission:
    """The person, or why there is none."""

    user: User | None
    refused: Why | None = None


def admit(claims: Claims, *, actor: Actor, at: datetime) -> Admission:
    """Read the groups and make the person's role and grants what they say, in one transaction, on record.

    Without a group that has a rule nobody gets in: what groups gave is taken back and everything open ends.
    """
    try:
        with transaction.atomic():
            return _admit(claims, actor, at)
    except IntegrityError:  # the same person's first log-in, twice at once: the other one made the account
        with transaction.atomic():
            return _admit(claims, actor, at)


def _admit(claims: Claims, actor: Actor, at: datetime) -> Admission:
    rules = [rule for rule in GroupRule.objects.all() if rule.group in set(claims.groups)]
    User.objects.lock_break_glass()  # before the person's own row, as everywhere
    known = Identity.objects.filter(issuer=claims.issuer, subject=claims.subject).first()
    user = User.objects.select_for_update(no_key=True).get(pk=known.user_id) if known else None
    if user and not user.is_active:
        return _refuse(claims, actor, user, Why.SWITCHED_OFF)
    if not rules:
        if user and known:
            _take_back(user, known, claims, actor, at)
        return _refuse(claims, actor, user, Why.NO_GROUP)
    role = max((User.Role(rule.role) for rule in rules), key=ORDER.index)
    if user is None:
        user = _add(claims, role, actor, at)
    else:
        _change(user, claims, role, actor)
        Identity.objects.filter(user=user).update(groups=list(claims.groups), read_at=at)
    _grant(user, _things(rule for rule in rules if rule.role == role), actor)
    return Admission(user)


def _refuse(claims: Claims, actor: Actor, user: User | None, why: Why) -> Admission:
    details = {"why": why.value, "subject": claims.subject, "groups": list(claims.groups)[:50]}
    who = Actor(person=user, via=actor.via, address=actor.address)
    record(Action.LOG_IN_FAILED, who, of=user, details=details)
    return Admission(None, why)


def _take_back(user: User, identity: Identity, claims: Claims, actor: Actor, at: datetime) -> None:
    """No group any more: no role, no grants by group, and nothing stays open."""
    _change(user, claims, User.Role.VIEWER, actor)
    _grant(user, set(), actor)
    user.end_sign_ins()
    user.save(update_fields=["sign_ins_end"])
    identity.groups, identity.read_at = list(claims.groups), at
    identity.save()


def _add(claims: Claims, role: User.Role, actor: Actor, at: datetime) -> User:
    """A new person, under a name that nobody has: who was here before stays who he is."""
    user = User(username=_free_name(claims), first_name=claims.name[:150], role=role)
    user.set_unusable_password()
    user.save()
    Identity.objects.create(
        user=user,
        issuer=claims.issuer,
        subject=claims.subject,
        groups=list(claims.groups),
        first_seen_at=at,
        read_at=at,
    )
    record(
        Action.PERSON_ADDED, _as(user, actor), of=user, details={"role": role.value, "by": "single sign-on"}
    )
    return user


def _free_name(claims: Claims) -> str:
    wanted = unicodedata.normalize("NFKC", claims.username or claims.subject)
    plain = re.sub(r"[^\w.@+-]", "-", wanted)[:LONGEST_NAME] or "person"
    names = (plain if number == 1 else f"{plain}-{number}" for number in count(1))
    return next(name for name in names if not User.objects.filter(username__iexact=name).exists())


def _change(user: User, claims: Claims, role: User.Role, actor: Actor) -> None:
    """Role and name, on record when one of them is another; a change of role ends what is open."""
    was = {"role": user.role, "name": user.first_name}
    user.become(role=role, is_active=user.is_active)
    user.first_name = claims.name[:150] or user.first_name
    now = {"role": str(user.role), "name": user.first_name}
    changed = {what: [was[what], now[what]] for what in now if was[what] != now[what]}
    if changed:
        user.save(update_fields=["role", "first_name", "sign_ins_end"])
        record(Action.PERSON_CHANGED, _as(user, actor), of=user, details=changed | {"by": "groups"})


def _things(rules: Iterable[GroupRule]) -> set[Thing]:
    """What these rules grant together; everything stands alone where it is among them."""
    rules = list(rules)
    if any(rule.everything for rule in rules):
        return {(None, None)}
    seen = [sees_of_rule(rule) for rule in rules]
    managers = {(pk, None) for one in seen for pk in one.enterprise_managers}
    return managers | {(None, pk) for one in seen for pk in one.backup_servers}


def _grant(user: User, wanted: set[Thing], actor: Actor) -> None:
    """Make the grants by group exactly these, on record when they were others. A grant given by hand stays."""
    saw = sees_of(user)
    had = {(row.enterprise_manager_id, row.backup_server_id): row for row in user.grants.all()}
    gone = [row.pk for thing, row in had.items() if row.by_group and thing not in wanted]
    new = sorted(wanted - set(had), key=str)
    user.grants.filter(pk__in=gone).delete()
    Grant.objects.bulk_create(
        Grant(user=user, enterprise_manager_id=manager, backup_server_id=server, by_group=True)
        for manager, server in new
    )
    user.__dict__.pop("granted", None)
    now_sees = sees_of(user)
    if saw != now_sees:
        details = {"before": saw.as_details(), "after": now_sees.as_details(), "by": "groups"}
        record(Action.GRANTS_CHANGED, _as(user, actor), of=user, details=details)


def _as(user: User, actor: Actor) -> Actor:
    return Actor(person=user, via=actor.via, address=actor.address)
