"""What published clients of EM do, each habit once: the stand-in must serve them as a real server does."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import requests

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import TOKEN, Caller, error, paging, rows, send_raw, text, xml

Calling = Callable[..., Caller]


@pytest.fixture
def em(world: World, server: StandInServer, clock: ManualClock, caller: Calling) -> Caller:
    """Three rows, an hour apart; the second failed, the third runs."""
    for hours, fields in enumerate(({}, {"result": "Failed"}, {"state": "Working"})):
        world.add_session(vm_name=f"vm-{hours}", created_at=clock() - timedelta(hours=3 - hours), **fields)
    return caller(server)


def ask(em: Caller, target: str) -> str:
    """The body of an answer to a request whose target is sent as it stands."""
    port = int(em.url.rpartition(":")[2])
    head = f"GET {target} HTTP/1.1\r\nHost: em\r\nConnection: close\r\n{TOKEN}: {em.token}\r\n\r\n"
    return send_raw(port, head).decode().partition("\r\n\r\n")[2]


def vm_names(body: str) -> list[str]:
    return sorted(re.findall(r'VmDisplayName="([^"]*)"', body))


def test_the_server_is_read_from_the_first_link(em: Caller, world: World) -> None:
    body = em.call("restoreSessions?format=Entity", json=True).json()

    assert {row["Links"][0]["Name"] for row in body["RestoreSessions"]} == {world.backup_servers()[0].name}


def test_the_token_is_computed_from_the_body(server: StandInServer, caller: Calling) -> None:
    stranger = caller(server, None)
    body = stranger.http.post(
        f"{server.url}/api/sessionMngr/?v=latest",
        auth=("mirror", "mirror"),
        headers={"Accept": "application/json"},
        timeout=10,
    ).json()

    stranger.token = base64.b64encode(body["SessionId"].encode()).decode()

    assert stranger.call("restoreSessions").status_code == 200


def test_the_token_is_read_from_a_header_in_lower_case(server: StandInServer) -> None:
    answer = requests.post(f"{server.url}/api/sessionMngr/", auth=("mirror", "mirror"), timeout=10)

    headers = {"x-restsvcsessionid": answer.headers["x-restsvcsessionid"]}

    assert requests.get(f"{server.url}/api/backupServers", headers=headers, timeout=10).status_code == 200


def test_next_is_followed_as_it_stands_with_one_more_version_each_time(em: Caller) -> None:
    following = em.query(pageSize=1, sortAsc="CreationTime", v="latest")
    found = [row.get("VmDisplayName") for row in rows(following)]

    while "Next" in paging(following)[1]:
        following = em.call(paging(following)[1]["Next"], params={"v": "latest"})
        found += [row.get("VmDisplayName") for row in rows(following)]

    assert found == ["vm-0", "vm-1", "vm-2"]
    assert following.request.url is not None
    assert following.request.url.count("v=latest") == 3


def test_parameter_names_come_in_any_case(em: Caller) -> None:
    answer = em.call(
        "query?Type=restoresession&Format=ENTITIES&Filter=result==FAILED&SortDesc=name&PageSize=5&Page=1"
    )

    assert [row.get("VmDisplayName") for row in rows(answer)] == ["vm-1"]


@pytest.mark.parametrize("version", ["v1_4", "1_4"])
def test_the_version_is_pinned_to_an_old_one(server: StandInServer, caller: Calling, version: str) -> None:
    stranger = caller(server, None)

    answer = stranger.http.post(
        f"{server.url}/api/sessionMngr/?v={version}", auth=("mirror", "mirror"), timeout=10
    )

    assert answer.status_code == 201


def test_no_page_size_is_sent_and_next_is_not_followed(em: Caller) -> None:
    assert len(rows(em.call("query?type=RestoreSession&format=Entities"))) == 3


def test_resource_names_come_in_any_case_with_doubled_and_trailing_slashes(em: Caller) -> None:
    statuses = [
        em.call(path).status_code for path in ("backupservers/", "/RESTORESESSIONS//", "/catalog//VMS")
    ]

    assert statuses == [200, 200, 200]


def test_a_session_is_opened_at_a_doubled_slash(server: StandInServer) -> None:
    answer = requests.post(f"{server.url}/api//sessionMngr/?v=v1_4", auth=("mirror", "mirror"), timeout=10)

    assert answer.status_code == 201


@pytest.mark.parametrize("casing", ["pascal", "camel"])
def test_json_is_read_without_regard_to_case(em: Caller, server: StandInServer, casing: str) -> None:
    server.switches.json_casing = casing  # type: ignore[assignment]

    body = em.query(json=True, filter="Result==Failed").text.lower()

    found = json.loads(body)["entities"]["restoresessions"]["restoresessions"]
    assert [row["vmdisplayname"] for row in found] == ["vm-1"]


def test_the_filter_is_not_encoded(em: Caller) -> None:
    body = ask(
        em, '/api/query?type=RestoreSession&format=Entities&filter=CreationTime>="2031-05-06T10:00:00Z"'
    )

    assert vm_names(body) == ["vm-1", "vm-2"]


def test_the_filter_holds_bare_spaces_and_no_quotes(em: Caller) -> None:
    body = ask(
        em,
        "/api/query?type=RestoreSession&format=Entities&filter=CreationTime >= 2031-05-06 10:00:00;Result==None",
    )

    assert vm_names(body) == ["vm-2"]


def test_spaces_of_an_unquoted_value_are_dropped_silently(em: Caller, world: World) -> None:
    world.add_session(vm_name="web srv 1")

    assert em.names(filter="VmDisplayName==web srv 1") == []
    assert em.names(filter='VmDisplayName=="web srv 1"') == ["web srv 1"]


def test_a_second_condition_joined_by_an_ampersand_is_ignored(em: Caller) -> None:
    body = ask(
        em, "/api/query?type=RestoreSession&format=Entities&filter=CreationTime>=2031-05-06&Result==Failed"
    )

    assert vm_names(body) == ["vm-0", "vm-1", "vm-2"]


def test_a_wrong_cookie_beats_the_new_header_after_a_second_logon(em: Caller) -> None:
    old = em.token
    em.call(f"logonSessions/{em.session_id}", method="DELETE")
    em.log_on()

    answer = em.call("restoreSessions", headers={"Cookie": f"{TOKEN}={old}"})

    assert error(answer)[0] == 401
    assert em.call("restoreSessions").status_code == 200


def test_the_first_logon_session_of_the_list_is_ended_whosever_it_is(
    server: StandInServer, caller: Calling
) -> None:
    victim, administrator = caller(server), caller(server, "admin")
    first = administrator.call("logonSessions", json=True).json()["LogonSessions"][0]

    administrator.call(f"logonSessions/{first['SessionId']}", method="DELETE")

    assert victim.call("restoreSessions").status_code == 401


def test_a_running_session_says_none(em: Caller) -> None:
    row = rows(em.query(filter="State==Working"))[0]

    assert (text(row, "Result"), text(row, "EndTimeUTC")) == ("None", None)


def test_the_identifier_is_the_last_part_of_the_address(em: Caller) -> None:
    for row in rows(em.call("restoreSessions"), "Ref"):
        address = row.get("Href") or ""

        assert (row.get("UID") or "").rpartition(":")[2] == address.rpartition("/")[2]


def test_attributes_are_cut_out_of_the_text_with_regular_expressions(em: Caller) -> None:
    body = em.query(pageSize=1).text

    address = re.search(r'Rel="Next"[^>]*Href="([^"]+)"|Href="([^"]+)"[^>]*Rel="Next"', body)

    assert address is not None
    following = (address[1] or address[2]).replace("&amp;", "&")
    assert len(rows(em.call(following))) == 1


def test_dates_are_cut_to_nineteen_characters(em: Caller) -> None:
    found = [(text(row, "CreationTimeUTC") or "")[:19] for row in rows(em.query(sortAsc="CreationTime"))]

    assert found == ["2031-05-06T09:00:00", "2031-05-06T10:00:00", "2031-05-06T11:00:00"]


def test_an_empty_logon_claims_to_be_json(server: StandInServer) -> None:
    answer = requests.post(
        f"{server.url}/api/sessionMngr/?v=latest",
        auth=("mirror", "mirror"),
        headers={"Content-Type": "application/json", "Accept": "application/json"},
        timeout=10,
    )

    assert answer.status_code == 201
    assert answer.json()["Links"][-1]["Rel"] == "Delete"


def test_a_form_is_sent_as_logon(server: StandInServer) -> None:
    answer = requests.post(
        f"{server.url}/api/sessionMngr/?v=latest", auth=("mirror", "mirror"), data={"x": "y"}, timeout=10
    )

    assert answer.status_code == 415


def test_a_missing_object_may_be_400_or_500(em: Caller, server: StandInServer) -> None:
    server.switches.missing_status = 400

    assert em.call("restoreSessions/5b1d7e40-2f6a-4c8e-9d13-a7c05e9b1f01").status_code == 400


def test_a_byte_order_mark_breaks_a_naive_parser(em: Caller, server: StandInServer) -> None:
    server.switches.bom = True

    answer = em.query(json=True)

    with pytest.raises(ValueError):
        json.loads(answer.content.decode("utf-8"))


def test_the_wrong_port_path_is_answered_with_404(server: StandInServer) -> None:
    assert requests.get(f"{server.url}/api/v1/serverInfo", timeout=10).status_code == 401
    assert requests.get(f"{server.url}/v1/serverInfo", timeout=10).status_code == 404


def test_a_task_that_has_finished_is_no_collection_that_has(em: Caller, world: World) -> None:
    answer = em.call(f"backupServers/{world.backup_servers()[0].guid}?action=collect", method="POST")

    task = xml(em.call((xml(answer).get("Href") or "").partition("/api/")[2]))

    assert text(task, "State") == "Finished"


def test_the_next_relation_is_looked_up_in_a_single_page(em: Caller) -> None:
    assert "Next" not in paging(em.query(pageSize=100))[1]
    assert paging(em.query(pageSize=100))[0]["PagesCount"] == 1
