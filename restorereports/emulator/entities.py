"""EM's resources out of our records: members with EM's names, in the order of EM's JSON."""

from __future__ import annotations

from urllib.parse import quote

from restorereports.emulator.exchange import Hrefs, Json
from restorereports.emulator.records import (
    BackupServerRecord,
    RestorePointRecord,
    RestoreSessionRecord,
    RunRecord,
)


def link(rel: str, href: str, kind: str | None = None, name: str | None = None) -> Json:
    """One entry of `Links`."""
    return {"Rel": rel, "Href": href, "Name": name, "Type": kind}


def reference(kind: str, *, uid: str, name: str, href: str, links: list[Json]) -> Json:
    """The short form of a resource."""
    return {"UID": uid, "Name": name, "Href": href, "Type": kind, "Links": [*links]}


def restore_session(record: RestoreSessionRecord, href: Hrefs) -> Json:
    """A restore session in full; the link to its backup server comes first, as in all samples."""
    own = href(f"restoreSessions/{record.guid}")
    links = [_server_link(record, href), link("Alternate", own, "RestoreSessionReference", record.name)]
    if record.restore_point_uid is not None:
        point = href(f"vmRestorePoints/{record.restore_point_uid.rpartition(':')[2]}")
        links.append(link("Related", point, "VmRestorePointReference", record.restore_point_name))
    return {
        "RestoredObjRef": None,
        "VmDisplayName": record.vm_name,
        "JobUid": None,
        "JobName": None,
        "JobType": record.job_type,
        "CreationTimeUTC": record.created_text,
        "EndTimeUTC": record.ended_text,
        "State": record.state,
        "Result": record.result,
        "Progress": record.progress,
        "FailureMessage": record.failure_message,
        "Name": record.name,
        "UID": record.uid,
        "Links": [*links],
        "Href": f"{own}?format=Entity",
        "Type": "RestoreSession",
    }


def restore_session_reference(record: RestoreSessionRecord, href: Hrefs) -> Json:
    """A restore session in short."""
    own = href(f"restoreSessions/{record.guid}")
    links = [
        _server_link(record, href),
        link("Alternate", f"{own}?format=Entity", "RestoreSession", record.name),
    ]
    return reference("RestoreSessionReference", uid=record.uid, name=record.name, href=own, links=links)


def backup_server(record: BackupServerRecord, href: Hrefs) -> Json:
    """A backup server in full; nothing in it says whether the last collection worked."""
    own = href(f"backupServers/{record.guid}")
    links = [
        link("Alternate", own, "BackupServerReference", record.name),
        link("Edit", f"{own}?action=edit"),
        link("Delete", own),
        link("Down", f"{own}/jobs", "JobReferenceList"),
        link("Down", f"{own}/managedServers", "ManagedServerReferenceList"),
        link("Down", f"{own}/repositories", "RepositoryReferenceList"),
        link("Start", f"{own}?action=collect"),
    ]
    return {
        "Description": record.description,
        "Port": record.port,
        "Version": record.version,
        "WcfPort": 9405,
        "VbrCertificateThumbprint": record.thumbprint,
        "Name": record.name,
        "UID": record.uid,
        "Links": [*links],
        "Href": f"{own}?format=Entity",
        "Type": "BackupServer",
    }


def backup_server_reference(record: BackupServerRecord, href: Hrefs) -> Json:
    """A backup server in short."""
    own = href(f"backupServers/{record.guid}")
    links = [link("Alternate", f"{own}?format=Entity", "BackupServer", record.name)]
    return reference("BackupServerReference", uid=record.uid, name=record.name, href=own, links=links)


def vm_restore_point(record: RestorePointRecord, href: Hrefs) -> Json:
    """A restore point of a VM: three Up links, and the first link is none of them."""
    own = href(f"vmRestorePoints/{record.guid}")
    links = [
        link("Restore", f"{own}?action=restore"),
        _server_link(record, href),
        link("Up", _run_href(record, href), "RestorePointReference", record.run_name),
        link("Up", href(f"backupFiles/{record.guid}"), "BackupFileReference", f"{record.job_name}.vib"),
        link("Alternate", own, "VmRestorePointReference", record.name),
        link("Down", f"{own}/mounts", "VmRestorePointMountList"),
        link("Create", f"{own}/mounts", "VmRestorePointMount"),
    ]
    return {
        "CreationTimeUTC": record.created_text,
        "VmName": record.vm_name,
        "Algorithm": record.algorithm,
        "PointType": record.point_type,
        "HierarchyObjRef": record.hierarchy_ref,
        "SqlInfo": None,
        "VmDisplayName": record.vm_display_name,
        "Name": record.name,
        "UID": record.uid,
        "Links": [*links],
        "Href": f"{own}?format=Entity",
        "Type": "VmRestorePoint",
    }


def vm_restore_point_reference(record: RestorePointRecord, href: Hrefs) -> Json:
    """A restore point of a VM in short."""
    own = href(f"vmRestorePoints/{record.guid}")
    links = [
        _server_link(record, href),
        link("Alternate", f"{own}?format=Entity", "VmRestorePoint", record.name),
    ]
    return reference("VmRestorePointReference", uid=record.uid, name=record.name, href=own, links=links)


def restore_point(record: RestorePointRecord, href: Hrefs) -> Json:
    """A restore point of a whole job run: it has no VM name."""
    own = _run_href(record, href)
    return {
        "BackupDateUTC": record.created_text,
        "Name": record.run_name,
        "UID": record.run_uid,
        "Links": [
            _server_link(record, href),
            link("Alternate", own, "RestorePointReference", record.run_name),
        ],
        "Href": f"{own}?format=Entity",
        "Type": "RestorePoint",
    }


def restore_point_reference(record: RestorePointRecord, href: Hrefs) -> Json:
    """A restore point of a whole job run in short."""
    own = _run_href(record, href)
    links = [
        _server_link(record, href),
        link("Alternate", f"{own}?format=Entity", "RestorePoint", record.run_name),
    ]
    return reference("RestorePointReference", uid=record.run_uid, name=record.run_name, href=own, links=links)


def run(record: RunRecord, href: Hrefs) -> Json:
    """A job or task session in full."""
    kind = record.uid.split(":")[2]
    own = href(f"{_resource(kind)}/{record.guid}")
    links = [_server_link(record, href), link("Alternate", own, f"{kind}Reference", record.name)]
    named: Json = {"JobUid": None, "JobName": record.name.rpartition("@")[0], "JobType": record.kind}
    if kind == "BackupTaskSession":
        named = {
            "JobSessionUid": record.job_session_uid,
            "VmDisplayName": record.vm_display_name,
            "Reason": None,
            "TotalSize": 42_949_672_960,
        }
    return {
        **named,
        "CreationTimeUTC": record.created_text,
        "EndTimeUTC": record.ended_text,
        "State": record.state,
        "Result": record.result,
        "Progress": 100,
        "Name": record.name,
        "UID": record.uid,
        "Links": [*links],
        "Href": f"{own}?format=Entity",
        "Type": kind,
    }


def run_reference(record: RunRecord, href: Hrefs) -> Json:
    """A job or task session in short."""
    kind = record.uid.split(":")[2]
    own = href(f"{_resource(kind)}/{record.guid}")
    links = [_server_link(record, href), link("Alternate", f"{own}?format=Entity", kind, record.name)]
    return reference(f"{kind}Reference", uid=record.uid, name=record.name, href=own, links=links)


def catalog_vm(name: str, href: Hrefs) -> Json:
    """A VM whose guest files were indexed; it has no backup server."""
    own = href(f"catalog/vms/{quote(name, safe='')}")
    links = [link("Alternate", f"{own}?format=Entity", "CatalogVm", name)]
    return reference(
        "CatalogVmReference", uid=f"urn:veeam:CatalogVm:{name}", name=name, href=own, links=links
    )


def _server_link(record: RestoreSessionRecord | RestorePointRecord | RunRecord, href: Hrefs) -> Json:
    own = href(f"backupServers/{record.backup_server_guid}")
    return link("Up", own, "BackupServerReference", record.backup_server_name)


def _run_href(record: RestorePointRecord, href: Hrefs) -> str:
    return href(f"restorePoints/{record.run_uid.rpartition(':')[2]}")


def _resource(kind: str) -> str:
    return "backupSessions" if kind == "BackupJobSession" else "backupTaskSessions"
