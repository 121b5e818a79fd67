"""The filter of a report in words, field by field."""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.utils.translation import gettext as _

from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Limited,
    Outcome,
    Reader,
    RestoreSessionScope,
    SessionClass,
    User,
)

MOST_NAMES = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """One field that the scope narrows; `rest` names more are meant than are printed."""

    label: str
    values: tuple[str, ...]
    rest: int = 0


def filters_of(scope: RestoreSessionScope, *, reader: Reader) -> tuple[Filter, ...]:
    """What narrows the scope beside its period, first what the person who asks may see; empty when nothing does."""
    granted = BackupServer.objects.none()
    if (isinstance(reader, User) and not reader.granted.everything) or (
        isinstance(reader, Limited) and reader.of_person
    ):
        granted = BackupServer.objects.visible_to(reader)
    managers = EnterpriseManager.objects.visible_to(reader).filter(pk__in=scope.enterprise_managers)
    servers = BackupServer.objects.visible_to(reader).filter(pk__in=scope.backup_servers)
    wanted = (
        (_("Only what was granted"), list(granted.order_by("name", "pk").values_list("name", flat=True))),
        (_("Enterprise Manager"), list(managers.order_by("name").values_list("name", flat=True))),
        (_("Backup server"), list(servers.order_by("name", "pk").values_list("name", flat=True))),
        (_("VM name contains"), [scope.vm] if scope.vm else []),
        (_("VM name is"), [scope.vm_exact] if scope.vm_exact else []),
        (_("Outcome"), [str(Outcome(value).label) for value in scope.outcomes]),
        (_("Result in EM’s word"), [value or _("(empty)") for value in scope.results]),
        (_("State in EM’s word"), list(scope.states)),
        (_("Type in EM’s word"), [value or _("(empty)") for value in scope.job_types]),
        (_("Class"), [str(SessionClass(value).label) for value in scope.session_classes]),
    )
    return tuple(
        Filter(label=label, values=tuple(values[:MOST_NAMES]), rest=max(len(values) - MOST_NAMES, 0))
        for label, values in wanted
        if values
    )


def machine_form(scope: RestoreSessionScope) -> str:
    """The scope as canonical JSON; ids are those of this installation's database."""
    return json.dumps(scope.as_json(), sort_keys=True, separators=(", ", ": "), ensure_ascii=False)
