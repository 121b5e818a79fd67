"""What changes people, for pages and commands alike: each one transaction, with its entries in the audit trail.

The rows come first and the entries last: the trail is locked by whoever adds to it, and nobody waits for a person's
row while he holds that lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from restorereports.audit import Action, Actor, record
from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Grant,
    Identity,
    RecoveryCode,
    SecondFactor,
    User,
)


class FromIdentityProvider(ValueError):
    """The identity provider's groups say what this person may do, anew at each log-in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sees:
    """What somebody was granted, as ids; nothing, unless said. Everything includes the others."""

    everything: bool = False
    enterprise_managers: frozenset[int] = frozenset()
    backup_servers: frozenset[int] = frozenset()

    @property
    def nothing(self) -> bool:
        return not (self.everything or self.enterprise_managers or self.backup_servers)

    def as_details(self) -> dict[str, Any]:
        """With names, as the audit trail keeps it."""
        managers = EnterpriseManager.objects.filter(pk__in=self.enterprise_managers)
        servers = BackupServer.objects.filter(pk__in=self.backup_servers)
        return {
            "everything": self.everything,
            "enterprise_managers": list(managers.order_by("name").values_list("name", flat=True)),
            "backup_servers": list(servers.order_by("name", "pk").values_list("name", flat=True)),
        }


NOTHING = Sees()
EVERYTHING = Sees(everything=True)


def sees_of(person: User) -> Sees:
    """What the person was granted; an administrator sees everything without it."""
    found = list(person.grants.values_list("enterprise_manager", "backup_server"))
    return Sees(
        everything=(None, None) in found,
        enterprise_managers=frozenset(manager for manager, _server in found if manager),
        backup_servers=frozenset(server for _manager, server in found if server),
    )


def refuse_taken_name(username: str) -> None:
    """ValidationError when somebody has this name already, in capitals or not: two people must look different."""
    if User.objects.filter(username__iexact=username).exists():
        raise ValidationError(_("Somebody has this user name already."), code="unique")


@transaction.atomic
def add_person(person: User, *, sees: Sees = NOTHING, password: str | None = None, actor: Actor) -> None:
    """A local account; without a password one that only a one-time link opens. ValidationError when refused."""
    person.username = User.normalize_username(person.username)
    refuse_taken_name(person.username)
    if password is None:
        person.set_unusable_password()
    else:
        validate_password(password, person)
        person.set_password(password)
    person.full_clean()
    person.save()
    sees = _allotted(person, sees)
    details = {"role": person.role, "has_password": password is not None, "sees": sees.as_details()}
    record(Action.PERSON_ADDED, actor, of=person, details=details)


@transaction.atomic
def change_person(
    person: User,
    *,
    actor: Actor,
    role: str | None = None,
    is_active: bool | None = None,
    sees: Sees | None = None,
) -> User:
    """Gives the person as it is now; what is None stays. Role and activity end what the person has open.

    LastAdministrator when nobody else could administer; FromIdentityProvider when groups say role and grants.
    """
    person = _locked(person)
    before, saw = _standing(person), sees_of(person)
    role = person.role if role is None else role
    from_provider = _is_from_provider(person)
    if from_provider and (role != person.role or sees not in (None, saw)):
        raise FromIdentityProvider(
            _("This person comes from the identity provider: its groups say role and grants at each log-in.")
        )
    person.become(role=role, is_active=person.is_active if is_active is None else is_active)
    person.save(update_fields=["role", "is_active", "sign_ins_end"])
    now_sees = saw if from_provider else _allotted(person, saw if sees is None else sees)
    if before != _standing(person):
        details = {"before": before, "after": _standing(person)}
        record(Action.PERSON_CHANGED, actor, of=person, details=details)
    if saw != now_sees:
        details = {"before": saw.as_details(), "after": now_sees.as_details()}
        record(Action.GRANTS_CHANGED, actor, of=person, details=details)
    return person


@transaction.atomic
def change_password(person: User, password: str, *, actor: Actor, how: str) -> None:
    """Ends whatever the person has open. ValidationError when the password is refused.

    `how` the person came to do so, for the trail. FromIdentityProvider: such a person has none.
    """
    if _is_from_provider(person):
        raise FromIdentityProvider(
            _("This person comes from the identity provider and has no password here.")
        )
    validate_password(password, person)
    person.set_password(password)
    person.save(update_fields=["password", "sign_ins_end"])
    record(Action.PASSWORD_CHANGED, actor, of=person, details={"how": how})


def remove_second_factor(person: User) -> bool:
    """Whether there was one that counted; transaction and entry are the caller's."""
    counted = SecondFactor.objects.filter(user=person).exclude(confirmed_at=None).exists()
    SecondFactor.objects.filter(user=person).delete()
    RecoveryCode.objects.filter(user=person).delete()
    return counted


def _locked(person: User) -> User:
    """As it stands in the database, until the transaction ends; those who count for the last come first, in order."""
    User.objects.lock_break_glass()
    return User.objects.select_for_update(no_key=True).get(pk=person.pk)


def _is_from_provider(person: User) -> bool:
    return Identity.objects.filter(user=person).exists()


def _standing(person: User) -> dict[str, Any]:
    return {"role": person.role, "is_active": person.is_active}


def _allotted(person: User, sees: Sees) -> Sees:
    """Make the grants these, and give what they are: everything alone where it is among them, none to administrators."""
    if person.role == User.Role.ADMINISTRATOR:
        sees = NOTHING
    elif sees.everything:
        sees = EVERYTHING
    if sees == sees_of(person):
        return sees
    person.grants.all().delete()
    Grant.objects.bulk_create(
        [
            *([Grant(user=person)] if sees.everything else []),
            *(Grant(user=person, enterprise_manager_id=pk) for pk in sorted(sees.enterprise_managers)),
            *(Grant(user=person, backup_server_id=pk) for pk in sorted(sees.backup_servers)),
        ]
    )
    person.__dict__.pop("granted", None)
    return sees
