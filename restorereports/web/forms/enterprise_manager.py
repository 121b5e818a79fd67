"""Adding and editing an Enterprise Manager. A password goes in and never comes out."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.mirror.address import normalise_url
from restorereports.mirror.certificate import validate_ca_pem
from restorereports.models import EnterpriseManager

PIN_WORD = "pin"  # typed, not clicked: whoever types it has looked


def _password_field(**kwargs: Any) -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=1000,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
        **kwargs,
    )


class EnterpriseManagerForm(forms.ModelForm):
    """Address and account; `password` is required until there is one, and empty keeps it after that."""

    password = _password_field()

    class Meta:
        model = EnterpriseManager
        fields = [
            "name",
            "url",
            "username",
            "restore_scope",
            "interval_minutes",
            "full_sync_at",
            "allow_plain_http",
        ]
        help_texts = {
            "name": gettext_lazy("Shown on every row; can be changed later."),
            "url": gettext_lazy("Host, or https://host:9398. Enterprise Manager’s REST API answers on 9398."),
            "username": gettext_lazy(
                "As DOMAIN\\user or user@domain. A Portal User with the full restore scope is enough."
            ),
            "interval_minutes": gettext_lazy("EM itself collects from backup servers every 15 minutes."),
            "restore_scope": gettext_lazy(
                "What the account may restore, as EM’s settings have it. EM does not say, so it must be declared: "
                "with a part of it EM leaves out restore sessions, and every report says so."
            ),
            "allow_plain_http": gettext_lazy(
                "Only for http:// addresses: the password and all names then travel unencrypted."
            ),
        }
        widgets: dict[str, forms.Widget] = {
            "url": forms.TextInput({"autocomplete": "off", "spellcheck": "false", "inputmode": "url"}),
            "username": forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
            "full_sync_at": forms.TimeInput({"type": "time"}, format="%H:%M"),
        }

    def __init__(self, *args: Any, password_kept: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._password_kept = password_kept
        self._before = (self.instance.url, self.instance.username)
        password = self.fields["password"]
        password.required = not password_kept
        password.help_text = (
            _("Set, encrypted, never shown. Leave empty to keep it.")
            if password_kept
            else _("Kept encrypted, never shown again.")
        )
        self.fields["full_sync_at"].help_text = (
            _(
                "Time of day in %s, where this installation is. Empty: spread by itself between 00:00 and 06:00."
            )
            % settings.TIME_ZONE
        )
        self.order_fields(["name", "url", "username", "password", *self.Meta.fields[3:]])

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "url" in cleaned:
            try:
                cleaned["url"] = normalise_url(
                    cleaned["url"], allow_plain_http=cleaned.get("allow_plain_http", False)
                )
            except ValidationError as failure:
                self.add_error("url", failure)
        address = (cleaned.get("url"), cleaned.get("username"))
        if self._password_kept and not cleaned.get("password") and address != self._before:
            self.add_error(
                "password",
                _("Enter the password again: a kept one is not sent elsewhere or as another account."),
            )
        return cleaned


class EnterpriseManagerEditForm(EnterpriseManagerForm):
    """The same, with how to trust and whether to sync at all."""

    class Meta(EnterpriseManagerForm.Meta):
        fields = [*EnterpriseManagerForm.Meta.fields, "ca_pem", "is_active"]
        help_texts = EnterpriseManagerForm.Meta.help_texts | {
            "ca_pem": gettext_lazy(
                "PEM of the CA that signed the server’s certificate; a pinned fingerprint ends with it. "
                "Empty: the CAs of this machine, or the pinned fingerprint."
            ),
            "is_active": gettext_lazy("Switched off, nothing is read; what was read stays."),
        }
        widgets = EnterpriseManagerForm.Meta.widgets | {
            "ca_pem": forms.Textarea({"class": "pem", "spellcheck": "false", "rows": 6})
        }

    def clean_ca_pem(self) -> str:
        pem = str(self.cleaned_data["ca_pem"]).strip()
        if pem:
            validate_ca_pem(pem)
        return pem


class TrustForm(forms.Form):
    """How to trust the certificate that was offered: by a CA, or by its fingerprint. There is no "ignore"."""

    CA, PIN = "ca", "pin"
    trust = forms.ChoiceField(
        label=gettext_lazy("How to trust"),
        choices=[(PIN, gettext_lazy("Pin this fingerprint")), (CA, gettext_lazy("CA certificate (PEM)"))],
        widget=forms.RadioSelect,
        initial=PIN,
    )
    word = forms.CharField(
        label=gettext_lazy("Type “pin” after comparing the fingerprint with the server"),
        required=False,
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    ca_file = forms.FileField(label=gettext_lazy("CA file"), required=False)
    ca_pem = forms.CharField(
        label=gettext_lazy("or paste it"),
        required=False,
        max_length=100_000,
        widget=forms.Textarea({"class": "pem", "spellcheck": "false", "rows": 5}),
    )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("trust") == self.PIN:
            if cleaned.get("word", "").strip().lower() != PIN_WORD:
                self.add_error("word", _("Type the word pin."))
        elif cleaned.get("trust") == self.CA:
            cleaned["ca_pem"] = self._ca(cleaned)
        return cleaned

    def _ca(self, cleaned: dict[str, Any]) -> str:
        pem = str(cleaned.get("ca_pem") or "").strip()
        field = "ca_pem"
        if upload := cleaned.get("ca_file"):
            pem, field = upload.read(100_000).decode("ascii", "replace").strip(), "ca_file"
        if not pem:
            self.add_error(field, _("Choose a file or paste the certificate of the CA."))
            return ""
        try:
            validate_ca_pem(pem)
        except ValidationError as failure:
            self.add_error(field, failure)
        return pem


class PinForm(forms.Form):
    """Pin the fingerprint that is on the page, and no other that may have come since."""

    sha256 = forms.CharField(widget=forms.HiddenInput, max_length=64)
    word = forms.CharField(
        label=gettext_lazy("Type “pin” after comparing the new fingerprint with the server"),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )

    def clean_word(self) -> str:
        word = str(self.cleaned_data["word"]).strip().lower()
        if word != PIN_WORD:
            raise ValidationError(_("Type the word pin."))
        return word
