"""Giving an exemption: which VM, why, who approved it, and until when."""

from __future__ import annotations

import zoneinfo
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import User, VirtualMachine
from restorereports.models.virtual_machine import name_key

from ..choices import LARGEST_ID
from .gap import PlainText


class ExemptionForm(forms.Form):
    """The VM is named exactly, so that nobody exempts another one of a like name; `vm` tells apart two of one name."""

    vm = forms.IntegerField(required=False, min_value=1, max_value=LARGEST_ID, widget=forms.HiddenInput)
    vm_name = forms.CharField(
        label=gettext_lazy("VM"),
        max_length=1000,
        strip=False,
        help_text=gettext_lazy("The exact name, as restore sessions show it."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    backup_server = forms.CharField(
        label=gettext_lazy("Backup server"),
        max_length=255,
        strip=False,
        help_text=gettext_lazy("The exact name."),
        widget=forms.TextInput({"autocomplete": "off", "spellcheck": "false"}),
    )
    reason = PlainText(
        label=gettext_lazy("Reason"),
        max_length=1000,
        help_text=gettext_lazy("Printed in reports beside the VM."),
        widget=forms.Textarea({"rows": 3}),
    )
    approver = forms.CharField(label=gettext_lazy("Approved by"), max_length=150)
    last_day = forms.DateField(
        label=gettext_lazy("Last day"),
        help_text=gettext_lazy("At the midnight after it the VM is measured again."),
        validators=[MaxValueValidator(date(2999, 12, 31))],
        widget=forms.DateInput({"type": "date"}),
    )

    def __init__(self, *args: Any, reader: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reader = reader

    def clean_last_day(self) -> date:
        day: date = self.cleaned_data["last_day"]
        if day < timezone.localtime().date():
            raise forms.ValidationError(_("This day is over; an exemption ends today or later."))
        return day

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "vm_name" in cleaned and "backup_server" in cleaned:
            called = {
                "name_key": name_key(cleaned["vm_name"]),
                "backup_server__name": cleaned["backup_server"],
            } | ({"pk": cleaned["vm"]} if cleaned.get("vm") else {})
            visible = VirtualMachine.objects.visible_to(self._reader).select_related("backup_server")
            found = list(visible.filter(**called)[:2])
            if not found:
                self.add_error("vm_name", _("No VM of exactly this name is known on this backup server."))
            elif len(found) > 1:
                self.add_error(
                    "vm_name",
                    _(
                        "Several VMs bear this name on this backup server; open the VM’s page and begin there."
                    ),
                )
            else:
                cleaned["virtual_machine"] = found[0]
        return cleaned

    def expires_at(self) -> datetime:
        """The midnight after the last day in the reader's zone; only when the form is valid."""
        after = self.cleaned_data["last_day"] + timedelta(days=1)
        return datetime.combine(after, time(), zoneinfo.ZoneInfo(self._reader.zone))
