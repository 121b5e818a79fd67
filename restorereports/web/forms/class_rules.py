"""The rules for classes as a table, and running them over old restore sessions."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import QueryDict
from django.utils.translation import gettext_lazy

from restorereports.models import SessionClass
from restorereports.models.account import validate_zone
from restorereports.policies.class_rules import MOST_RULES, ClassRule

from .gap import PlainText

WEEKDAYS: Final = [
    ("0", gettext_lazy("Mon")),
    ("1", gettext_lazy("Tue")),
    ("2", gettext_lazy("Wed")),
    ("3", gettext_lazy("Thu")),
    ("4", gettext_lazy("Fri")),
    ("5", gettext_lazy("Sat")),
    ("6", gettext_lazy("Sun")),
]
_CHOICES: Final = [(one.value, one.label) for one in (SessionClass.TEST, SessionClass.REAL)]
_PATTERN: Final = {"autocomplete": "off", "spellcheck": "false"}
_HOUR: Final = {"min_value": 0, "required": False}


class ClassRuleForm(forms.Form):
    name = forms.CharField(
        label=gettext_lazy("VM name"),
        max_length=200,
        required=False,
        strip=False,
        widget=forms.TextInput(_PATTERN),
    )
    backup_server = forms.CharField(
        label=gettext_lazy("Backup server"),
        max_length=200,
        required=False,
        strip=False,
        widget=forms.TextInput(_PATTERN),
    )
    weekdays = forms.MultipleChoiceField(
        label=gettext_lazy("Weekdays"),
        choices=WEEKDAYS,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    from_hour = forms.IntegerField(label=gettext_lazy("From hour"), max_value=23, **_HOUR)  # type: ignore[arg-type]
    to_hour = forms.IntegerField(label=gettext_lazy("To hour"), max_value=24, **_HOUR)  # type: ignore[arg-type]
    zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        max_length=64,
        validators=[validate_zone],
        widget=forms.TextInput({"list": "zones", "autocomplete": "off"}),
    )
    session_class = forms.ChoiceField(label=gettext_lazy("Class"), choices=_CHOICES)

    def rule(self) -> ClassRule:
        values = self.cleaned_data
        return ClassRule(
            session_class=values["session_class"],
            name=values["name"],
            backup_server=values["backup_server"],
            weekdays=tuple(int(one) for one in values["weekdays"]),
            from_hour=values["from_hour"] or 0,
            to_hour=values["to_hour"] or 0,
            zone=values["zone"],
        )


ClassRuleFormSet = forms.formset_factory(
    ClassRuleForm, extra=0, can_order=True, can_delete=True, max_num=MOST_RULES, absolute_max=MOST_RULES + 1
)


class WhyForm(forms.Form):
    note = PlainText(
        label=gettext_lazy("Why"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy("Kept with this number of the rules."),
        widget=forms.Textarea({"rows": 2}),
    )


def rows_of(rules: tuple[ClassRule, ...]) -> list[dict[str, Any]]:
    """What the table is filled in with."""
    return [
        {
            "name": rule.name,
            "backup_server": rule.backup_server,
            "weekdays": [str(day) for day in rule.weekdays],
            "from_hour": rule.from_hour if rule.from_hour != rule.to_hour else None,
            "to_hour": rule.to_hour if rule.from_hour != rule.to_hour else None,
            "zone": rule.zone,
            "session_class": rule.session_class,
        }
        for rule in rules
    ]


def typed_rows(data: QueryDict) -> list[Mapping[str, Any]]:
    """The rows in the order that was typed, unchecked, without those ticked away."""
    text = data.get("rule-TOTAL_FORMS", "")
    count = min(int(text), MOST_RULES) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    rows = []
    for number in range(count):
        row: dict[str, Any] = {
            name: data.get(f"rule-{number}-{name}", "") for name in ClassRuleForm.base_fields
        }
        row["weekdays"] = data.getlist(f"rule-{number}-weekdays")
        order = data.get(f"rule-{number}-ORDER", "")
        place = int(order[:9]) if order.isascii() and order.isdecimal() else number + 1
        if not data.get(f"rule-{number}-DELETE"):
            rows.append((place, number, row))
    return [row for _place, _number, row in sorted(rows, key=lambda one: one[:2])]


class SinceForm(forms.Form):
    since = forms.DateField(
        label=gettext_lazy("Since"),
        help_text=gettext_lazy("Restore sessions that started on this day or later, in your zone."),
        validators=[MinValueValidator(date(1970, 1, 2)), MaxValueValidator(date(2999, 12, 31))],
        widget=forms.DateInput({"type": "date"}),
    )

    def since_at(self, zone: str) -> datetime:
        """The day's first moment; only when the form is valid."""
        return datetime.combine(self.cleaned_data["since"], time(), zoneinfo.ZoneInfo(zone))


class RunForm(SinceForm):
    since = forms.DateField(widget=forms.HiddenInput, validators=SinceForm.base_fields["since"].validators)
    number = forms.IntegerField(widget=forms.HiddenInput, min_value=1, max_value=2**31 - 1)
    reason = PlainText(
        label=gettext_lazy("Reason"),
        max_length=1000,
        help_text=gettext_lazy("Printed with each change in reports."),
        widget=forms.Textarea({"rows": 2}),
        error_messages={"required": gettext_lazy("Say why; without a reason nothing is run.")},
    )
