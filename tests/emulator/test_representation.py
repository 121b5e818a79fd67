from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from lxml import etree

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import NAMESPACE, Caller, error, rows, text, xml

SESSION_MEMBERS = (
    "RestoredObjRef VmDisplayName JobUid JobName JobType CreationTimeUTC EndTimeUTC State Result Progress "
    "FailureMessage Name UID Links Href Type"
)


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "application/xml"),
        ("*/*", "application/xml"),
        ("application/xml", "application/xml"),
        ("application/json", "application/json; charset=utf-8"),
        ("application/xml, application/json;q=0.1", "application/json; charset=utf-8"),
        ("text/html", "application/xml"),
    ],
)
def test_json_is_sent_when_it_is_accepted_at_all(em: Caller, accept: str, content_type: str) -> None:
    answer = em.call("restoreSessions", headers={"Accept": accept})

    assert answer.headers["Content-Type"] == content_type
    assert answer.headers["Content-Length"] == str(len(answer.content))


def flat(element: etree._Element) -> dict[str, Any]:
    """An XML entity in the shape of its JSON, without the nulls."""
    found: dict[str, Any] = {str(name): value for name, value in element.attrib.items()}
    for child in element:
        name = etree.QName(child).localname
        if name == "Links":
            found[name] = [dict(link.attrib) for link in child]
        else:
            found[name] = child.text or ""
    return found


def plain(value: Any) -> Any:
    """A JSON value without nulls, scalars as text."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return str(value)


def test_xml_and_json_tell_the_same(em_with_history: Caller) -> None:
    parameters: dict[str, Any] = {"sortAsc": "CreationTime", "pageSize": 1500}

    from_xml = [flat(row) for row in rows(em_with_history.query(**parameters))]
    body = em_with_history.query(json=True, **parameters).json()

    from_json = [plain(row) for row in body["Entities"]["RestoreSessions"]["RestoreSessions"]]
    assert len(from_xml) > 1100
    assert from_xml == from_json


def test_the_wire_tells_what_the_world_holds(em_with_history: Caller, history: World) -> None:
    body = em_with_history.query(json=True, sortAsc="CreationTime", pageSize=1500).json()

    sent = body["Entities"]["RestoreSessions"]["RestoreSessions"]
    for row, record in zip(sent, history.visible_sessions(), strict=True):
        links = {link["Rel"]: link for link in row["Links"]}
        assert (row["UID"], row["Name"], row["VmDisplayName"]) == (record.uid, record.name, record.vm_name)
        assert (row["State"], row["Result"], row["Progress"]) == (
            record.state,
            record.result,
            record.progress,
        )
        assert (row["CreationTimeUTC"], row["EndTimeUTC"]) == (record.created_text, record.ended_text)
        assert links["Up"]["Name"] == record.backup_server_name
        assert ("Related" in links) is (record.restore_point_uid is not None)


def test_a_session_in_json_has_all_its_members_in_order(em: Caller, world: World) -> None:
    world.add_session(vm_name="wiki[old]", state="Working", progress=12)

    row = em.query(json=True).json()["Entities"]["RestoreSessions"]["RestoreSessions"][0]

    assert list(row) == SESSION_MEMBERS.split()
    assert row["EndTimeUTC"] is None
    assert row["Progress"] == 12


def test_a_query_result_in_json_lists_other_entities_as_null(em: Caller) -> None:
    body = em.query(json=True).json()

    assert list(body) == ["Refs", "Entities", "Resources", "Links", "PagingInfo"]
    assert body["Refs"] is None
    assert "EnterpiseRoles" in body["Entities"]
    assert [name for name, value in body["Entities"].items() if value is not None] == ["RestoreSessions"]


def test_references_are_doubly_wrapped_in_json(em: Caller, world: World) -> None:
    world.add_session()

    assert len(em.call("query?type=RestoreSession", json=True).json()["Refs"]["Refs"]) == 1
    assert len(em.call("restoreSessions", json=True).json()["Refs"]) == 1
    assert len(em.call("restoreSessions?format=Entity", json=True).json()["RestoreSessions"]) == 1


def test_nulls_can_be_left_out_of_json(em: Caller, world: World, server: StandInServer) -> None:
    world.add_session(state="Working")
    server.switches.nulls = "omit"

    body = em.query(json=True).json()

    assert "EndTimeUTC" not in body["Entities"]["RestoreSessions"]["RestoreSessions"][0]
    assert list(body) == ["Entities", "PagingInfo"]


def test_camel_case_changes_names_and_no_values(em: Caller, world: World, server: StandInServer) -> None:
    world.add_session(vm_name="Wiki")
    server.switches.json_casing = "camel"

    body = em.query(json=True).json()

    row = body["entities"]["restoreSessions"]["restoreSessions"][0]
    assert {"uid", "vmDisplayName", "creationTimeUTC", "jobType", "links"} <= set(row)
    assert row["links"][0]["rel"] == "Up"
    assert (row["vmDisplayName"], row["jobType"]) == ("Wiki", "FileLevelRestore")
    assert body["pagingInfo"]["pagesCount"] == 1
    assert {"nasJobs", "enterpiseRoles"} <= set(body["entities"])


def test_a_byte_order_mark_can_be_switched_on(em: Caller, server: StandInServer) -> None:
    server.switches.bom = True

    in_json, in_xml = em.query(json=True), em.query()

    assert in_json.content.startswith(b"\xef\xbb\xbf{")
    assert in_xml.content.startswith(b"\xef\xbb\xbf<?xml")
    assert json.loads(in_json.content.decode("utf-8-sig"))


def test_the_order_of_attributes_varies_unless_it_is_fixed(
    em: Caller, world: World, server: StandInServer
) -> None:
    world.add_session()

    varying = {tuple(rows(em.query())[0].attrib) for _ in range(6)}
    server.switches.attribute_order = "fixed"
    fixed = {tuple(rows(em.query())[0].attrib) for _ in range(6)}

    assert len(varying) == 3
    assert fixed == {("Href", "Type", "Name", "UID", "VmDisplayName")}


def test_links_come_first_and_the_server_is_the_first_link(em_with_history: Caller) -> None:
    for row in rows(em_with_history.query(pageSize=200)):
        links = next(iter(row))

        assert links.tag == f"{NAMESPACE}Links"
        assert links[0].get("Type") == "BackupServerReference"


def test_every_element_is_in_the_namespace(em_with_history: Caller) -> None:
    body = xml(em_with_history.query(pageSize=5))

    assert all(str(element.tag).startswith(NAMESPACE) for element in body.iter())


def test_special_characters_are_escaped_in_addresses_and_names(em: Caller, world: World) -> None:
    world.add_session(vm_name='r&d <"lab"> o\'clock')

    answer = em.query(pageSize=1)

    assert "r&amp;d &lt;&quot;lab&quot;&gt; o&apos;clock" in answer.text
    assert "format=Entities&amp;pageSize=1&amp;page=1" in answer.text


@pytest.mark.parametrize("host", ["em.example.test:9398", "em2.example.test"])
def test_addresses_bear_the_name_the_server_believes_in(
    em: Caller, world: World, server: StandInServer, host: str
) -> None:
    world.add_session()
    server.switches.href_host = host

    row = rows(em.query())[0]

    assert (row.get("Href") or "").startswith(f"http://{host}/api/restoreSessions/")


def test_or_the_name_that_was_dialled(em: Caller, world: World) -> None:
    world.add_session()

    answer = em.query(json=True)
    other = em.call("restoreSessions", headers={"Host": "proxy.example.test"})

    row = answer.json()["Entities"]["RestoreSessions"]["RestoreSessions"][0]
    assert row["Href"].startswith(em.url)
    assert (rows(other, "Ref")[0].get("Href") or "").startswith("http://proxy.example.test/api/")


def test_an_error_has_no_status_attribute_and_a_null_in_json(em: Caller) -> None:
    in_xml, in_json = em.query(filter="Colour==red"), em.query(filter="Colour==red", json=True)

    assert error(in_xml) == (400, "There is no such field.")
    assert text(xml(in_xml), "FirstChanceExceptionMessage") == "There is no such field."
    assert in_json.json() == {
        "FirstChanceExceptionMessage": "There is no such field.",
        "Message": "There is no such field.",
        "StackTrace": None,
        "Status": None,
        "StatusCode": 400,
    }


def test_the_head_of_an_answer_is_that_of_the_service(em: Caller) -> None:
    answer = em.query(filter="Colour==red")

    assert answer.headers["Server"] == "Microsoft-HTTPAPI/2.0"
    assert answer.reason == "BadRequest"
    assert parsedate_to_datetime(answer.headers["Date"]) == datetime(2031, 5, 6, 12, tzinfo=UTC)


def test_an_empty_description_is_an_empty_element(em: Caller, world: World) -> None:
    world.add_server("vbr-hill.example.test", description="")

    answer = em.call("backupServers?format=Entity")

    assert "<Description />" in answer.text


def test_one_writer_serves_many_callers(
    em_with_history: Caller, history_server: StandInServer, caller: Callable[..., Caller]
) -> None:
    second = caller(history_server)

    one, other = em_with_history.names(sortAsc="CreationTime"), second.names(sortAsc="CreationTime")

    assert one == other
