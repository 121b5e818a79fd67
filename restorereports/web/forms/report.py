"""Asking for a report."""

from __future__ import annotations

import zoneinfo
from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Logo,
    Policy,
    Report,
    RestoreSessionScope,
    User,
)
from restorereports.models.account import validate_zone
from restorereports.models.period import Period, PeriodUnreadable, named_period, preset_period

from ..choices import KnownRowsField
from ..scope_words import period_words
from .looks import LooksForm, PolicyField

_DAYS = [MinValueValidator(date(1970, 1, 1)), MaxValueValidator(date(2999, 12, 31))]


PRESETS = [
    ("", gettext_lazy("as given below")),
    ("last-month", gettext_lazy("last month")),
    ("last-quarter", gettext_lazy("last quarter")),
    ("last-year", gettext_lazy("last year")),
]


class SupersededField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        scope = obj.restore_session_scope()
        return f"{obj}, {period_words(scope, obj.zone)}"


class ReportForm(LooksForm):
    """A period by preset, by name or by its days; what to leave in; by which policy; how it looks and what it is."""

    preset = forms.ChoiceField(label=gettext_lazy("Period"), choices=PRESETS, required=False)
    period = forms.CharField(
        label=gettext_lazy("or by name"),
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

    policy = PolicyField(
        label=gettext_lazy("Policy"),
        empty_label=gettext_lazy("none: figures without a verdict"),
        help_text=gettext_lazy("The version in force now; the report names it."),
    )
    stage = forms.ChoiceField(
        label=gettext_lazy("Stage"),
        choices=[
            (Report.Stage.DRAFT.value, gettext_lazy("DRAFT: to look at")),
            (Report.Stage.FINAL.value, gettext_lazy("FINAL: into the register, never rendered again")),
        ],
        required=False,
    )
    supersedes = SupersededField(
        label=gettext_lazy("Takes the place of"),
        queryset=Report.objects.none(),
        required=False,
        empty_label=gettext_lazy("no other report"),
        help_text=gettext_lazy("A correction is a new FINAL report that names the one it supersedes."),
    )
    logo = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)

    def __init__(self, *args: Any, reader: User, as_of: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._as_of = as_of
        offer(self, reader)
        self.fields["policy"].queryset = Policy.objects.filter(retired_at=None)  # type: ignore[attr-defined]
        self.fields["supersedes"].queryset = _own_finals(reader)  # type: ignore[attr-defined]

    def clean_logo(self) -> str:
        """What the page before kept: known by its whole hash alone."""
        sha256: str = self.cleaned_data["logo"]
        if sha256 and self.kept_logo is None:
            self.kept_logo = Logo.objects.filter(sha256=sha256).first()
        return sha256

    def clean_stage(self) -> str:
        return self.cleaned_data["stage"] or Report.Stage.DRAFT.value

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if "zone" in cleaned and not self.errors:
            cleaned["chosen_period"] = self._period(cleaned)
        if cleaned.get("supersedes") and cleaned.get("stage") != Report.Stage.FINAL:
            self.add_error("supersedes", _("Only a FINAL report takes the place of another one."))
        return cleaned

    def _period(self, cleaned: dict[str, Any]) -> Period | None:
        name, first, last = cleaned["period"], cleaned["started_from"], cleaned["started_to"]
        if preset := cleaned["preset"]:
            if name or first or last:
                self.add_error("preset", _("Choose a period here, or give it below; not both."))
                return None
            return _preset(preset, as_of=self._as_of, zone=cleaned["zone"])
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


def _preset(name: str, *, as_of: datetime, zone: str) -> Period | None:
    if name == "last-year":
        return named_period(str(as_of.astimezone(zoneinfo.ZoneInfo(zone)).year - 1), zone)
    return preset_period(name, as_of=as_of, zone=zone)


def _own_finals(reader: User) -> Any:
    """FINAL reports that nobody superseded: one's own, for who sees everything all."""
    free = Q(superseded_by=None) | Q(superseded_by__status=Report.Status.FAILED)
    finals = Report.objects.visible_to(reader).filter(
        free, stage=Report.Stage.FINAL, status=Report.Status.READY
    )
    return finals if reader.granted.everything else finals.filter(requested_by=reader)


def offer(form: forms.BaseForm, reader: User) -> None:
    """Let the reader choose among what the reader may see."""
    managers, servers = form.fields["enterprise_managers"], form.fields["backup_servers"]
    managers.queryset = EnterpriseManager.objects.visible_to(reader)  # type: ignore[attr-defined]
    servers.queryset = BackupServer.objects.visible_to(reader)  # type: ignore[attr-defined]
