"""The filters of the restore session list: from the address to a `RestoreSessionScope`.

A FilterSet in form, but it adds no conditions of its own: all querying goes through the scope, which the
list, the CSV and the PDF share.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import django_filters
from django import forms
from django.core.validators import MaxLengthValidator, MaxValueValidator, MinValueValidator
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Outcome,
    RestoreSession,
    RestoreSessionScope,
)
from restorereports.models.counts import distinct_values
from restorereports.models.period import Period, preset_period
from restorereports.models.restore_session import RestoreSessionQuerySet
from restorereports.wording import job_type_text, name_text

from .access import PersonRequest
from .choices import KnownRows
from .forms.policy import CLASSES, UNSET

DEFAULT_PERIOD = "30d"
CUSTOM = "custom"
PERIODS = [
    ("today", gettext_lazy("today")),
    ("7d", gettext_lazy("last 7 days")),
    ("30d", gettext_lazy("last 30 days")),
    ("90d", gettext_lazy("last 90 days")),
    ("365d", gettext_lazy("last 365 days")),
    ("this-month", gettext_lazy("this month")),
    ("last-month", gettext_lazy("last month")),
    ("this-quarter", gettext_lazy("this quarter")),
    ("last-quarter", gettext_lazy("last quarter")),
    ("all", gettext_lazy("all")),
    (CUSTOM, gettext_lazy("from … to …")),
]
_DAYS = [MinValueValidator(date(1970, 1, 1)), MaxValueValidator(date(2999, 12, 31))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chip:
    """One active filter in words; `query` is the address without it."""

    field: str
    label: str
    value: str
    query: str


class _Choices(django_filters.MultipleChoiceFilter):
    """Several of the values that the mirror has; a value it does not have is an error, not "all"."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.CheckboxSelectMultiple, **kwargs)


class _ModelsField(KnownRows, django_filters.fields.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return name_text(getattr(obj, "label", obj.name))


class _Models(django_filters.ModelMultipleChoiceFilter):
    field_class = _ModelsField

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.CheckboxSelectMultiple, **kwargs)


def _visible_managers(request: PersonRequest) -> Any:
    return EnterpriseManager.objects.visible_to(request.user)


def _visible_servers(request: PersonRequest) -> Any:
    return BackupServer.objects.visible_to(request.user).with_label(request.user)


class RestoreSessionFilter(django_filters.FilterSet):
    """Reads the address; `scope` is what it means. Only to be read when `is_valid()`."""

    period = django_filters.ChoiceFilter(
        label=gettext_lazy("Period"), choices=PERIODS, empty_label=None, null_label=None
    )
    started_from = django_filters.DateFilter(
        label=gettext_lazy("First day"), validators=_DAYS, widget=forms.DateInput({"type": "date"})
    )
    started_to = django_filters.DateFilter(
        label=gettext_lazy("Last day"), validators=_DAYS, widget=forms.DateInput({"type": "date"})
    )
    outcome = _Choices(label=gettext_lazy("Result"), choices=Outcome.choices)
    backup_server = _Models(label=gettext_lazy("Backup server"), queryset=_visible_servers)
    vm = django_filters.CharFilter(label=gettext_lazy("VM contains"), validators=[MaxLengthValidator(1000)])
    vm_exact = django_filters.CharFilter(
        label=gettext_lazy("VM is exactly"), validators=[MaxLengthValidator(1000)], strip=False
    )
    job_type = _Choices(label=gettext_lazy("Type"))
    state = _Choices(label=gettext_lazy("State"))
    session_class = _Choices(label=gettext_lazy("Class"), choices=CLASSES)
    enterprise_manager = _Models(label=gettext_lazy("Enterprise Manager"), queryset=_visible_managers)

    class Meta:
        model = RestoreSession
        fields: list[str] = []

    def __init__(self, data: QueryDict, *, request: PersonRequest, as_of: datetime) -> None:
        self.as_of = as_of
        visible = RestoreSession.objects.visible_to(request.user)
        self.address = data
        super().__init__(_with_period(data), queryset=visible, request=request)
        for field, word in (("job_type", job_type_text), ("state", name_text)):
            values = [value for value in distinct_values(visible, field) if value]
            self.filters[field].extra["choices"] = [(value, word(value)) for value in values]
        for field, example in (("vm", _("Contains")), ("vm_exact", _("Exactly"))):
            self.form.fields[field].widget.attrs |= {"placeholder": example}

    def filter_queryset(self, queryset: RestoreSessionQuerySet) -> RestoreSessionQuerySet:
        return self.scope.rows(self.request.user)

    def is_valid(self) -> bool:
        valid: bool = super().is_valid()
        if valid and self._first and self._last and self._first > self._last:
            self.form.add_error("started_to", _("The last day is before the first day."))
            return False
        return valid

    @property
    def _first(self) -> date | None:
        found: date | None = self.form.cleaned_data.get("started_from")
        return found

    @property
    def _last(self) -> date | None:
        found: date | None = self.form.cleaned_data.get("started_to")
        return found

    @property
    def zone(self) -> str:
        """The reader's zone, in which days begin."""
        return str(self.request.user.zone)

    @property
    def period_name(self) -> str:
        """The preset in force; days that are given win over it."""
        if self._first or self._last:
            return CUSTOM
        return self.form.cleaned_data.get("period") or DEFAULT_PERIOD

    @property
    def preset(self) -> Period | None:
        """The days of the preset; None for `all` and for days given by hand."""
        if self.period_name in (CUSTOM, "all"):
            return None
        return preset_period(self.period_name, as_of=self.as_of, zone=self.zone)

    @property
    def scope(self) -> RestoreSessionScope:
        """What the address means, half-open and in UTC."""
        chosen = self.form.cleaned_data
        start, end = self._bounds()
        return RestoreSessionScope(
            start=start,
            end=end,
            enterprise_managers=tuple(sorted(em.pk for em in chosen["enterprise_manager"])),
            backup_servers=tuple(sorted(server.pk for server in chosen["backup_server"])),
            vm=chosen["vm"],
            vm_exact=chosen["vm_exact"],
            outcomes=tuple(chosen["outcome"]),
            states=tuple(chosen["state"]),
            job_types=tuple(chosen["job_type"]),
            session_classes=tuple("" if one == UNSET else one for one in chosen["session_class"]),
        )

    def _bounds(self) -> tuple[datetime | None, datetime | None]:
        if self.period_name != CUSTOM:
            period = self.preset
            return (period.start_at, period.end_at) if period else (None, None)
        first, last = self._first, self._last
        one_day = timedelta(days=1)
        return (
            Period(first, first + one_day, self.zone).start_at if first else None,
            Period(last, last + one_day, self.zone).end_at if last else None,
        )

    @property
    def chips(self) -> list[Chip]:
        """The filters in force but `all`, in the order of the panel."""
        chosen = self.form.cleaned_data
        chips = []
        if self.period_name != "all":
            chips.append(self._chip("period", _("Period"), self._period_words(), period="all"))
        for field, words in (
            ("outcome", [str(Outcome(value).label) for value in chosen["outcome"]]),
            ("backup_server", [name_text(server.label) for server in chosen["backup_server"]]),
            ("vm", [_("contains “%s”") % name_text(chosen["vm"])] if chosen["vm"] else []),
            ("vm_exact", [_("is “%s”") % name_text(chosen["vm_exact"])] if chosen["vm_exact"] else []),
            ("job_type", [job_type_text(value) for value in chosen["job_type"]]),
            ("state", [name_text(value) for value in chosen["state"]]),
            ("session_class", [str(dict(CLASSES)[value]) for value in chosen["session_class"]]),
            ("enterprise_manager", [name_text(em.name) for em in chosen["enterprise_manager"]]),
        ):
            if words:
                label = _("VM") if field.startswith("vm") else str(self.filters[field].label)
                chips.append(self._chip(field, label, _shortened(words)))
        return chips

    def _chip(self, field: str, label: str, value: str, **instead: str) -> Chip:
        without = self._query()
        for name in ("period", "started_from", "started_to") if field == "period" else (field,):
            without.pop(name, None)
        for name, replacement in instead.items():
            without[name] = replacement
        return Chip(field=field, label=label, value=value, query=f"?{without.urlencode()}")

    def query_with(self, **values: str) -> str:
        """The address with these filters instead of what they were."""
        query = self._query()
        for name, value in values.items():
            query[name] = value
        return f"?{query.urlencode()}"

    @property
    def query_of_period(self) -> str:
        """The address with the period alone."""
        query = self._query()
        for name in set(query) - {"period", "started_from", "started_to"}:
            del query[name]
        return f"?{query.urlencode()}"

    def _query(self) -> QueryDict:
        query: QueryDict = self.address.copy()
        query.pop("cursor", None)
        for name in [name for name in query if not any(query.getlist(name))]:
            del query[name]
        return query

    def _period_words(self) -> str:
        if self.period_name != CUSTOM:
            label = str(dict(PERIODS)[self.period_name])
            period = self.preset
            if period is None or period.days == 1:
                return label
            if self.period_name.endswith("d") or self.period_name.startswith("this"):
                return _("%(label)s, since %(day)s") % {"label": label, "day": period.first}
            return f"{label}, {_days(period.first, period.last)}"
        if self._first and self._last:
            return _days(self._first, self._last)
        if self._first:
            return _("since %s") % self._first
        return _("until %s") % self._last


def _with_period(address: QueryDict) -> QueryDict:
    """The address with the period that holds where it names none, so that the form shows it."""
    data = address.copy()
    if data.get("started_from") or data.get("started_to"):
        if not data.get("period") or data["period"] in dict(PERIODS):
            data["period"] = CUSTOM
    elif not data.get("period"):
        data["period"] = DEFAULT_PERIOD
    return data


def _days(first: date, last: date) -> str:
    return _("%(first)s to %(last)s") % {"first": first, "last": last}


def _shortened(words: list[str]) -> str:
    """`a, b, c + 2`."""
    shown = ", ".join(words[:3])
    return f"{shown} + {len(words) - 3}" if len(words) > 3 else shown
