"""Which restore sessions are meant: one description for list, CSV, PDF and command line."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from .account import Reader
from .backup_server import BackupServerSource
from .restore_session import RestoreSession, RestoreSessionQuerySet

NONE_OF_THEM = (-1,)


@dataclass(frozen=True, kw_only=True, slots=True)
class RestoreSessionScope:
    """Period [start, end) in UTC and filters; an empty filter means all.

    `results` are EM's raw words; "" among the classes is unset.
    """

    start: datetime | None = None
    end: datetime | None = None
    enterprise_managers: tuple[int, ...] = ()
    backup_servers: tuple[int, ...] = ()
    vm: str = ""
    vm_exact: str = ""
    outcomes: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    job_types: tuple[str, ...] = ()
    session_classes: tuple[str, ...] = ()

    @property
    def by_outcome(self) -> bool:
        """Whether single restore sessions of a VM are left out for what they are or how they ended."""
        return bool(self.outcomes or self.results or self.states or self.job_types or self.session_classes)

    def rows(self, reader: Reader) -> RestoreSessionQuerySet:
        """The restore sessions this reader may see within the scope, in no order."""
        return self.narrow(RestoreSession.objects.visible_to(reader).started_in(self.start, self.end))

    def servers_for(self, reader: Reader) -> tuple[int, ...]:
        """The backup servers of which alone something may be said to this reader; empty means all.

        Somebody who was granted a part is told of that part; where nothing is left, of one that does not exist.
        """
        granted = reader.granted
        if granted.everything:
            return self.backup_servers
        seen = granted.servers & set(self.backup_servers) if self.backup_servers else granted.servers
        if self.enterprise_managers:
            shown = BackupServerSource.objects.filter(enterprise_manager__in=self.enterprise_managers)
            seen &= set(shown.values_list("backup_server", flat=True))
        return tuple(sorted(seen)) or NONE_OF_THEM

    def narrow(self, rows: RestoreSessionQuerySet) -> RestoreSessionQuerySet:
        """The filters without the period."""
        if self.enterprise_managers:
            rows = rows.from_enterprise_managers(self.enterprise_managers)
        if self.vm:
            rows = rows.with_vm_containing(self.vm)
        if self.vm_exact:
            rows = rows.with_vm_named(self.vm_exact)
        exact = {
            "backup_server__in": self.backup_servers,
            "outcome__in": self.outcomes,
            "result__in": self.results,
            "state__in": self.states,
            "job_type__in": self.job_types,
            "session_class__in": self.session_classes,
        }
        return rows.filter(**{field: values for field, values in exact.items() if values})

    def as_json(self) -> dict[str, Any]:
        """Plain values for a JSON field; `from_json` reads them back."""
        plain = dataclasses.asdict(self)
        return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in plain.items() if v}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> Self:
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        for bound in ("start", "end"):
            if bound in values:
                values[bound] = datetime.fromisoformat(values[bound])
        return cls(**values)
