"""Which entries of the audit trail an address means, and which names in them the reader may know."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.audit.chain import storable_text
from restorereports.models import AuditEntry, User
from restorereports.models.period import Period
from restorereports.wording import name_text

OBJECT_TYPES: Final = (
    ("enterprisemanager", gettext_lazy("Enterprise Manager")),
    ("restoresession", gettext_lazy("Restore session")),
    ("policy", gettext_lazy("Policy")),
    ("classrules", gettext_lazy("Rules for classes")),
    ("report", gettext_lazy("Report")),
    ("reportschedule", gettext_lazy("Report schedule")),
    ("user", gettext_lazy("Person")),
    ("grouprule", gettext_lazy("Group")),
    ("apitoken", gettext_lazy("API token")),
)
LARGEST_NUMBER: Final = 10**18 - 1
_DAYS: Final = [MinValueValidator(date(1970, 1, 1)), MaxValueValidator(date(2999, 12, 31))]
_DAY: Final = {"type": "date"}


class _PersonField(forms.ModelChoiceField):
    def label_from_instance(self, person: Any) -> str:
        return name_text(person.get_username())

    def to_python(self, value: Any) -> Any:
        """An id that no column holds is a wrong choice, not an error of the database."""
        text = str(value or "")
        if text and not (text.isascii() and text.isdecimal() and len(text) <= 18):
            raise forms.ValidationError(self.error_messages["invalid_choice"], code="invalid_choice")
        return super().to_python(value)


class AuditFilterForm(forms.Form):
    """All filters stand in the address; empty ones mean all."""

    first = forms.DateField(
        label=gettext_lazy("First day"), required=False, validators=_DAYS, widget=forms.DateInput(_DAY)
    )
    last = forms.DateField(
        label=gettext_lazy("Last day"), required=False, validators=_DAYS, widget=forms.DateInput(_DAY)
    )
    person = _PersonField(
        label=gettext_lazy("Person"),
        queryset=User.objects.none(),
        required=False,
        empty_label=gettext_lazy("all"),
    )
    type = forms.ChoiceField(
        label=gettext_lazy("Kind of object"),
        choices=[("", gettext_lazy("all")), *OBJECT_TYPES],
        required=False,
    )
    object = forms.CharField(
        label=gettext_lazy("Name of the object contains"), required=False, max_length=1000, strip=False
    )
    action = forms.MultipleChoiceField(
        label=gettext_lazy("Action"),
        choices=AuditEntry.Action.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, data: Any, *, reader: User) -> None:
        super().__init__(data)
        self._reader = reader
        self.fields["person"].queryset = User.objects.visible_to(reader).order_by("username")  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        first, last = cleaned.get("first"), cleaned.get("last")
        if first and last and first > last:
            self.add_error("last", _("The last day is before the first day."))
        return cleaned

    def entries(self) -> Any:
        """What the reader may see of what was asked for, newest first; only when the form is valid."""
        chosen = self.cleaned_data
        found = AuditEntry.objects.visible_to(self._reader)
        if chosen["person"]:
            found = found.filter(person=chosen["person"])
        if chosen["action"]:
            found = found.filter(action__in=chosen["action"])
        if chosen["type"]:
            found = found.filter(object_type=chosen["type"])
        if chosen["object"]:
            text = storable_text(chosen["object"])
            found = found.filter(_objects_known_to(self._reader), object_name__icontains=text)
        return self._in_period(found).order_by("-number")

    def _in_period(self, found: Any) -> Any:
        zone, day = self._reader.zone, timedelta(days=1)
        first, last = self.cleaned_data["first"], self.cleaned_data["last"]
        if first:
            found = found.filter(at__gte=Period(first, first + day, zone).start_at)
        if last:
            found = found.filter(at__lt=Period(last, last + day, zone).end_at)
        return found

    def facts(self) -> dict[str, Any]:
        """The filter as plain values, for the entry that an export leaves."""
        chosen = {name: value for name, value in self.cleaned_data.items() if value}
        plain = {"person": chosen["person"].pk} if "person" in chosen else {}
        plain |= {name: chosen[name].isoformat() for name in ("first", "last") if name in chosen}
        return plain | {name: chosen[name] for name in ("type", "object", "action") if name in chosen}


def knows_object(reader: User, entry: AuditEntry) -> bool:
    """Whether the name of what an entry is about may be shown; the same as `_objects_known_to`."""
    granted = reader.granted
    if granted.everything:
        return True
    if entry.object_type == "enterprisemanager":
        return entry.object_id in granted.managers
    return entry.person_id == reader.pk


def _objects_known_to(reader: User) -> Q:
    """Nobody finds out a hidden name by filtering for it."""
    granted = reader.granted
    if granted.everything:
        return Q()
    managers = Q(object_type="enterprisemanager")
    return (managers & Q(object_id__in=granted.managers)) | (~managers & Q(person=reader.pk))
