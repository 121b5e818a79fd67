"""EM's restore points of VMs, and its own count of the protected VMs -> records.

EM's pages: "VmRestorePoint" (get_vmrestorepoints_id), "VMs Overview" (get_reports_summary_vms_overview). EM has
no list of protected VMs: its restore points are all there is. A row whose shape is not understood raises
UnexpectedAnswer: a row that is left out is a VM that looks unprotected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lxml import etree

from restorereports.em.failures import UnexpectedAnswer, safe_text
from restorereports.em.fields import beginning_of, linked, number_of, uid_of
from restorereports.em.markup import attribute, child_text, local_name


@dataclass(frozen=True, slots=True, kw_only=True)
class VmRestorePointEntity:
    """One restore point of one VM; `created_at` is aware UTC. Absent texts are "".

    `hierarchy_ref` names the VM in its virtual infrastructure (`urn:VMware:Vm:<root>.vm-123`); it changes when
    the VM moves to another one, and a renamed VM keeps its old name on its older restore points.
    """

    uid: str
    vm_name: str
    created_at: datetime
    hierarchy_ref: str
    backup_server_uid: str
    backup_server_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VmsOverview:
    """EM's own counts, None where it gives none; backed up and replicated need not add up to protected."""

    protected_vms: int | None
    backed_up_vms: int | None
    replicated_vms: int | None
    restore_points: int | None


def read_vm_restore_point(element: etree._Element) -> VmRestorePointEntity:
    """A `VmRestorePoint` element. Raises UnexpectedAnswer, naming the UID."""
    uid = uid_of(element, "VmRestorePoint")
    backup_server_uid, backup_server_name = linked(element, "Up", "BackupServer")
    return VmRestorePointEntity(
        uid=uid,
        vm_name=_vm_name(element),
        created_at=beginning_of(element, uid),
        hierarchy_ref=child_text(element, "HierarchyObjRef"),
        backup_server_uid=backup_server_uid,
        backup_server_name=backup_server_name,
    )


def read_vms_overview(root: etree._Element) -> VmsOverview:
    """A `VmsOverviewReportFrame`. Raises UnexpectedAnswer for another document."""
    if local_name(root) != "VmsOverviewReportFrame":
        raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of the overview of VMs.")
    return VmsOverview(
        protected_vms=_count(root, "ProtectedVms"),
        backed_up_vms=_count(root, "BackedUpVms"),
        replicated_vms=_count(root, "ReplicatedVms"),
        restore_points=_count(root, "RestorePoints"),
    )


def _vm_name(element: etree._Element) -> str:
    """VmDisplayName, else VmName, else the Name `vm@time` up to its last @; some samples lack either field."""
    given = attribute(element, "VmDisplayName") or child_text(element, "VmName")
    name = attribute(element, "Name")
    return given or name.rpartition("@")[0] or name


def _count(element: etree._Element, name: str) -> int | None:
    number = number_of(element, name)
    return None if number is None or number < 0 else number
