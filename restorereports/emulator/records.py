"""What EM holds, as plain records; the names are ours, the values stand as EM sends them.

The attribute names are those of the restore-session table of Restore Reports, so that a test can compare a
mirrored row with a record field by field. Datetimes are aware and UTC; `…_text` is the exact text on the wire.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class BackupServerRecord:
    """A backup server as EM knows it; `name` is a free label that an administrator may change."""

    uid: str  # urn:veeam:BackupServer:<guid>
    name: str
    description: str = ""
    dns_name: str = ""
    port: int = 9392
    version: str = "13.0.1.1071"
    thumbprint: str = ""

    @property
    def guid(self) -> str:
        return self.uid.rpartition(":")[2]


@dataclass(slots=True)
class RestoreSessionRecord:
    """A restore session as one collection saw it."""

    uid: str  # urn:veeam:RestoreSession:<guid>
    name: str
    vm_name: str | None
    job_type: str | None
    state: str | None
    result: str | None
    progress: int | None
    created_at: datetime
    created_text: str
    ended_at: datetime | None  # None too for EM's "no date" values, which stand in ended_text
    ended_text: str | None
    backup_server_uid: str
    backup_server_name: str
    restore_point_uid: str | None = None  # urn:veeam:VmRestorePoint:<guid>
    restore_point_name: str | None = None
    failure_message: str | None = None

    @property
    def guid(self) -> str:
        return self.uid.rpartition(":")[2]

    @property
    def backup_server_guid(self) -> str:
        return self.backup_server_uid.rpartition(":")[2]


@dataclass(slots=True)
class RestorePointRecord:
    """A restore point of one VM: EM's VmRestorePoint together with the RestorePoint (one job run) it is part of."""

    uid: str  # urn:veeam:VmRestorePoint:<guid>
    name: str
    vm_name: str | None
    vm_display_name: str | None
    created_at: datetime
    created_text: str
    backup_server_uid: str
    backup_server_name: str
    algorithm: str = "Incremental"
    point_type: str = "Increment"
    hierarchy_ref: str | None = None
    run_uid: str = ""  # urn:veeam:RestorePoint:<guid>
    run_name: str = ""
    job_name: str = ""

    @property
    def guid(self) -> str:
        return self.uid.rpartition(":")[2]

    @property
    def backup_server_guid(self) -> str:
        return self.backup_server_uid.rpartition(":")[2]


@dataclass(slots=True)
class RunRecord:
    """A job session, a task session or a system session: something that ran from one time to another."""

    uid: str
    name: str
    kind: str  # JobType or SessionType
    state: str
    result: str
    created_text: str
    ended_text: str | None
    created_at: datetime
    backup_server_uid: str = ""
    backup_server_name: str = ""
    vm_display_name: str | None = None
    job_session_uid: str | None = None

    @property
    def guid(self) -> str:
        return self.uid.rpartition(":")[2]

    @property
    def backup_server_guid(self) -> str:
        return self.backup_server_uid.rpartition(":")[2]
