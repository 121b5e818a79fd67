"""EM's own resources: root, logon sessions, system sessions (collections), reports, tasks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from restorereports.emulator.draws import draw, guid
from restorereports.emulator.entities import link
from restorereports.emulator.exchange import Document, Hrefs, Json
from restorereports.emulator.logons import LogonSession
from restorereports.emulator.stamps import DAY, SECOND, to_us, write_label, write_stamp
from restorereports.emulator.world import World

VERSIONS = ("v1_5", "v1_6", "v1_7")
_MOST_SYSTEM_SESSIONS = 50_000
_COLLECTING = 41 * SECOND  # so long a collection takes
_COLLECTIONS = (
    ("RestoreSessionReferenceList", "restoreSessions"),
    ("RestoreSessionList", "restoreSessions?format=Entity"),
    ("BackupServerReferenceList", "backupServers"),
    ("BackupServerList", "backupServers?format=Entity"),
    ("VmRestorePointReferenceList", "vmRestorePoints"),
    ("VmRestorePointList", "vmRestorePoints?format=Entity"),
    ("RestorePointReferenceList", "restorePoints"),
    ("RestorePointList", "restorePoints?format=Entity"),
    ("CatalogVmReferenceList", "catalog/vms"),
    ("SystemSessionList", "systemSessions"),
    ("ReportSummary", "reports/summary"),
    ("QueryService", "querySvc"),
    ("LogonSessionList", "logonSessions"),
)


def root(href: Hrefs) -> Document:
    """What anybody may read: the versions of the API, and where to log on."""
    versions: list[Any] = [
        {"Name": name, "Links": [link("Create", href(f"sessionMngr/?v={name}"), "LogonSession")]}
        for name in VERSIONS
    ]
    links: list[Any] = [
        link("Down", href("logonSessions"), "LogonSessionList"),
        link("Create", href("sessionMngr/?v=latest"), "LogonSession"),
    ]
    return Document(
        "EnterpriseManager", {"SupportedVersions": {"SupportedVersions": versions}, "Links": links}
    )


def logon_session(session: LogonSession, href: Hrefs) -> Json:
    """A logon session with the links to all collections; the link to log off is the last."""
    own = href(f"logonSessions/{session.session_id}")
    links: list[Any] = [link("Up", href(""), "EnterpriseManager")]
    links.extend(link("Down", href(path), kind) for kind, path in _COLLECTIONS)
    links.append(link("Delete", own))
    return {
        "UserName": session.account.full_name,
        "SessionId": session.session_id,
        "Links": links,
        "Href": own,
        "Type": "LogonSession",
    }


def system_sessions(world: World, href: Hrefs) -> Iterator[Json]:
    """The collections of the last 30 days, newest first."""
    now_us = to_us(world.now())
    clock = world.collection
    guids = [server.guid for server in world.backup_servers()]
    for tick in _ticks(world):
        yield _collect_job(tick, [clock.reached(guid, tick) for guid in guids], now_us, href)


def system_session_events(world: World, wanted: str, href: Hrefs, *, with_status: bool) -> Json | None:
    """What was written down during one collection: a line for each backup server EM has; None if it is unknown.

    Members and wrapping are those of the vendor's one sample; its times bear no `Z`.
    """
    tick = next((tick for tick in _ticks(world) if system_session_guid(tick) == wanted), None)
    if tick is None:
        return None
    own = href(f"systemSessions/{wanted}")
    ended_us = tick + _COLLECTING
    events: list[Any] = []
    for order, server in enumerate(world.backup_servers() if ended_us <= to_us(world.now()) else (), start=1):
        good = world.collection.reached(server.guid, tick)
        message = f"Collecting data from {server.name}"
        if not good:
            message = f"Failed to collect data from {server.name}: the backup server cannot be reached."
        events.append(
            {
                "CreationTimeUTC": write_stamp(tick + order * SECOND).removesuffix("Z"),
                "Message": message,
                "Order": order,
                "Status": ("Success" if good else "Failed") if with_status else None,
            }
        )
    up = link("Up", f"{own}?format=Entity", "BackupJobSession", _collect_job_name(tick))
    return {"Events": events, "Links": [up], "Href": f"{own}/events", "Type": "SystemSessionEvents"}


def _ticks(world: World) -> list[int]:
    now_us = to_us(world.now())
    return world.collection.ticks(now_us - 30 * DAY, now_us, limit=_MOST_SYSTEM_SESSIONS)


def system_session_guid(tick_us: int) -> str:
    """The id of the collection at a tick."""
    return guid(draw(f"collect job|{tick_us}"))


def overview(world: World, protected: int, points: int) -> Document:
    """The summary report `vms_overview`: counts only."""
    return Document(
        "VmsOverviewReportFrame",
        {
            "ProtectedVms": protected,
            "BackedUpVms": protected,
            "ReplicatedVms": 0,
            "RestorePoints": points,
            "FullBackupPointsSize": points * 1_073_741_824,
            "IncrementalBackupPointsSize": points * 104_857_600,
            "SourceVmsSize": protected * 42_949_672_960,
            "SuccessBackupPercents": 97,
        },
    )


def task(number: int, href: Hrefs, *, finished: bool) -> Json:
    """The task that a request for collection leaves; finished, it only says that the collection was started."""
    own = href(f"tasks/task-{number}")
    return {
        "TaskId": f"task-{number}",
        "State": "Finished" if finished else "Running",
        "Operation": "CollectingBackupServer",
        "Result": {"Success": True, "Message": "Ok"} if finished else None,
        "Links": [link("Delete", own)],
        "Href": own,
        "Type": "Task",
    }


def _collect_job(tick_us: int, reached: list[bool], now_us: int, href: Hrefs) -> Json:
    own = href(f"systemSessions/{system_session_guid(tick_us)}")
    ended_us = tick_us + _COLLECTING
    state = "CompletedSuccessfully"
    if not all(reached):
        state = "CompletedWarning" if any(reached) else "Failed"
    running = ended_us > now_us
    message = "" if all(reached) else f"{reached.count(False)} backup server(s) could not be reached."
    name = _collect_job_name(tick_us)
    return {
        "SessionType": "CollectJob",
        "CreationTimeUTC": write_stamp(tick_us),
        "EndTimeUTC": None if running else write_stamp(ended_us),
        "State": "InProgress" if running else state,
        "Result": None if running else {"Result": state, "Message": message, "IsCanceled": False},
        "Name": name,
        "UID": f"urn:veeam:SystemSession:{system_session_guid(tick_us)}",
        "Links": [
            link("Alternate", own, "BackupJobSessionReference", name),
            link("Down", f"{own}/events", "SystemSessionEvents", "Events"),
        ],
        "Href": f"{own}?format=Entity",
        "Type": "SystemSession",
    }


def _collect_job_name(tick_us: int) -> str:
    return f"Collect Job @{write_label(tick_us)}"
