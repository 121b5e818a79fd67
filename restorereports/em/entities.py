"""EM's answer -> records; the only place where EM's names become ours.

EM's pages: "RestoreSession" (get_restoresessions_id), "BackupServer" (get_backupservers_id). A row whose
shape is not understood raises UnexpectedAnswer: a row that is left out is a silent zero.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lxml import etree

from restorereports.em.failures import UnexpectedAnswer, safe_text
from restorereports.em.markup import attribute, canonical, child, child_text, children

NO_RESULT = "None"  # EM's own word for a running restore session
FIRST_BELIEVABLE_YEAR = 1980  # .NET and SQL Server write 0001, 1753 or 1900 for "no time" …
LAST_BELIEVABLE_YEAR = 9998  # … or 9999
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSessionEntity:
    """One restore session as EM shows it; times are aware UTC, to the microsecond (EM's 7th digit is cut).

    `job_type`, `state` and `result` are open words, spelled as EM spells them. `ended_at` is as sent, even
    while the restore session runs. Absent texts are "".
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


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupServerEntity:
    """One backup server as EM lists it; `name` is a free label, `version` the text of EM."""

    uid: str
    name: str
    description: str
    version: str
    port: int | None
    payload: bytes


def parse_time(text: str) -> datetime:
    """EM's time (ISO 8601 with 0 to 7 fractional digits) as aware UTC; without a zone it is UTC too.

    Raises ValueError.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time of Enterprise Manager")
    day, clock, fraction, zone = match.groups()
    microseconds = (fraction or "")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(
            f"{day}T{clock}.{microseconds}{'+00:00' if zone in (None, 'Z') else zone}"
        )
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a time of Enterprise Manager") from None


def read_restore_session(element: etree._Element) -> RestoreSessionEntity:
    """A `RestoreSession` element. Raises UnexpectedAnswer, naming the UID."""
    uid = _uid(element, "RestoreSession")
    backup_server_uid, backup_server_name = _linked(element, "Up", "BackupServer")
    restore_point_uid, restore_point_name = _linked(element, "Related", "VmRestorePoint")
    started_at = _time(element, "CreationTimeUTC")
    if started_at is None:
        raise UnexpectedAnswer(
            f"{uid} has no readable CreationTimeUTC: {safe_text(child_text(element, 'CreationTimeUTC'), limit=60)!r}"
        )
    return RestoreSessionEntity(
        uid=uid,
        name=attribute(element, "Name"),
        vm_name=attribute(element, "VmDisplayName"),
        job_type=child_text(element, "JobType"),
        state=child_text(element, "State"),
        result=child_text(element, "Result") or NO_RESULT,
        progress=_number(element, "Progress"),
        started_at=started_at,
        ended_at=_time(element, "EndTimeUTC"),
        restore_point_uid=restore_point_uid,
        restore_point_name=restore_point_name,
        restored_object_ref=child_text(element, "RestoredObjRef"),
        failure_message=child_text(element, "FailureMessage"),
        backup_server_uid=backup_server_uid,
        backup_server_name=backup_server_name,
        payload=canonical(element),
    )


def read_backup_server(element: etree._Element) -> BackupServerEntity:
    """A `BackupServer` element. Raises UnexpectedAnswer, naming the UID."""
    uid = _uid(element, "BackupServer")
    return BackupServerEntity(
        uid=uid,
        name=attribute(element, "Name"),
        description=child_text(element, "Description"),
        version=child_text(element, "Version"),
        port=_number(element, "Port"),
        payload=canonical(element),
    )


def id_of(uid: str) -> str:
    """The last part of a UID, as it stands in EM's addresses; a bare id is its own. Raises ValueError."""
    id_ = uid.rpartition(":")[2]
    if uid.count(":") not in (0, 3) or not _ID.fullmatch(id_):
        raise ValueError("not a UID of Enterprise Manager")
    return id_


def _uid(element: etree._Element, type_: str) -> str:
    """The UID as sent; where the attribute is missing, from the id in the element's own address."""
    uid = attribute(element, "UID").strip()
    if not uid:
        uid = _uid_from_href(attribute(element, "Href"), type_)
    if not re.fullmatch(rf"urn:veeam:{type_}:[A-Za-z0-9_-]+", uid, re.ASCII):
        shown = safe_text(uid or attribute(element, "Name"), limit=120)
        raise UnexpectedAnswer(f"A {type_} without a usable UID ({shown or 'no UID, no name'}).")
    return uid


def _uid_from_href(href: str, type_: str) -> str:
    """`urn:veeam:<type>:<id>` from the last part of an address's path; "" if there is none."""
    try:
        id_ = urlsplit(href).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return ""
    return f"urn:veeam:{type_}:{id_}" if _ID.fullmatch(id_) else ""


def _linked(element: etree._Element, rel: str, type_: str) -> tuple[str, str]:
    """UID and name behind the link of this Rel and Type, never chosen by position; ("", "") if none."""
    links = child(element, "Links")
    for link in children(links, "Link") if links is not None else ():
        same_rel = attribute(link, "Rel").casefold() == rel.casefold()
        if same_rel and attribute(link, "Type").casefold() == f"{type_}Reference".casefold():
            return _uid_from_href(attribute(link, "Href"), type_), attribute(link, "Name")
    return "", ""


def _time(element: etree._Element, name: str) -> datetime | None:
    """None when absent, empty, unreadable or a sentinel that stands for "no time"; `payload` keeps the text."""
    try:
        moment = parse_time(child_text(element, name))
    except ValueError:
        return None
    return moment if FIRST_BELIEVABLE_YEAR <= moment.year <= LAST_BELIEVABLE_YEAR else None


def _number(element: etree._Element, name: str) -> int | None:
    """A whole number of 32 bits; None when absent, empty or anything else; `payload` keeps the text."""
    text = child_text(element, name)
    if not re.fullmatch(r"[+-]?\d{1,10}", text, re.ASCII) or not _SMALLEST <= int(text) <= _LARGEST:
        return None
    return int(text)
