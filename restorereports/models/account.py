"""Who reads: the people who log in, and the installation itself."""

from __future__ import annotations

import zoneinfo
from typing import Any, ClassVar, Final

from django.conf import settings
from django.contrib.auth.models import AbstractUser, UserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _


def validate_zone(name: str) -> None:
    """Accept IANA zone names only, such as Europe/Berlin."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            _("“%(name)s” is no IANA time zone; write it like Europe/Berlin."), params={"name": name}
        )


class People(UserManager["User"]):
    def create_superuser(
        self, username: str, email: str | None = None, password: str | None = None, **extra: Any
    ) -> User:
        """What Django's `createsuperuser` makes is an administrator here."""
        return super().create_superuser(
            username, email, password, **{"role": User.Role.ADMINISTRATOR} | extra
        )


class User(AbstractUser):
    """A person. Administrators set up and sync; auditors read everything, export and make reports."""

    class Role(models.TextChoices):
        ADMINISTRATOR = "administrator", _("Administrator")
        AUDITOR = "auditor", _("Auditor")

    class Theme(models.TextChoices):
        SYSTEM = "", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    role = models.CharField(_("role"), max_length=20, choices=Role, default=Role.AUDITOR)
    time_zone = models.CharField(_("time zone"), max_length=64, blank=True, validators=[validate_zone])
    theme = models.CharField(_("theme"), max_length=5, choices=Theme, default=Theme.SYSTEM, blank=True)

    objects: ClassVar[People] = People()

    @property
    def is_administrator(self) -> bool:
        return self.is_active and self.role == self.Role.ADMINISTRATOR

    @property
    def zone(self) -> str:
        """IANA zone in which this person sees times."""
        return self.time_zone or settings.TIME_ZONE


class SystemReader:
    """The installation itself: command line and unattended work, which see everything."""

    is_active = True


SYSTEM: Final = SystemReader()
Reader = User | SystemReader
