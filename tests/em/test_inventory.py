"""Restore points of VMs and EM's own counts: what is read, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.failures import Forbidden, UnexpectedAnswer
from restorereports.em.inventory import VmRestorePointEntity, VmsOverview, read_vm_restore_point
from restorereports.em.markup import parse_xml
from tests.em.scripted_server import XMLNS, Reply, ScriptedServer, error, paging_info

ClientOf = Callable[..., EnterpriseManagerClient]
UID = "urn:veeam:VmRestorePoint:c3a9f6b2"
LINKS = (
    '<Links><Link Rel="Restore" Href="https://h/api/vmRestorePoints/c3a9f6b2?action=restore"/>'
    '<Link Rel="Up" Type="RestorePointReference" Href="https://h/api/restorePoints/d8e7" Name="May  5 2031"/>'
    '<Link Rel="Up" Type="BackupFileReference" Href="https://h/api/backupFiles/1" Name="nightly.vib"/>'
    '<Link Rel="Up" Type="BackupServerReference" Href="https://h/api/backupServers/9e2c" Name="east"/>'
    '<Link Rel="Alternate" Type="VmRestorePointReference" Href="https://h/api/vmRestorePoints/c3a9f6b2"/></Links>'
)
CREATED = "<CreationTimeUTC>2031-05-05T22:00:41.33Z</CreationTimeUTC>"
NAME = "web@3@2031-05-05 22:00:41"


def point(attributes: str = 'VmDisplayName="payroll-db2"', inside: str = LINKS, *, number: int = 0) -> str:
    uid = f"{UID}{number or ''}"
    return (
        f'<VmRestorePoint {XMLNS} UID="{uid}" Name="{NAME}" {attributes}>{inside}{CREATED}</VmRestorePoint>'
    )


def read(text: str) -> VmRestorePointEntity:
    return read_vm_restore_point(parse_xml(text.encode()))


def result(*rows: str, count: int = 1) -> Reply:
    return Reply(
        f"<QueryResult {XMLNS}><Entities><VmRestorePoints>{''.join(rows)}</VmRestorePoints></Entities>"
        f"{paging_info(count=count)}</QueryResult>"
    )


def test_every_field_is_read_and_the_server_is_chosen_among_three_up_links() -> None:
    entity = read(point(inside=LINKS + "<HierarchyObjRef>urn:VMware:Vm:4a.vm-1</HierarchyObjRef>"))

    assert entity == VmRestorePointEntity(
        uid=UID,
        vm_name="payroll-db2",
        created_at=datetime(2031, 5, 5, 22, 0, 41, 330000, tzinfo=UTC),
        hierarchy_ref="urn:VMware:Vm:4a.vm-1",
        backup_server_uid="urn:veeam:BackupServer:9e2c",
        backup_server_name="east",
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (point("", "<VmName>erp-db1</VmName>"), "erp-db1"),
        (point('VmDisplayName="shown"', "<VmName>other</VmName>"), "shown"),
        (point("", "<VmName/>"), "web@3"),
        (point("", "").replace(f'Name="{NAME}"', 'Name="plain"'), "plain"),
        (point("", "").replace(f'Name="{NAME}"', ""), ""),
    ],
)
def test_the_name_of_the_vm_is_found_where_it_stands(text: str, name: str) -> None:
    entity = read(text)

    assert entity.vm_name == name
    assert (entity.hierarchy_ref, entity.backup_server_uid, entity.backup_server_name) == ("", "", "")


def test_a_restore_point_without_uid_or_time_fails_loudly() -> None:
    with pytest.raises(UnexpectedAnswer, match="without a usable UID"):
        read(point().replace(UID, "urn:veeam:RestorePoint:1"))
    with pytest.raises(UnexpectedAnswer, match=f"{UID} has no readable CreationTimeUTC"):
        read(point().replace(CREATED, ""))


def test_restore_points_are_asked_for_page_by_page_oldest_first(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on(
        "GET",
        "/api/query",
        lambda asked: (
            result(point(number=asked.page * 2), point(number=asked.page * 2 + 1), count=2)
            if asked.page < 3
            else error(400, "No such page.")
        ),
    )

    with client_of(em) as client:
        since = datetime(2031, 5, 1, tzinfo=UTC)
        pages = list(client.vm_restore_point_pages(since=since, page_size=2))

    assert [item.uid[-1] for page in pages for item in page.items] == ["2", "3", "4", "5"]
    assert em.asked_for("GET", "/api/query")[0].query == {
        "type": "VmRestorePoint",
        "format": "Entities",
        "sortAsc": "CreationTime",
        "pageSize": "2",
        "page": "1",
        "filter": 'CreationTime>="2031-05-01T00:00:00Z"',
    }


def test_the_restore_points_of_one_vm_are_asked_for_by_server_and_name(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("GET", "/api/query", result(point()))

    with client_of(em) as client:
        pages = list(
            client.vm_restore_points_named(
                backup_server_uid="urn:veeam:BackupServer:9e2c", vm_name='r&d "lab" 7;x'
            )
        )

    assert [item.uid for page in pages for item in page.items] == [UID]
    query = em.asked_for("GET", "/api/query")[0].query
    assert query["filter"] == (
        'BackupServerUid=="urn:veeam:BackupServer:9e2c";VmDisplayName=="r&d ""lab"" 7;x"'
    )
    assert query["sortAsc"] == "CreationTime"


def test_one_restore_point_is_asked_for_by_its_id(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/vmRestorePoints/", Reply(point()))

    with client_of(em) as client:
        found = client.vm_restore_point(UID)

    assert found == read(point())
    assert em.asked_for("GET", "/api/vmRestorePoints")[0].target == (
        "/api/vmRestorePoints/c3a9f6b2?format=Entity"
    )


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_restore_point_that_is_gone_is_none(em: ScriptedServer, client_of: ClientOf, status: int) -> None:
    em.on("GET", "/api/vmRestorePoints/", error(status, "Gone."))

    with client_of(em) as client:
        assert client.vm_restore_point(UID) is None


def test_another_restore_point_or_document_than_asked_for_is_refused(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("GET", "/api/vmRestorePoints/", Reply(point(number=2)), Reply(f"<EntityRef {XMLNS}/>"))

    with client_of(em) as client:
        with pytest.raises(UnexpectedAnswer, match="came instead of the VmRestorePoint"):
            client.vm_restore_point(UID)
        with pytest.raises(UnexpectedAnswer, match="came instead of a VmRestorePoint"):
            client.vm_restore_point(UID)
        with pytest.raises(ValueError, match="UID"):
            client.vm_restore_point("urn:veeam:VmRestorePoint")


def test_the_overview_is_read_and_what_it_lacks_is_unknown(em: ScriptedServer, client_of: ClientOf) -> None:
    body = (
        f"<VmsOverviewReportFrame {XMLNS}><ProtectedVms>12</ProtectedVms><BackedUpVms>many</BackedUpVms>"
        "<RestorePoints>-1</RestorePoints></VmsOverviewReportFrame>"
    )
    em.on("GET", "/api/reports/summary/vms_overview", Reply(body))

    with client_of(em) as client:
        overview = client.vms_overview()

    assert overview == VmsOverview(
        protected_vms=12, backed_up_vms=None, replicated_vms=None, restore_points=None
    )


def test_an_overview_that_is_none_or_not_for_us_is_no_row_of_zeros(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("GET", "/api/reports", Reply(f"<ReportSummary {XMLNS}/>"), error(403, "Denied."))

    with client_of(em) as client:
        with pytest.raises(UnexpectedAnswer, match="overview"):
            client.vms_overview()
        with pytest.raises(Forbidden):
            client.vms_overview()
