"""Several rows chosen by id: an id no database knows is an error of the form, not of the page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

LARGEST_ID = 2**63 - 1


class KnownRows:
    """For fields of several rows: refuses ids that no database column holds before they are looked up."""

    def _check_values(self, value: Any) -> Any:
        for text in value:
            if not (str(text).isascii() and str(text).isdecimal() and int(str(text)[:20]) <= LARGEST_ID):
                raise ValidationError(
                    self.error_messages["invalid_choice"],  # type: ignore[attr-defined]
                    code="invalid_choice",
                    params={"value": text},
                )
        return super()._check_values(value)  # type: ignore[misc]


class KnownRowsField(KnownRows, forms.ModelMultipleChoiceField):
    """Checkboxes, one a row."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.CheckboxSelectMultiple, **kwargs)
