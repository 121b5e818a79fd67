"""A report every month."""

from __future__ import annotations

import zoneinfo
from typing import Any

from django import forms
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy

from restorereports.models import Policy, ReportSchedule, User
from restorereports.models.period import month_of

from ..choices import KnownRowsField
from .looks import LooksForm, PolicyField
from .report import offer


class ReportScheduleForm(LooksForm, forms.ModelForm):
    """A schedule's first month is chosen once, when it is added, so that nothing old goes out by surprise."""

    NEXT, AT_ONCE = "next", "at_once"
    begin = forms.ChoiceField(
        label=gettext_lazy("First report"),
        choices=[
            (NEXT, gettext_lazy("this month, when it is over")),
            (AT_ONCE, gettext_lazy("last month, as soon as its day has come")),
        ],
        initial=NEXT,
    )
    policy = PolicyField(
        label=gettext_lazy("Policy"),
        empty_label=gettext_lazy("none: figures without a verdict"),
        help_text=gettext_lazy("Each report uses the version that is in force when it is made."),
    )
    drop_logo = forms.BooleanField(label=gettext_lazy("Take the logo away"), required=False)

    class Meta:
        model = ReportSchedule
        fields = [
            "name",
            "recipients",
            "organisation",
            "zone",
            "policy",
            "language",
            "paper",
            "classification",
            "distribution",
            "day",
            "hour",
            "enterprise_managers",
            "backup_servers",
            "is_active",
        ]
        labels = {
            "enterprise_managers": gettext_lazy("Enterprise Managers"),
            "backup_servers": gettext_lazy("Backup servers"),
        }
        help_texts = {
            "recipients": gettext_lazy("One e-mail address a line."),
            "organisation": gettext_lazy("Printed on the cover and in the head of each page."),
            "zone": gettext_lazy("IANA name; the month begins and ends at midnight of this zone."),
            "day": gettext_lazy("1 to 28; the report covers the month before."),
            "hour": gettext_lazy("0 to 23, in this zone."),
            "enterprise_managers": gettext_lazy("None ticked means all."),
            "backup_servers": gettext_lazy("None ticked means all."),
            "is_active": gettext_lazy("Switched off, nothing goes out; what was made stays."),
        }
        widgets = {
            "recipients": forms.Textarea({"rows": 3}),
            "zone": forms.TextInput({"list": "zones", "autocomplete": "off"}),
        }
        field_classes = {"enterprise_managers": KnownRowsField, "backup_servers": KnownRowsField}

    def __init__(self, *args: Any, reader: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offer(self, reader)
        stands = Q(retired_at=None) | Q(pk=self.instance.policy_id)
        self.fields["policy"].queryset = Policy.objects.filter(stands)  # type: ignore[attr-defined]
        if self.instance.logo_id is None:
            del self.fields["drop_logo"]
        if self.instance.pk is None:
            self.initial.setdefault("zone", reader.zone)
        else:
            del self.fields["begin"]

    def save(self, commit: bool = True) -> ReportSchedule:
        if self.instance.pk is None:
            today = timezone.now().astimezone(zoneinfo.ZoneInfo(self.instance.zone)).date()
            back = 1 if self.cleaned_data["begin"] == self.AT_ONCE else 0
            self.instance.first_month = month_of(today, self.instance.zone, back=back).first
        if self.kept_logo:
            self.instance.logo = self.kept_logo
        elif self.cleaned_data.get("drop_logo"):
            self.instance.logo = None
        saved: ReportSchedule = super().save(commit)
        return saved
