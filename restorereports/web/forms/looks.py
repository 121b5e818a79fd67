"""How a report is printed and for whom: fields that a report and a schedule share."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from restorereports.models import Logo, Policy
from restorereports.models.report import Looks
from restorereports.wording import name_text

from ..logos import LogoRefused, keep_logo


class PolicyField(forms.ModelChoiceField):
    """A policy in force, with the version that a report would use."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(queryset=Policy.objects.none(), required=False, **kwargs)

    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.latest} {name_text(obj.name)}"


class LooksForm(forms.Form):
    """For forms to inherit; `looks` says what was chosen."""

    language = forms.ChoiceField(
        label=gettext_lazy("Language"), choices=Looks.Language.choices, required=False
    )
    paper = forms.ChoiceField(label=gettext_lazy("Paper"), choices=Looks.Paper.choices, required=False)
    classification = forms.CharField(
        label=gettext_lazy("Classification"),
        required=False,
        max_length=60,
        help_text=gettext_lazy("In the head of each page, such as Confidential."),
    )
    distribution = forms.CharField(
        label=gettext_lazy("Distribution list"),
        required=False,
        max_length=500,
        help_text=gettext_lazy("Printed on the cover: for whom this is."),
    )
    logo_file = forms.FileField(
        label=gettext_lazy("Logo"),
        required=False,
        help_text=gettext_lazy("PNG or JPEG, at most 500 KB; printed on the cover."),
        widget=forms.FileInput({"accept": "image/png,image/jpeg"}),
    )

    kept_logo: Logo | None = None

    def clean_language(self) -> str:
        return self.cleaned_data["language"] or Looks.Language.ENGLISH.value

    def clean_paper(self) -> str:
        return self.cleaned_data["paper"] or Looks.Paper.A4.value

    def clean_logo_file(self) -> Any:
        file = self.cleaned_data["logo_file"]
        if file:
            try:
                self.kept_logo = keep_logo(file)
            except LogoRefused as refused:
                raise forms.ValidationError(str(refused)) from None
        return file
