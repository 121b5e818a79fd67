"""Explaining a gap: plain text that is kept as it was written."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

LONGEST = 4000


class PlainText(forms.CharField):
    """Line breaks count as one character, as browsers count them."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> str:
        text = super().to_python(value) or ""
        return text.replace("\r\n", "\n").replace("\r", "\n")


class GapNoteForm(forms.Form):
    text = PlainText(
        label=gettext_lazy("Explanation"),
        max_length=LONGEST,
        help_text=gettext_lazy("Plain text, at most 4,000 characters. It cannot be changed afterwards."),
        widget=forms.Textarea({"rows": 4}),
        error_messages={"required": gettext_lazy("Write what happened; an empty explanation is not kept.")},
    )

    def __init__(self, data: Any = None, *, gap_id: int) -> None:
        super().__init__(data, auto_id=f"gap-{gap_id}-%s")
        self.gap_id = gap_id
