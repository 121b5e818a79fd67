"""Making policies and changing them: each change is a new version, nothing that once judged is ever edited."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import override

from restorereports.audit import Action, Actor, record
from restorereports.models import Policy, PolicyVersion, User

from .differences import differences
from .terms import Terms, check, plain_terms, read_terms, sha256_of

_MOST_LINES: Final = 100  # of a change in the audit trail


class PolicyMoved(ValueError):
    """Somebody else made a version meanwhile."""


class NameTaken(ValueError):
    """Another policy bears this name."""


def add_policy(
    name: str, terms: Terms, *, note: str, person: User | None, actor: Actor, at: datetime
) -> PolicyVersion:
    """A new policy with its first version. TermsError for terms that none can have, NameTaken for the name."""
    check(terms)
    try:
        with transaction.atomic():
            policy = Policy.objects.create(name=name, created_at=at)
            made = _add_version(policy, 1, terms, note=note, person=person, at=at)
            record(
                Action.POLICY_CHANGED,
                actor,
                of=policy,
                details={"name": name, "version": 1, "terms_sha256": made.terms_sha256, "note": note},
            )
    except IntegrityError:
        raise NameTaken(_("Another policy is called “%s” already.") % name) from None
    return made


def change_policy(
    policy: Policy,
    terms: Terms,
    *,
    based_on: int,
    name: str,
    note: str,
    person: User | None,
    actor: Actor,
    at: datetime,
) -> PolicyVersion | None:
    """The next version, made from version `based_on`; PolicyMoved when there is a later one. None: nothing changed.

    A change of the name alone makes no version: no figure rests on it.
    """
    check(terms)
    with transaction.atomic():
        mine = Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)
        latest = mine.latest
        if latest.number != based_on:
            raise PolicyMoved(
                _("Version %(n)d was made meanwhile. Look at it, then change that one.")
                % {"n": latest.number}
            )
        old = read_terms(latest.terms)
        details: dict[str, Any] = _rename(mine, name)
        made = None
        if terms != old:
            made = _add_version(mine, latest.number + 1, terms, note=note, person=person, at=at)
            details |= {
                "version": [latest.number, made.number],
                "terms_sha256": [latest.terms_sha256, made.terms_sha256],
                "changes": _in_english(old, terms),
                "note": note,
            }
        if details:
            record(Action.POLICY_CHANGED, actor, of=mine, details=details)
    return made


def retire(policy: Policy, *, actor: Actor, at: datetime) -> None:
    """It judges no new report from now on; what it judged stays."""
    _set_retired(policy, at, actor)


def reopen(policy: Policy, *, actor: Actor) -> None:
    _set_retired(policy, None, actor)


def _set_retired(policy: Policy, at: datetime | None, actor: Actor) -> None:
    with transaction.atomic():
        mine = Policy.objects.select_for_update(no_key=True).get(pk=policy.pk)
        if (mine.retired_at is None) == (at is None):
            return
        mine.retired_at = at
        mine.save(update_fields=["retired_at"])
        record(Action.POLICY_CHANGED, actor, of=mine, details={"retired": [at is None, at is not None]})


def _rename(policy: Policy, name: str) -> dict[str, Any]:
    if policy.name == name:
        return {}
    if Policy.objects.filter(name=name).exclude(pk=policy.pk).exists():
        raise NameTaken(_("Another policy is called “%s” already.") % name)
    before, policy.name = policy.name, name
    policy.save(update_fields=["name"])
    return {"name": [before, name]}


def _add_version(
    policy: Policy, number: int, terms: Terms, *, note: str, person: User | None, at: datetime
) -> PolicyVersion:
    made: PolicyVersion = PolicyVersion.objects.create(
        policy=policy,
        number=number,
        terms=plain_terms(terms),
        terms_sha256=sha256_of(terms),
        note=note,
        made_at=at,
        made_by=person,
    )
    return made


def _in_english(old: Terms, new: Terms) -> list[str]:
    """The trail is written in one language, whatever the person reads."""
    with override("en"):
        lines = differences(old, new)
    return lines[:_MOST_LINES] + ([f"… {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else [])
