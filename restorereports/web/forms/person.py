"""Adding a person, and changing what one may do and see."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import SetPasswordForm
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import User
from restorereports.sign_in.people import NOTHING, refuse_taken_name, sees_of

from .granted import SeesForm


class AddPersonForm(SeesForm, forms.ModelForm):
    """No administrator types a password: the person does, behind a one-time link."""

    class Meta:
        model = User
        fields = ["username", "first_name", "email", "role"]
        labels = {
            "username": gettext_lazy("User name"),
            "first_name": gettext_lazy("Full name"),
            "email": gettext_lazy("E-mail"),
        }
        help_texts = {"username": gettext_lazy("For the log-in: letters, digits and @ . + - _")}
        widgets = {
            "username": forms.TextInput(
                {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
            ),
            "first_name": forms.TextInput({"autocomplete": "off"}),
            "email": forms.EmailInput({"autocomplete": "off"}),
        }

    def __init__(self, *args: Any, reader: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer(reader, NOTHING)

    def clean_username(self) -> str:
        username: str = User.normalize_username(self.cleaned_data["username"])
        refuse_taken_name(username)
        return username


class EditPersonForm(SeesForm):
    """Of a person who comes from the identity provider only the activity: its groups say the rest."""

    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=User.Role.choices)
    is_active = forms.BooleanField(
        label=gettext_lazy("Active"),
        required=False,
        help_text=gettext_lazy("Switched off, nobody logs in with this account, and its API tokens end."),
    )
    field_order = ["is_active", "role"]

    def __init__(self, *args: Any, person: User, reader: User, from_provider: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.from_provider = from_provider
        self.initial.update(role=person.role, is_active=person.is_active)
        self.offer(reader, sees_of(person))
        if from_provider:
            for name in ("role", "everything", "enterprise_managers", "backup_servers"):
                del self.fields[name]

    def changes(self) -> dict[str, Any]:
        """For `change_person`; only when the form is valid."""
        found: dict[str, Any] = {"is_active": self.cleaned_data["is_active"]}
        if not self.from_provider:
            found |= {"role": self.cleaned_data["role"], "sees": self.sees()}
        return found


class LinkForm(SetPasswordForm):
    """The new password, twice."""

    def __init__(self, user: User, *args: Any, **kwargs: Any) -> None:
        super().__init__(user, *args, **kwargs)
        self.fields["new_password2"].label = _("New password again")
        self.fields["new_password2"].help_text = ""
        self.fields["new_password1"].help_text = _("At least 12 characters; none that everybody knows.")
