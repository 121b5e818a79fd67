"""What people type to prove who they are. Passwords and codes are never put back into a page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _


def _password(label: Any) -> forms.CharField:
    widget = forms.PasswordInput({"autocomplete": "current-password"})
    return forms.CharField(label=label, strip=False, max_length=1000, widget=widget)


class LogInForm(forms.Form):
    username = forms.CharField(
        label=_("Username"),
        max_length=150,
        widget=forms.TextInput(
            {"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false", "autofocus": True}
        ),
    )
    password = _password(_("Password"))


class PasswordForm(forms.Form):
    """The password once more, before something that only its person may do."""

    password = _password(_("Your password"))


class CodeInput(forms.TextInput):
    """Empty each time: a code that was refused is of no more use."""

    def format_value(self, value: Any) -> None:
        return None


class CodeForm(forms.Form):
    """Six digits of the app, or where it is said so a recovery code."""

    code = forms.CharField(
        label=_("Code"),
        max_length=100,
        widget=CodeInput(
            {
                "autocomplete": "one-time-code",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
                "class": "code",
            }
        ),
    )

    def clean_code(self) -> str:
        """Spaces and dashes are how people read codes aloud."""
        return "".join(str(self.cleaned_data["code"]).split()).replace("-", "")


class AppCodeForm(CodeForm):
    """A code of the app alone: digits, so that a telephone shows its digit keys."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].widget.attrs["inputmode"] = "numeric"
