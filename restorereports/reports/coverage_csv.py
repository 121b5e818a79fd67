"""Every VM in scope with its verdict, as CSV: what the printed table cuts off, and what an auditor recounts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, cast

from restorereports.policies.coverage import Coverage
from restorereports.policies.lines import VmLine

from .sessions_csv import Line, defused

COLUMNS: Final = (
    "policy",
    "policy_version",
    "at",
    "zone",
    "tier",
    "verdict",
    "vm_name",
    "backup_server",
    "last_qualifying_at",
    "last_qualifying_type",
    "last_qualifying_uid",
    "age_days",
    "due",
    "first_protected_at",
    "owner",
    "label",
    "exemption_reason",
    "exemption_approved_by",
    "exemption_ends_at",
)


def lines(covered: Coverage, *, spreadsheet_safe: bool = False) -> Iterator[str]:
    """The header, then a line a VM, the worst first, each ending in a line feed. Times are UTC, `due` is the zone's.

    `spreadsheet_safe` puts an apostrophe before cells that a spreadsheet would run as a formula.
    """
    writer = csv.writer(Line(), lineterminator="\r\n")
    yield cast(str, writer.writerow(COLUMNS))
    head = (covered.policy, str(covered.version), _time(covered.at), covered.zone)
    for line in covered.lines:
        cells = [*head, *_cells(line)]
        yield cast(str, writer.writerow(defused(cells) if spreadsheet_safe else cells))


def _cells(line: VmLine) -> Sequence[str]:
    return (
        line.tier,
        line.verdict.value,
        line.name,
        line.backup_server,
        _time(line.last_at),
        line.last_type,
        line.last_uid,
        "" if line.age_days is None else str(line.age_days),
        line.due.isoformat() if line.due else "",
        _time(line.first_protected_at),
        line.owner,
        line.label,
        line.exempt_reason,
        line.exempt_approver,
        _time(line.exempt_until),
    )


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else ""
