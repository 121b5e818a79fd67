"""What each column of the attached files means, for the appendix of a report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from . import coverage_csv, sessions_csv

_SESSIONS: Final[dict[str, str | Promise]] = {
    "enterprise_manager": _("Enterprise Managers that show the restore session, by name"),
    "backup_server": _("backup server, as EM names it"),
    "vm_name": _("VM, as EM names it"),
    "name": _("EM’s name of the restore session"),
    "job_type": _("EM’s word for the type, such as RestoreVm"),
    "state": _("EM’s word for the state, such as Stopped"),
    "result": _("EM’s word for the result; empty where it gave none"),
    "progress": _("EM’s progress in percent"),
    "started_at": _("creation time in UTC"),
    "ended_at": _("end in UTC; empty while it runs or where EM gave none"),
    "duration_seconds": _("end minus creation in seconds, milliseconds behind the point"),
    "restore_point_name": _("restore point from which was restored"),
    "uid": _("EM’s id of the restore session"),
    "session_class": _("test, real, or empty for unset; ours, not EM’s"),
}
_COVERAGE: Final[dict[str, str | Promise]] = {
    "policy": _("number of the policy"),
    "policy_version": _("version of the policy"),
    "at": _("moment of the verdicts in UTC"),
    "zone": _("time zone in which days are counted"),
    "tier": _("tier of the policy"),
    "verdict": _("overdue, never, inconclusive, due_soon, met, new or exempt"),
    "vm_name": _("VM, as EM names it"),
    "backup_server": _("backup server, as EM names it"),
    "last_qualifying_at": _("start of the latest qualifying restore session, in UTC"),
    "last_qualifying_type": _("its type in EM’s word"),
    "last_qualifying_uid": _("EM’s id of it"),
    "age_days": _("whole calendar days of the zone from it to the moment"),
    "due": _("last day of the zone on which it still counts"),
    "first_protected_at": _("creation of the oldest restore point seen, in UTC"),
    "owner": _("owner according to the policy’s machine list"),
    "label": _("label according to the policy’s machine list"),
    "exemption_reason": _("why it is exempt"),
    "exemption_approved_by": _("who approved the exemption"),
    "exemption_ends_at": _("when the exemption ends, in UTC"),
}


@dataclass(frozen=True, slots=True)
class File:
    """An attached CSV: each column with its meaning, in the file's order."""

    name: str
    columns: tuple[tuple[str, str], ...]


def files(*, with_policy: bool) -> list[File]:
    """sessions.csv, and with a policy coverage.csv; KeyError for a column that nobody explained."""
    found = [_file("sessions.csv", sessions_csv.COLUMNS, _SESSIONS)]
    if with_policy:
        found.append(_file("coverage.csv", coverage_csv.COLUMNS, _COVERAGE))
    return found


def _file(name: str, columns: tuple[str, ...], meanings: dict[str, str | Promise]) -> File:
    return File(name, tuple((column, str(meanings[column])) for column in columns))
