"""Changes made by hand (by tests): rows added, changed and removed on a backup server, seen at the next collection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from restorereports.emulator.draws import draw, guid
from restorereports.emulator.records import BackupServerRecord, RestorePointRecord, RestoreSessionRecord
from restorereports.emulator.stamps import SECOND, from_us, read_stamp, to_us, write_label, write_stamp

Version = tuple[int, RestoreSessionRecord | None]  # from which moment on; None: gone


@dataclass(slots=True)
class Changes:
    """The versions of every row touched by hand, oldest first, under its UID."""

    versions: dict[str, list[Version]] = field(default_factory=dict)
    homes: dict[str, str] = field(default_factory=dict)  # UID of the row -> UID of its backup server

    def put(self, uid: str, record: RestoreSessionRecord | None, *, server_uid: str, now_us: int) -> None:
        """From now on the row is like this."""
        self.homes.setdefault(uid, server_uid)
        self.versions.setdefault(uid, []).append((now_us, record))

    def rename_server(self, server_uid: str, name: str) -> None:
        """Rows made by hand bear the new name of their server."""
        for uid, versions in self.versions.items():
            self.versions[uid] = [
                (moment, replace(record, backup_server_name=name))
                if record is not None and record.backup_server_uid == server_uid
                else (moment, record)
                for moment, record in versions
            ]

    def latest(self, uid: str) -> RestoreSessionRecord | None:
        """The row as it really is now, if it was touched and is still there."""
        found = self.versions.get(uid)
        return found[-1][1] if found else None

    def server_uid(self, uid: str) -> str:
        """The backup server on which the row was first touched."""
        return self.homes[uid]

    def as_of(self, uid: str, moment_us: int) -> Version | None:
        """The version a collection at a moment has seen; None if it lies before the first one."""
        seen = [version for version in self.versions[uid] if version[0] <= moment_us]
        return seen[-1] if seen else None


def new_session(
    fields: dict[str, Any], *, server: BackupServerRecord, number: int, now_us: int
) -> RestoreSessionRecord:
    """A record from the given fields; what is not given is that of a file-level restore that ended well."""
    fields = dict(fields)
    created_at = fields.pop("created_at", None) or _moment(fields.get("created_text")) or from_us(now_us)
    created_us = to_us(created_at)
    vm_name = fields.pop("vm_name", "payroll-db2")
    state = fields.pop("state", "Stopped")
    stopped = state == "Stopped"
    guessed: dict[str, Any] = {
        "uid": f"urn:veeam:RestoreSession:{guid(draw(f'added|{number}'))}",
        "name": f"FLR_[{vm_name}]@{write_label(created_us, fraction=True)}",
        "job_type": "FileLevelRestore",
        "result": "Success" if stopped else "None",
        "progress": 100 if stopped else 12,
        "created_text": write_stamp(created_us),
        "ended_at": None,
        "ended_text": None,
        "backup_server_uid": server.uid,
        "backup_server_name": server.name,
    }
    if stopped and "ended_text" not in fields and "ended_at" not in fields:
        fields["ended_at"] = from_us(created_us + 300 * SECOND)
    return RestoreSessionRecord(
        **{**guessed, **fields, **_ended(fields)},
        vm_name=vm_name,
        state=state,
        created_at=created_at.astimezone(UTC),
    )


def changed_session(record: RestoreSessionRecord, fields: dict[str, Any]) -> RestoreSessionRecord:
    """A copy with some fields changed; a datetime takes its text along, a text its datetime."""
    fields = dict(fields)
    if "created_text" in fields:
        fields.setdefault("created_at", _moment(fields["created_text"]))
    elif "created_at" in fields:
        fields["created_text"] = write_stamp(to_us(fields["created_at"]))
    return replace(record, **{**fields, **_ended(fields)})


def new_restore_point(
    fields: dict[str, Any], *, server: BackupServerRecord, number: int, now_us: int
) -> RestorePointRecord:
    """A restore point from the given fields, else that of a nightly increment made now."""
    created_at = fields.get("created_at") or _moment(fields.get("created_text")) or from_us(now_us)
    created_us = to_us(created_at)
    vm_name = fields.get("vm_name", "payroll-db2")
    guessed: dict[str, Any] = {
        "uid": f"urn:veeam:VmRestorePoint:{guid(draw(f'added point|{number}'))}",
        "name": f"{vm_name}@{write_label(created_us)}",
        "vm_name": vm_name,
        "vm_display_name": vm_name,
        "created_at": created_at,
        "created_text": write_stamp(created_us),
        "backup_server_uid": server.uid,
        "backup_server_name": server.name,
        "hierarchy_ref": f"urn:VMware:Vm:{guid(draw('added'))}.vm-{number}",
        "run_uid": f"urn:veeam:RestorePoint:{guid(draw(f'added run|{number}'))}",
        "run_name": f"{created_at:%b %e %Y %I:%M%p}",
    }
    return RestorePointRecord(**{**guessed, **fields})


def _ended(fields: dict[str, Any]) -> dict[str, Any]:
    if "ended_text" in fields:
        return {
            "ended_text": fields["ended_text"],
            "ended_at": fields.get("ended_at", _moment(fields["ended_text"])),
        }
    if "ended_at" in fields:
        ended_at = fields["ended_at"]
        return {
            "ended_at": ended_at,
            "ended_text": None if ended_at is None else write_stamp(to_us(ended_at)),
        }
    return {}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else read_stamp(text)
