"""Making an API token: what it is for, what it opens, and for how long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from restorereports.models import Act, ApiToken, User

SHORTEST, USUAL, LONGEST = 1, 90, 365  # days


class ApiTokenForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("Which program uses it, so that you know it again."),
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("Scope"),
        help_text=gettext_lazy("What it may read of what you may see."),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose at least one; a token without any opens nothing.")},
    )
    days = forms.IntegerField(
        label=gettext_lazy("Ends after so many days"),
        min_value=SHORTEST,
        max_value=LONGEST,
        initial=USUAL,
        help_text=gettext_lazy("1 to 365."),
    )

    def __init__(self, data: Any = None, *, person: User) -> None:
        super().__init__(data)
        scopes = [scope for scope in ApiToken.Scope if may_have(person, scope)]
        self.fields["scopes"].choices = [(scope.value, scope.label) for scope in scopes]  # type: ignore[attr-defined]

    def expires_at(self, made_at: datetime) -> datetime:
        return made_at + timedelta(days=self.cleaned_data["days"])


def may_have(person: User, scope: ApiToken.Scope) -> bool:
    """Reports are for those who may ask for some."""
    return scope != ApiToken.Scope.REPORTS or person.may(Act.REPORT)
