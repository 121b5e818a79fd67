"""What can be asked of Enterprise Manager: restore sessions, backup servers, restore points, collections.

EM's pages: "Query Service" (query_service), "RestoreSession" (get_restoresessions_id), "Roles"
(security_roles_concept). Who asks and how is the business of `logon`, what the answers mean that of
`entities`, `inventory` and `collecting`.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime

from lxml import etree

from restorereports.em.collecting import (
    CollectionEntity,
    CollectionEvent,
    is_collection,
    read_collection,
    read_collection_events,
)
from restorereports.em.connection import Connection, normalise_url
from restorereports.em.entities import (
    BackupServerEntity,
    ListedRestoreSession,
    RestoreSessionEntity,
    read_backup_server,
    read_listed_restore_session,
    read_restore_session,
)
from restorereports.em.failures import Forbidden, UnexpectedAnswer, safe_text
from restorereports.em.fields import id_of
from restorereports.em.inventory import (
    VmRestorePointEntity,
    VmsOverview,
    read_vm_restore_point,
    read_vms_overview,
)
from restorereports.em.logon import LogonSession
from restorereports.em.markup import children, local_name
from restorereports.em.paging import Ask, Item, Page, Sheet, read_count, read_sheet
from restorereports.em.query import (
    all_of,
    condition,
    query_path,
    since_filter,
)
from restorereports.em.stretches import walk_by_time

__all__ = ["Connection", "EnterpriseManagerClient", "Page", "normalise_url"]

NEWEST_COLLECTIONS = 200
_GONE = (400, 404, 500)  # what real servers say of an object, or a page, that is not there

EXCHANGE_OPERATOR = "Exchange, Oracle or SQL Restore Operator"
VM_OPERATOR = "VM or File Restore Operator"
PORTAL_USER = "Portal User"
PORTAL_ADMINISTRATOR = "Portal Administrator"


class EnterpriseManagerClient(LogonSession):
    """One logon session and every question that it may be asked; each raises EnterpriseManagerError.

    Forbidden where the role of the account may not read this: see `infer_role`.
    """

    def restore_session_pages(
        self, *, since: datetime | None, page_size: int = 500
    ) -> Iterator[Page[RestoreSessionEntity]]:
        """The restore sessions created at or after `since` (aware; None: all), oldest first, page by page."""
        return self._pages(
            "RestoreSession",
            read_restore_session,
            lambda session: session.started_at,
            since=since,
            page_size=page_size,
        )

    def count_restore_sessions(self, *, since: datetime | None) -> int | None:
        """How many there are by EM's own count of pages of one row each; None where it gives no clear number.

        A second way to the number of rows of `restore_session_pages(since=since)`, which never reads them.
        """
        path = query_path(
            "RestoreSession",
            format_="References",
            page_size=1,
            sort_asc="CreationTime",
            filter_=since_filter(since),
        )
        return read_count(self._get(path))

    def restore_session(self, uid: str) -> RestoreSessionEntity | None:
        """One restore session by its UID; None when EM no longer knows it (it then answers 400, 404 or 500).

        ValueError for what is no UID.
        """
        return self._one("RestoreSession", uid, read_restore_session)

    def listed_restore_sessions(self) -> Iterator[ListedRestoreSession]:
        """Those of EM's list: the last 30 days by EM's clock, whole, in no order; a second path to the rows.

        The list is read as it comes, in bounded memory, on a connection of its own, so that other questions
        may be asked meanwhile. Asked again where that may help until the first one is there; after that any
        failure is raised in mid-iteration, and whoever reads must begin anew and trust nothing read so far.
        """
        for row in self._rows("/restoreSessions", root="EntityReferences", names=("Ref",)):
            yield read_listed_restore_session(row)

    def backup_servers(self) -> list[BackupServerEntity]:
        """All backup servers of this EM; raises Forbidden where the role may not list them."""
        root = self._get("/backupServers?format=Entity")
        rows = list(children(root, "BackupServer"))
        if local_name(root) != "BackupServers" or len(rows) != len(root):
            raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of backup servers.")
        return [read_backup_server(row) for row in rows]

    def vm_restore_point_pages(
        self, *, since: datetime | None, page_size: int = 500
    ) -> Iterator[Page[VmRestorePointEntity]]:
        """The restore points of VMs created at or after `since` (aware; None: all), oldest first."""
        return self._pages(
            "VmRestorePoint",
            read_vm_restore_point,
            lambda point: point.created_at,
            since=since,
            page_size=page_size,
        )

    def vm_restore_points_named(
        self, *, backup_server_uid: str, vm_name: str, page_size: int = 500
    ) -> Iterator[Page[VmRestorePointEntity]]:
        """The restore points of the VM of this VmDisplayName on this backup server, oldest first.

        Restore points without a VmDisplayName, which some versions of EM have, are not found by it.
        """
        filter_ = all_of(
            condition("BackupServerUid", "==", backup_server_uid), condition("VmDisplayName", "==", vm_name)
        )
        return self._pages(
            "VmRestorePoint",
            read_vm_restore_point,
            lambda point: point.created_at,
            also=filter_,
            page_size=page_size,
        )

    def vm_restore_point(self, uid: str) -> VmRestorePointEntity | None:
        """One restore point of a VM by its UID; None when EM no longer knows it. ValueError for what is no UID."""
        return self._one("VmRestorePoint", uid, read_vm_restore_point)

    def vms_overview(self) -> VmsOverview:
        """EM's own counts of VMs and restore points."""
        return read_vms_overview(self._get("/reports/summary/vms_overview"))

    def collections(self) -> list[CollectionEntity]:
        """The newest 200 collections of the last 30 days, newest first; an administrator may ask, it seems."""

        def newest() -> list[CollectionEntity]:
            rows = self._streamed(
                "/systemSessions", root="SystemSessions", names=("Sessions", "SystemSession")
            )
            found = (read_collection(row) for row in rows if is_collection(row))
            return heapq.nlargest(NEWEST_COLLECTIONS, found, key=lambda one: one.started_at)

        return self._asked(newest)

    def collection_events(self, uid: str) -> list[CollectionEvent]:
        """What EM wrote down during one collection, in its order. ValueError for what is no UID."""
        return read_collection_events(self._get(f"/systemSessions/{id_of(uid)}/events"))

    def infer_role(self) -> str:
        """The least role that fits what is refused; EM itself tells no account its role."""
        if self._is_refused(query_path("RestoreSession", format_="References", page_size=1)):
            return EXCHANGE_OPERATOR
        if self._is_refused("/backupServers"):
            return VM_OPERATOR
        jobs = query_path("Job", format_="References", page_size=1)
        return PORTAL_USER if self._is_refused(jobs, or_answered=(400, 404, 500)) else PORTAL_ADMINISTRATOR

    def _is_refused(self, path: str, *, or_answered: tuple[int, ...] = ()) -> bool:
        """Whether the answer is 403, or one of these: a sign that is not needed must not end a run."""
        try:
            return self._get_unless(path, gone=or_answered) is None
        except Forbidden:
            return True

    def _pages(
        self,
        type_: str,
        read: Callable[[etree._Element], Item],
        moment_of: Callable[[Item], datetime],
        *,
        since: datetime | None = None,
        also: str = "",
        page_size: int,
    ) -> Iterator[Page[Item]]:
        """All rows of one type created since then that pass the filter `also`, oldest first."""
        if page_size < 1:
            raise ValueError("A page holds at least one row.")

        def ask_from(begin: datetime | None) -> Ask[Item]:
            filter_ = all_of(*filter(None, (also, since_filter(begin or since))))
            return lambda number, beyond: self._sheet(
                query_path(type_, sort_asc="CreationTime", page_size=page_size, page=number, filter_=filter_),
                beyond=beyond,
                read=lambda root: read_sheet(root, type_=type_, read=read),
            )

        return walk_by_time(ask_from, page_size=page_size, moment_of=moment_of)

    def _sheet(
        self, path: str, *, beyond: bool, read: Callable[[etree._Element], Sheet[Item]]
    ) -> Sheet[Item] | None:
        """One page; beyond the announced end it may be missing: None."""
        root = self._get_unless(path, gone=_GONE) if beyond else self._get(path)
        return None if root is None else read(root)

    def _one(self, type_: str, uid: str, read: Callable[[etree._Element], Item]) -> Item | None:
        """One row by its UID; None when it is gone. UnexpectedAnswer for another row than that."""
        resource = f"{type_[0].lower()}{type_[1:]}s"
        root = self._get_unless(f"/{resource}/{id_of(uid)}?format=Entity", gone=_GONE)
        if root is None:
            return None
        if local_name(root) != type_:
            raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of a {type_}.")
        entity = read(root)
        if id_of(entity.uid).lower() != id_of(uid).lower():
            raise UnexpectedAnswer(f"{entity.uid} came instead of the {type_} that was asked for.")
        return entity
