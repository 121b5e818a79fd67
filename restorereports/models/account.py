"""Who reads: the people who log in, and the installation itself."""

from __future__ import annotations

import zoneinfo
from enum import Enum
from functools import cached_property
from typing import Any, ClassVar, Final, Protocol, Self

from django.conf import settings
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from .granted import EVERYTHING, NOTHING, Granted


def validate_zone(name: str) -> None:
    """Accept IANA zone names only, such as Europe/Berlin."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(name)s” is no IANA time zone; write it like Europe/Berlin."), params={"name": name}
        )


class Act(Enum):
    """What a role allows beyond seeing, filtering and exporting what one was granted."""

    REPORT = "ask for reports, see and download them"
    READ_TRAIL = "read the audit trail"
    NOTE = "write notes, set the class of restore sessions"
    SET_POLICY = "set policies, exemptions and the rules for classes"
    ADMINISTER = "set up Enterprise Managers, schedules and people"


class LastAdministrator(ValueError):
    """Nobody could administer this installation any more."""


class UserQuerySet(models.QuerySet["User"]):
    def visible_to(self, reader: Reader) -> Self:
        """Oneself, and whoever may see something that the reader may see too; the others are unknown to him."""
        granted = reader.granted
        if granted.everything:
            return self
        shared = Q(role=User.Role.ADMINISTRATOR) | Q(grants__in=_grants_over(granted))
        own = Q(pk=getattr(reader, "pk", None))
        return self.filter(own | shared if granted.servers else own).distinct()

    def break_glass(self) -> Self:
        """Administrators who can log in with a password of their own, whatever becomes of the sign-on elsewhere."""
        able = self.filter(role=User.Role.ADMINISTRATOR, is_active=True, identity=None)
        return able.exclude(password__startswith=UNUSABLE_PASSWORD_PREFIX)

    def lock_break_glass(self) -> list[int]:
        """Ids of those who count, locked in one order until the transaction ends: of two who go, one is the last.

        Their keys stay free, so that entries of the audit trail, which point to them, are written meanwhile.
        """
        able = self.break_glass().order_by("pk").select_for_update(of=("self",), no_key=True)
        return [user.pk for user in able]


def _grants_over(granted: Granted) -> Any:
    from .grant import Grant  # a grant belongs to a person, so that module knows this one

    return Grant.objects.filter(
        Q(enterprise_manager=None, backup_server=None)
        | Q(backup_server__in=granted.servers)
        | Q(enterprise_manager__in=granted.managers)
    )


class People(UserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra: Any
    ) -> User:
        """What Django's `createsuperuser` makes is an administrator here."""
        made: User = super().create_superuser(
            username, email, password, **{"role": User.Role.ADMINISTRATOR} | extra
        )
        return made


class User(AbstractUser):
    """A person. The role says what he may do, his grants of what; administrators see everything.

    `sign_ins_end` counts up whenever everything that this person has open must end: each http session and each API
    token carries the number it began with.
    """

    class Role(models.TextChoices):
        VIEWER = "viewer", _("Viewer")
        AUDITOR = "auditor", _("Auditor")
        OPERATOR = "operator", _("Operator")
        POLICY_OWNER = "policy_owner", _("Policy owner")
        ADMINISTRATOR = "administrator", _("Administrator")

    class Theme(models.TextChoices):
        SYSTEM = "", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    role = models.CharField(_("role"), max_length=20, choices=Role, default=Role.VIEWER)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[validate_zone])
    theme = models.CharField(_("theme"), max_length=5, choices=Theme, default=Theme.SYSTEM, blank=True)
    sign_ins_end = models.PositiveIntegerField(default=0, editable=False)

    objects: ClassVar[People] = People()

    @property
    def is_administrator(self) -> bool:
        return self.may(Act.ADMINISTER)

    @property
    def may_report(self) -> bool:
        return self.may(Act.REPORT)

    @property
    def may_note(self) -> bool:
        return self.may(Act.NOTE)

    @property
    def may_read_trail(self) -> bool:
        return self.may(Act.READ_TRAIL)

    def may(self, act: Act) -> bool:
        return self.is_active and act in _ALLOWED[User.Role(self.role)]

    @cached_property
    def granted(self) -> Granted:
        """What this person may see, read once for this object: a request begins with a new one."""
        from .grant import granted_to  # a grant belongs to a person, so that module knows this one

        if not self.is_active:
            return NOTHING
        return EVERYTHING if self.is_administrator else granted_to(self)

    @cached_property
    def _known(self) -> frozenset[int]:
        return frozenset(User.objects.visible_to(self).values_list("pk", flat=True))

    def knows(self, person: User) -> bool:
        """Whether the other one's name may be shown to this person."""
        return self.granted.everything or person.pk in self._known

    @property
    def zone(self) -> str:
        """IANA zone in which this person sees times."""
        return self.time_zone or settings.TIME_ZONE

    @property
    def shown_name(self) -> str:
        return self.get_full_name() or self.get_username()

    def set_password(self, raw_password: str | None) -> None:
        super().set_password(raw_password)
        self.end_sign_ins()

    def end_sign_ins(self) -> None:
        """End every http session, API token and one-time link of this person once the row is saved."""
        self.sign_ins_end = (self.sign_ins_end or 0) + 1

    def become(self, *, role: str, is_active: bool) -> None:
        """Change role or activity, which ends what this person has open; save afterwards, in one transaction.

        LastAdministrator when nobody else could administer with a password of his own.
        """
        if (role, is_active) == (self.role, self.is_active):
            return
        if not (is_active and role == User.Role.ADMINISTRATOR):
            self._refuse_the_last_to_go()
        self.role, self.is_active = role, is_active
        self.__dict__.pop("granted", None)
        self.end_sign_ins()

    def _refuse_the_last_to_go(self) -> None:
        counts = User.objects.break_glass().filter(pk=self.pk).exists()
        if counts and User.objects.lock_break_glass() == [self.pk]:
            raise LastAdministrator(
                _(
                    "This is the last active administrator with a password of its own. "
                    "Make somebody else administrator first, who then sets a password."
                )
            )

    def get_session_auth_hash(self) -> str:
        return self._bound_to(None)

    def get_session_auth_fallback_hash(self) -> Any:
        for secret in settings.SECRET_KEY_FALLBACKS:
            yield self._bound_to(secret)

    def _bound_to(self, secret: str | bytes | None) -> str:
        state = f"{self.password}:{self.sign_ins_end}"
        return salted_hmac("restorereports.User", state, secret=secret, algorithm="sha256").hexdigest()


_EVERYBODY_ELSE = frozenset({Act.REPORT})
_ALLOWED: Final[dict[User.Role, frozenset[Act]]] = {
    User.Role.VIEWER: frozenset(),
    User.Role.AUDITOR: _EVERYBODY_ELSE | {Act.READ_TRAIL},
    User.Role.OPERATOR: _EVERYBODY_ELSE | {Act.NOTE},
    User.Role.POLICY_OWNER: _EVERYBODY_ELSE | {Act.SET_POLICY},
    User.Role.ADMINISTRATOR: frozenset(Act),
}


class Reader(Protocol):
    """Who asks: a person, a schedule, or the installation itself."""

    @property
    def granted(self) -> Granted: ...


class SystemReader:
    """The installation itself: command line and unattended work, which see everything."""

    granted = EVERYTHING


SYSTEM: Final = SystemReader()
