"""The class of a restore session, and notes on it."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import Outcome, RestoreSession

from .gap import LONGEST, PlainText
from .policy import CLASSES, UNSET

_PASSED: Final = (Outcome.SUCCESS, Outcome.RUNNING)
_RESTORED: Final = (Outcome.SUCCESS, Outcome.WARNING)


class ClassForm(forms.Form):
    session_class = forms.ChoiceField(label=gettext_lazy("Class"), choices=CLASSES)
    reason = PlainText(
        label=gettext_lazy("Reason"),
        max_length=1000,
        help_text=gettext_lazy("Printed with the change in reports."),
        widget=forms.Textarea({"rows": 2}),
        error_messages={"required": gettext_lazy("Say why; a change of class without a reason is not made.")},
    )

    def __init__(self, data: Any = None, *, row: RestoreSession) -> None:
        initial = {"session_class": row.session_class or UNSET}
        super().__init__(data, initial=initial, auto_id="class-%s")
        self._row = row

    def clean_session_class(self) -> str:
        chosen: str = self.cleaned_data["session_class"]
        value = "" if chosen == UNSET else chosen
        if value == self._row.session_class and self._row.class_by_hand:
            raise forms.ValidationError(_("A person gave it this class already."))
        return value


class SessionNoteForm(forms.Form):
    """What does not apply to the outcome is not asked: nobody acknowledges a success."""

    text = PlainText(
        label=gettext_lazy("Note"),
        max_length=LONGEST,
        help_text=gettext_lazy("Plain text, at most 4,000 characters. It cannot be changed afterwards."),
        widget=forms.Textarea({"rows": 4}),
        error_messages={"required": gettext_lazy("Write what you found; an empty note is not kept.")},
    )
    acknowledges = forms.BooleanField(
        label=gettext_lazy("I acknowledge: I looked at this and answer for it"), required=False
    )
    content_checked = forms.BooleanField(
        label=gettext_lazy("The restored content was checked and is right"), required=False
    )

    def __init__(self, data: Any = None, *, row: RestoreSession) -> None:
        super().__init__(data, auto_id="note-%s")
        if row.outcome in _PASSED:
            del self.fields["acknowledges"]
        if row.outcome not in _RESTORED:
            del self.fields["content_checked"]
