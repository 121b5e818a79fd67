"""What an export must hold, taken from what the stand-in EM holds: the same rows by another way."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from restorereports.emulator.records import RestoreSessionRecord

Row = dict[str, str]


def rows_of(records: Iterable[RestoreSessionRecord], enterprise_manager: str) -> list[Row]:
    """The CSV's rows for these records, in its order: by start, then as they were added."""
    return [row_of(record, enterprise_manager) for record in records]


def row_of(record: RestoreSessionRecord, enterprise_manager: str) -> Row:
    ended = record.ended_at if record.state == "Stopped" else None
    if ended is not None and ended.year < 1980:
        ended = None
    return {
        "enterprise_manager": enterprise_manager,
        "backup_server": record.backup_server_name,
        "vm_name": record.vm_name or "",
        "name": record.name,
        "job_type": record.job_type or "",
        "state": record.state or "",
        "result": record.result or "None",
        "progress": "" if record.progress is None else str(record.progress),
        "started_at": _utc(record.created_at),
        "ended_at": _utc(ended),
        "duration_seconds": _duration(record.created_at, ended),
        "restore_point_name": record.restore_point_name or "",
        "uid": record.uid,
        "session_class": "",  # no rules were made
    }


def _cut(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(microsecond=at.microsecond // 1000 * 1000)


def _utc(at: datetime | None) -> str:
    return "" if at is None else _cut(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _duration(start: datetime, end: datetime | None) -> str:
    if end is None or _cut(end) < _cut(start):
        return ""
    return f"{(_cut(end) - _cut(start)) / timedelta(seconds=1):.3f}"
