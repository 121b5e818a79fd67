"""EM's restore sessions and backup servers -> records; here EM's names become ours.

EM's pages: "RestoreSession" (get_restoresessions_id), "BackupServer" (get_backupservers_id). A row whose
shape is not understood raises UnexpectedAnswer: a row that is left out is a silent zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from restorereports.em.failures import UnexpectedAnswer, safe_text
from restorereports.em.fields import beginning_of, linked, number_of, time_of, uid_of
from restorereports.em.markup import attribute, canonical, child_text, without_hosts

NO_RESULT = "None"  # EM's own word for a running restore session


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSessionEntity:
    """One restore session as EM shows it; times are aware UTC, to the microsecond (EM's 7th digit is cut).

    `job_type`, `state` and `result` are open words, spelled as EM spells them. `ended_at` is as sent, even
    while the restore session runs. Absent texts are "". `payload` is EM's row as canonical XML;
    `digest_basis` is the same without scheme, host and port of its addresses, for EM's own name in them may
    alternate from answer to answer, and that is no change of the row.
    """

    uid: str
    name: str
    vm_name: str
    job_type: str
    state: str
    result: str
    progress: int | None
    started_at: datetime
    ended_at: datetime | None
    restore_point_uid: str
    restore_point_name: str
    restored_object_ref: str
    failure_message: str
    backup_server_uid: str
    backup_server_name: str
    payload: bytes
    digest_basis: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRestoreSession:
    """A restore session as the list of references shows it; `backup_server_uid` is "" without an Up link."""

    uid: str
    backup_server_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupServerEntity:
    """One backup server as EM lists it; `name` is a free label, `version` the text of EM."""

    uid: str
    name: str
    description: str
    version: str
    port: int | None
    payload: bytes


def read_restore_session(element: etree._Element) -> RestoreSessionEntity:
    """A `RestoreSession` element. Raises UnexpectedAnswer, naming the UID."""
    uid = uid_of(element, "RestoreSession")
    backup_server_uid, backup_server_name = linked(element, "Up", "BackupServer")
    restore_point_uid, restore_point_name = linked(element, "Related", "VmRestorePoint")
    payload = canonical(element)
    return RestoreSessionEntity(
        uid=uid,
        name=attribute(element, "Name"),
        vm_name=attribute(element, "VmDisplayName"),
        job_type=child_text(element, "JobType"),
        state=child_text(element, "State"),
        result=child_text(element, "Result") or NO_RESULT,
        progress=number_of(element, "Progress"),
        started_at=beginning_of(element, uid),
        ended_at=time_of(element, "EndTimeUTC"),
        restore_point_uid=restore_point_uid,
        restore_point_name=restore_point_name,
        restored_object_ref=child_text(element, "RestoredObjRef"),
        failure_message=child_text(element, "FailureMessage"),
        backup_server_uid=backup_server_uid,
        backup_server_name=backup_server_name,
        payload=payload,
        digest_basis=without_hosts(payload),
    )


def read_backup_server(element: etree._Element) -> BackupServerEntity:
    """A `BackupServer` element. Raises UnexpectedAnswer, naming the UID."""
    uid = uid_of(element, "BackupServer")
    return BackupServerEntity(
        uid=uid,
        name=attribute(element, "Name"),
        description=child_text(element, "Description"),
        version=child_text(element, "Version"),
        port=number_of(element, "Port"),
        payload=canonical(element),
    )


def read_listed_restore_session(element: etree._Element) -> ListedRestoreSession:
    """A `Ref` to a restore session. Raises UnexpectedAnswer, naming what it refers to instead."""
    uid = uid_of(element, "RestoreSession")
    type_ = attribute(element, "Type")
    if type_.casefold() != "restoresessionreference":
        raise UnexpectedAnswer(
            f"{uid} is listed as {safe_text(type_, limit=60)!r}, not as a restore session."
        )
    backup_server_uid, _ = linked(element, "Up", "BackupServer")
    return ListedRestoreSession(uid=uid, backup_server_uid=backup_server_uid)
