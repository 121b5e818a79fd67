"""The filters of the coverage page: from the address to the lines that are left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy

from restorereports.policies.coverage import Coverage
from restorereports.policies.lines import VmLine
from restorereports.policies.verdicts import VmVerdict

FIELDS = ("verdict", "tier", "server", "vm")
NO_SERVER = "-"  # machines of the list that no backup server is named for


class CoverageFilter(forms.Form):
    """Choices are what the lines have, so that a reader is offered nothing that he may not see."""

    verdict = forms.MultipleChoiceField(
        label=gettext_lazy("Verdict"),
        choices=VmVerdict.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    tier = forms.MultipleChoiceField(
        label=gettext_lazy("Tier"), required=False, widget=forms.CheckboxSelectMultiple
    )
    server = forms.MultipleChoiceField(
        label=gettext_lazy("Backup server"), required=False, widget=forms.CheckboxSelectMultiple
    )
    vm = forms.CharField(
        label=gettext_lazy("VM contains"), required=False, max_length=1000, empty_value="", strip=True
    )

    def __init__(self, data: QueryDict, covered: Coverage) -> None:
        super().__init__(data)
        self._lines = covered.lines
        self._address = data
        servers = sorted({line.backup_server for line in covered.lines}, key=str.casefold)
        choices: Any = [(name or NO_SERVER, name or NO_SERVER) for name in servers]
        self.fields["tier"].choices = [(tier.name, tier.name) for tier in covered.tiers]  # type: ignore[attr-defined]
        self.fields["server"].choices = choices  # type: ignore[attr-defined]

    @property
    def lines(self) -> Sequence[VmLine]:
        """Those that are left, in their order; only when the form is valid."""
        chosen = self.cleaned_data
        text = chosen["vm"].casefold()
        return [
            line
            for line in self._lines
            if (not chosen["verdict"] or line.verdict in chosen["verdict"])
            and (not chosen["tier"] or line.tier in chosen["tier"])
            and (not chosen["server"] or (line.backup_server or NO_SERVER) in chosen["server"])
            and text in line.name.casefold()
        ]

    @property
    def active(self) -> int:
        """How many fields narrow the list."""
        return sum(1 for name in FIELDS if self.cleaned_data.get(name))

    def query_with(self, **values: Any) -> str:
        """The address of this policy with these filters and no others."""
        query = QueryDict(mutable=True)
        if policy := self._address.get("policy"):
            query["policy"] = policy
        for name, value in values.items():
            query.setlist(name, value if isinstance(value, list) else [value])
        return f"?{query.urlencode()}#vms"
