"""What the members of a group of the identity provider become."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from restorereports.models import GroupRule, User
from restorereports.sign_in.group_rules import sees_of_rule

from .granted import SeesForm


class GroupForm(SeesForm, forms.ModelForm):
    class Meta:
        model = GroupRule
        fields = ["group", "role"]
        help_texts = {
            "group": gettext_lazy("Exactly as the identity provider names it in its claim of groups."),
        }
        widgets = {"group": forms.TextInput({"autocomplete": "off", "spellcheck": "false"})}

    def __init__(self, *args: Any, reader: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer(reader, sees_of_rule(self.instance))
