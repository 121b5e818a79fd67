"""What a policy says, as fields and a table of tiers; a row more without script, a machine list as CSV."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import Policy, RestoreSession, SessionClass, User
from restorereports.models.counts import distinct_values
from restorereports.policies.machines import LARGEST_FILE, MachinesRefused, read_machines
from restorereports.policies.rule_lines import RuleUnreadable, read_rule_lines, write_rule_lines
from restorereports.policies.terms import (
    LONGEST_WINDOW,
    MOST_TIERS,
    WHOLE_VM,
    Machine,
    Rule,
    Terms,
    TermsError,
    Tier,
    check,
)
from restorereports.wording import job_type_text

from .gap import PlainText

UNSET: Final = "unset"  # in forms and addresses, where the empty word means nothing chosen
CLASSES: Final = [
    (SessionClass.TEST.value, SessionClass.TEST.label),
    (SessionClass.REAL.value, SessionClass.REAL.label),
    (UNSET, SessionClass.UNSET.label),
]
_NUMBERS: Final = ("grace_days", "due_soon_days", "success_target", "rto_target", "follow_up_days")
_RULES_HINT: Final = gettext_lazy(
    "One rule a line: a pattern for VM names such as payroll-*, or name: …; server: …; label: … of which all must fit."
)


class RuleLines(PlainText):
    """Lines that become rules."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=50_000, **kwargs)

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        try:
            return read_rule_lines(text)
        except RuleUnreadable as failure:
            raise forms.ValidationError(str(failure)) from None


def _days(label: Any, help_text: Any = "", *, least: int = 0, most: int = 365, required: bool = True) -> Any:
    return forms.IntegerField(
        label=label, help_text=help_text, min_value=least, max_value=most, required=required
    )


class TierForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Tier"), max_length=60)
    window_days = _days(gettext_lazy("Window, days"), least=1, most=LONGEST_WINDOW)
    target = _days(gettext_lazy("Target, %"), least=1, most=100)
    rto_minutes = _days(gettext_lazy("RTO, minutes"), least=1, most=60 * 24 * 30, required=False)
    rules = RuleLines(label=gettext_lazy("Rules"), widget=forms.Textarea({"rows": 2, "spellcheck": "false"}))

    def tier(self) -> Tier:
        fields = {field.name for field in dataclasses.fields(Tier)}
        return Tier(**{name: value for name, value in self.cleaned_data.items() if name in fields})


TierFormSet = forms.formset_factory(
    TierForm, extra=0, can_order=True, can_delete=True, max_num=MOST_TIERS, absolute_max=MOST_TIERS + 1
)


class PolicyForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=100)
    other_tier = forms.CharField(
        label=gettext_lazy("Tier for all other VMs"),
        max_length=60,
        required=False,
        help_text=gettext_lazy("The name of a tier above. Empty: VMs that fit no rule are counted apart."),
    )
    exclude = RuleLines(
        label=gettext_lazy("Out of scope"),
        help_text=_RULES_HINT,
        widget=forms.Textarea({"rows": 3, "spellcheck": "false"}),
    )
    job_types = forms.MultipleChoiceField(
        label=gettext_lazy("Types that count as a restore test"), widget=forms.CheckboxSelectMultiple
    )
    classes = forms.MultipleChoiceField(
        label=gettext_lazy("Classes that count"), choices=CLASSES, widget=forms.CheckboxSelectMultiple
    )
    warning_passes = forms.BooleanField(
        label=gettext_lazy("A Warning passes once somebody acknowledged it with a note"), required=False
    )
    content_checked = forms.BooleanField(
        label=gettext_lazy("It counts only with a note that the content was checked"), required=False
    )
    grace_days = _days(
        gettext_lazy("Grace for new VMs, days"), gettext_lazy("So long a VM without a test is New.")
    )
    due_soon_days = _days(
        gettext_lazy("Due soon, days"), gettext_lazy("So long before its due date a VM is Due soon.")
    )
    success_target = _days(
        gettext_lazy("Success rate, %"),
        gettext_lazy("Empty: not judged."),
        least=1,
        most=100,
        required=False,
    )
    rto_target = _days(
        gettext_lazy("Restores within the RTO, %"),
        gettext_lazy("Empty: not judged."),
        least=1,
        most=100,
        required=False,
    )
    follow_up_days = _days(
        gettext_lazy("Acknowledge what failed within, days"),
        gettext_lazy("Empty: not judged."),
        least=1,
        required=False,
    )
    controls = PlainText(
        label=gettext_lazy("Controls this supports"),
        required=False,
        max_length=5000,
        help_text=gettext_lazy("One a line, such as CIS v8.1 11.5. Printed in reports."),
        widget=forms.Textarea({"rows": 4, "spellcheck": "false"}),
    )
    machines_csv = forms.FileField(
        label=gettext_lazy("Machine list, CSV"),
        required=False,
        help_text=gettext_lazy(
            "Columns name, backup_server, tier, owner, label. It takes the place of the present list."
        ),
        widget=forms.FileInput({"accept": ".csv,text/csv"}),
    )
    drop_machines = forms.BooleanField(label=gettext_lazy("Take the present list away"), required=False)
    note = PlainText(
        label=gettext_lazy("Why"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy("Kept with the version."),
        widget=forms.Textarea({"rows": 2}),
    )

    def __init__(
        self,
        data: Any = None,
        files: Any = None,
        *,
        reader: User,
        base: Terms,
        policy: Policy | None,
        **more: Any,
    ) -> None:
        super().__init__(data, files, **more)
        self._policy, self._base = policy, base
        seen = distinct_values(RestoreSession.objects.visible_to(reader), "job_type")
        types = dict.fromkeys((WHOLE_VM, "FileLevelRestore", *base.job_types, *filter(None, seen)))
        self.fields["job_types"].choices = [(one, job_type_text(one)) for one in types]  # type: ignore[attr-defined]
        if not base.machines:
            del self.fields["drop_machines"]

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        others = Policy.objects.exclude(pk=self._policy.pk) if self._policy else Policy.objects.all()
        if others.filter(name=name).exists():
            raise forms.ValidationError(_("Another policy bears this name already."))
        return name

    def clean_controls(self) -> tuple[str, ...]:
        return tuple(line.strip() for line in self.cleaned_data["controls"].split("\n") if line.strip())

    def clean_machines_csv(self) -> UploadedFile | None:
        file: UploadedFile | None = self.cleaned_data["machines_csv"]
        if file and (file.size or 0) > LARGEST_FILE:
            raise forms.ValidationError(_("The file is larger than 8 MB."))
        return file

    def machines(self, tiers: Sequence[str]) -> tuple[Machine, ...]:
        """Those of the file, or those that stand; the reason for each bad line is an error of the field."""
        file = self.cleaned_data.get("machines_csv")
        if not file:
            return () if self.cleaned_data.get("drop_machines") else self._base.machines
        try:
            return read_machines(file.read(), tiers)
        except MachinesRefused as refused:
            self.add_error("machines_csv", [forms.ValidationError(said) for said in refused.sentences()])
            return ()


class PolicyForms:
    """Form and table of tiers as one. Read `terms` only when `is_valid()`."""

    def __init__(self, form: PolicyForm, tiers: Any, base: Terms) -> None:
        self.form, self.tiers, self._base = form, tiers, base
        self.terms = base

    @classmethod
    def showing(
        cls, terms: Terms, *, name: str, note: str, reader: User, policy: Policy | None
    ) -> PolicyForms:
        """Filled in with these terms."""
        form = PolicyForm(reader=reader, base=terms, policy=policy, initial=_initial(terms, name, note))
        return cls(
            form, TierFormSet(initial=[_initial_tier(tier) for tier in terms.tiers], prefix="tier"), terms
        )

    @classmethod
    def sent(cls, request: Any, base: Terms, policy: Policy | None) -> PolicyForms:
        form = PolicyForm(request.POST, request.FILES, reader=request.user, base=base, policy=policy)
        return cls(form, TierFormSet(request.POST, prefix="tier"), base)

    @classmethod
    def with_a_row_more(cls, request: Any, base: Terms, policy: Policy | None) -> PolicyForms:
        """As it was typed, unchecked, with an empty tier at the end."""
        typed = {name: _typed(request.POST, name) for name in PolicyForm.base_fields}
        form = PolicyForm(reader=request.user, base=base, policy=policy, initial=typed)
        rows = [*_typed_tiers(request.POST), {}]
        return cls(form, TierFormSet(initial=rows[:MOST_TIERS], prefix="tier"), base)

    def is_valid(self) -> bool:
        if not (self.form.is_valid() & self.tiers.is_valid()):
            return False
        tiers = tuple(form.tier() for form in self.tiers.ordered_forms)
        values = self.form.cleaned_data
        self.terms = dataclasses.replace(
            self._base,
            tiers=tiers,
            machines=self.form.machines([tier.name for tier in tiers]),
            exclude=values["exclude"],
            controls=values["controls"],
            other_tier=values["other_tier"],
            job_types=tuple(values["job_types"]),
            classes=tuple("" if one == UNSET else one for one in values["classes"]),
            warning_passes=values["warning_passes"],
            content_checked=values["content_checked"],
            **{name: values[name] for name in _NUMBERS},
        )
        try:
            check(self.terms)
        except TermsError as failure:
            self.form.add_error(None, str(failure))
        return self.form.is_valid()


def _initial(terms: Terms, name: str, note: str) -> dict[str, Any]:
    return {
        "name": name,
        "note": note,
        "other_tier": terms.other_tier,
        "exclude": write_rule_lines(terms.exclude),
        "job_types": terms.job_types,
        "classes": [one or UNSET for one in terms.classes],
        "warning_passes": terms.warning_passes,
        "content_checked": terms.content_checked,
        "controls": "\n".join(terms.controls),
        **{field: getattr(terms, field) for field in _NUMBERS},
    }


def _initial_tier(tier: Tier) -> dict[str, Any]:
    rules: tuple[Rule, ...] = tier.rules
    return {
        "name": tier.name,
        "window_days": tier.window_days,
        "target": tier.target,
        "rto_minutes": tier.rto_minutes,
        "rules": write_rule_lines(rules),
    }


def _typed(data: QueryDict, name: str) -> Any:
    return data.getlist(name) if name in ("job_types", "classes") else data.get(name)


def _typed_tiers(data: QueryDict) -> list[Mapping[str, Any]]:
    """The rows of the table in the order that was typed, without those ticked away."""
    text = data.get("tier-TOTAL_FORMS", "")
    count = min(int(text), MOST_TIERS) if text.isascii() and text.isdecimal() else 0
    rows = []
    for number in range(count):
        row = {name: data.get(f"tier-{number}-{name}", "") for name in TierForm.base_fields}
        order = data.get(f"tier-{number}-ORDER", "")
        place = int(order[:9]) if order.isascii() and order.isdecimal() else number + 1
        if not data.get(f"tier-{number}-DELETE"):
            rows.append((place, number, row))
    return [row for _place, _number, row in sorted(rows, key=lambda one: one[:2])]
