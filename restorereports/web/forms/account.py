"""The reader's own settings, and the first administrator."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import User


def zone_names() -> list[str]:
    """The zones people choose from; any other IANA name is accepted too."""
    return sorted(name for name in zoneinfo.available_timezones() if "/" in name or name == "UTC")


class AccountForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["time_zone", "theme"]
        help_texts = {
            "time_zone": gettext_lazy(
                "IANA name such as Europe/Berlin; empty takes the zone of the installation."
            )
        }
        widgets = {"time_zone": forms.TextInput({"list": "zones", "autocomplete": "off"})}


class FirstAdministratorForm(BaseUserCreationForm):
    class Meta(BaseUserCreationForm.Meta):
        model = User
        fields = ("username", "time_zone")
        widgets = {"time_zone": forms.TextInput({"list": "zones", "autocomplete": "off"})}
        help_texts = {
            "time_zone": gettext_lazy(
                "IANA name such as Europe/Berlin; empty takes the zone of the installation."
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["username"].help_text = ""
        self.fields["password1"].help_text = _("At least 12 characters; none that everybody knows.")
        self.fields["password2"].help_text = ""

    def save(self, commit: bool = True) -> User:
        self.instance.role = User.Role.ADMINISTRATOR
        user: User = super().save(commit)
        return user
