"""What somebody shall see, as checkboxes: everything, Enterprise Managers, backup servers."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from restorereports.models import BackupServer, EnterpriseManager, User
from restorereports.sign_in.people import Sees

from ..choices import KnownRowsField


class ServersField(KnownRowsField):
    """Two backup servers of one name are told apart by the Enterprise Manager behind it."""

    def label_from_instance(self, obj: Any) -> str:
        return str(obj.label)


class SeesForm(forms.Form):
    """For forms to inherit; `offer` fills in what there is."""

    everything = forms.BooleanField(
        label=gettext_lazy("Everything, now and later"),
        required=False,
    )
    enterprise_managers = KnownRowsField(
        label=gettext_lazy("Enterprise Managers"),
        queryset=EnterpriseManager.objects.none(),
        required=False,
        help_text=gettext_lazy("With every backup server that they show, now and later."),
    )
    backup_servers = ServersField(
        label=gettext_lazy("Backup servers"),
        queryset=BackupServer.objects.none(),
        required=False,
        help_text=gettext_lazy(
            "Each with its restore sessions and VMs, whichever Enterprise Manager shows it."
        ),
    )

    def offer(self, reader: User, sees: Sees) -> None:
        """Let the reader, an administrator, choose among all; what was granted is ticked."""
        managers, servers = self.fields["enterprise_managers"], self.fields["backup_servers"]
        managers.queryset = EnterpriseManager.objects.visible_to(reader).order_by("name")  # type: ignore[attr-defined]
        servers.queryset = BackupServer.objects.visible_to(reader).with_label(reader)  # type: ignore[attr-defined]
        self.initial["everything"] = sees.everything
        self.initial["enterprise_managers"] = sees.enterprise_managers
        self.initial["backup_servers"] = sees.backup_servers

    def sees(self) -> Sees:
        """What was ticked; only when the form is valid."""
        return Sees(
            everything=self.cleaned_data["everything"],
            enterprise_managers=frozenset(row.pk for row in self.cleaned_data["enterprise_managers"]),
            backup_servers=frozenset(row.pk for row in self.cleaned_data["backup_servers"]),
        )
