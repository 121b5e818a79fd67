"""Acts on evidence by hand: why a hold is set or lifted, why a final report is deleted."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy

from .gap import PlainText

LONGEST = 1000


class ReasonForm(forms.Form):
    reason = PlainText(
        label=gettext_lazy("Reason"),
        max_length=LONGEST,
        help_text=gettext_lazy("At most 1,000 characters. It stands in the register and cannot be changed."),
        widget=forms.Textarea({"rows": 2}),
        error_messages={"required": gettext_lazy("Write why: the register keeps the reason.")},
    )
