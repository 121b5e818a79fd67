"""Asking for a report, and for one every month."""

from __future__ import annotations

import zoneinfo
from datetime import date, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    ReportSchedule,
    RestoreSessionScope,
    User,
)
from restorereports.models.account import validate_zone
from restorereports.models.period import Period, PeriodUnreadable, month_of, named_period

from ..choices import KnownRowsField

_DAYS = [MinValueValidator(date(1970, 1, 1)), MaxValueValidator(date(2999, 12, 31))]


class ReportForm(forms.Form):
    """A period by name or by its days, and what to leave in."""

    period = forms.CharField(
        label=gettext_lazy("Period"),
        required=False,
        max_length=20,
        help_text=gettext_lazy("2026-Q3 for a quarter, 2026-07 for a month, 2026 for a year."),
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    started_from = forms.DateField(
        label=gettext_lazy("or first day"),
        required=False,
        validators=_DAYS,
        widget=forms.DateInput({"type": "date"}),
    )
    started_to = forms.DateField(
        label=gettext_lazy("and last day"),
        required=False,
        validators=_DAYS,
        widget=forms.DateInput({"type": "date"}),
    )
    zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        max_length=64,
        validators=[validate_zone],
        help_text=gettext_lazy("Days of the period begin at midnight of this zone."),
        widget=forms.TextInput({"list": "zones", "autocomplete": "off"}),
    )
    organisation = forms.CharField(
        label=gettext_lazy("Organisation"),
        required=False,
        max_length=200,
        help_text=gettext_lazy("Printed on the cover and in the head of each page."),
    )
    enterprise_managers = KnownRowsField(
        label=gettext_lazy("Enterprise Managers"),
        queryset=EnterpriseManager.objects.none(),
        required=False,
        help_text=gettext_lazy("None ticked means all."),
    )
    backup_servers = KnownRowsField(
        label=gettext_lazy("Backup servers"),
        queryset=BackupServer.objects.none(),
        required=False,
        help_text=gettext_lazy("None ticked means all."),
    )

    def __init__(self, *args: Any, reader: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer(self, reader)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "zone" in cleaned and not self.errors:
            cleaned["chosen_period"] = self._period(cleaned)
        return cleaned

    def _period(self, cleaned: dict[str, Any]) -> Period | None:
        name, first, last = cleaned["period"], cleaned["started_from"], cleaned["started_to"]
        if name and (first or last):
            self.add_error("period", _("Give either a name or the days, not both."))
        elif name:
            try:
                return named_period(name, cleaned["zone"])
            except PeriodUnreadable as failure:
                self.add_error("period", str(failure))
        elif not first or not last:
            self.add_error("period", _("Name the period, or give its first and last day."))
        elif first > last:
            self.add_error("started_to", _("The last day is before the first day."))
        else:
            return Period(first, last + timedelta(days=1), cleaned["zone"])
        return None

    def scope(self) -> RestoreSessionScope:
        """What was asked; only when the form is valid."""
        period: Period = self.cleaned_data["chosen_period"]
        return RestoreSessionScope(
            start=period.start_at,
            end=period.end_at,
            enterprise_managers=tuple(sorted(em.pk for em in self.cleaned_data["enterprise_managers"])),
            backup_servers=tuple(sorted(server.pk for server in self.cleaned_data["backup_servers"])),
        )


def _offer(form: forms.BaseForm, reader: User) -> None:
    """Let the reader choose among what the reader may see."""
    managers, servers = form.fields["enterprise_managers"], form.fields["backup_servers"]
    managers.queryset = EnterpriseManager.objects.visible_to(reader)  # type: ignore[attr-defined]
    servers.queryset = BackupServer.objects.visible_to(reader)  # type: ignore[attr-defined]


class ReportScheduleForm(forms.ModelForm):
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

    class Meta:
        model = ReportSchedule
        fields = [
            "name",
            "recipients",
            "organisation",
            "zone",
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
        _offer(self, reader)
        if self.instance.pk is None:
            self.initial.setdefault("zone", reader.zone)
        else:
            del self.fields["begin"]

    def save(self, commit: bool = True) -> ReportSchedule:
        if self.instance.pk is None:
            today = timezone.now().astimezone(zoneinfo.ZoneInfo(self.instance.zone)).date()
            back = 1 if self.cleaned_data["begin"] == self.AT_ONCE else 0
            self.instance.first_month = month_of(today, self.instance.zone, back=back).first
        return super().save(commit)
