from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from json import loads

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from restorereports.emulator.api import answer
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.exchange import Request
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import Caller, error, rows, text
from tests.sizes import examples

SEVEN = datetime(2031, 5, 6, 7, tzinfo=UTC)


@pytest.fixture
def em(world: World, server: StandInServer, caller: Callable[..., Caller]) -> Caller:
    """Three rows: alpha succeeded at 7:00, beta failed at 8:00, gamma runs since 9:00."""
    world.add_session(vm_name="alpha", created_at=SEVEN)
    world.add_session(
        vm_name="beta", created_at=SEVEN + timedelta(hours=1), result="Failed", job_type="RestoreVm"
    )
    world.add_session(vm_name="gamma", created_at=SEVEN + timedelta(hours=2), state="Working")
    return caller(server)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('CreationTime>="2031-05-06T08:00:00Z"', ["beta", "gamma"]),
        ('CreationTime>"2031-05-06T08:00:00Z"', ["gamma"]),
        ('CreationTime<"2031-05-06T08:00:00Z"', ["alpha"]),
        ('CreationTime<="2031-05-06T08:00:00Z"', ["alpha", "beta"]),
        ('CreationTime=="2031-05-06T08:00:00Z"', ["beta"]),
        ('CreationTime!="2031-05-06T08:00:00Z"', ["alpha", "gamma"]),
        ("CreationTime>=2031-05-06 08:00:00", ["beta", "gamma"]),
        ("creationtime>=2031-05-06T08:00:00;CREATIONTIME<2031-05-06T09:00:00", ["beta"]),
        ("CreationTime>=2031-05-06", ["alpha", "beta", "gamma"]),
        ("CreationTime>2031-05-07;CreationTime<2031-05-06", []),
        ("CreationTime>=2031-05-06T09:00:00Z,Result==Failed", ["beta", "gamma"]),
        ("Result==failed", ["beta"]),
        ("Result>=Warning", ["beta", "gamma"]),
        ("Result<None", ["alpha", "beta"]),
        ("State!=STOPPED", ["gamma"]),
        ("State<Stopped", ["gamma"]),
        ("Type==restorevm", ["beta"]),
        ("Type<RestoreVm", ["alpha", "gamma"]),
        ('VmDisplayName=="ALPHA"', ["alpha"]),
        ('Name=="FLR_[alpha]@2031-05-06 07:00:00"', ["alpha"]),
        ("VmDisplayName>alpha;(Result==Failed,State==Working)", ["beta", "gamma"]),
        ("Result==Failed,Result==Success;State==Working", ["beta"]),
        ("BackupServerName==vbr-east.example.test", ["alpha", "beta", "gamma"]),
        ("EndTime<2031-05-07", ["alpha", "beta"]),
        ('EndTime!="2031-05-06T07:05:00Z"', ["beta", "gamma"]),
        ("Result==Banana", []),
        ("Result<Banana", []),
        ("", ["alpha", "beta", "gamma"]),
    ],
)
def test_filters_find_what_they_say(em: Caller, text: str, names: list[str]) -> None:
    assert em.names(filter=text, sortAsc="CreationTime") == names


def test_uids_are_compared_as_urn_or_guid(em: Caller, world: World) -> None:
    row, server = world.visible_sessions()[1], world.backup_servers()[0]

    assert em.names(filter=f'UID=="{row.uid}"') == ["beta"]
    assert em.names(filter=f"uid=={row.guid.upper()}") == ["beta"]
    assert len(em.names(filter=f"BackupServerUid=={server.uid}")) == 3
    assert len(em.names(filter=f'BackupServerUid=="{server.guid}"')) == 3


def test_absent_values_pass_only_the_unequal(em: Caller, world: World) -> None:
    world.add_session(vm_name=None, result=None, created_at=SEVEN)

    assert len(em.names(filter="VmDisplayName!=alpha")) == 3
    assert len(em.names(filter="VmDisplayName>a")) == 3
    assert len(em.names(filter="Result!=Failed")) == 3
    assert len(em.names(filter="Result<=None")) == 3


@pytest.mark.parametrize("name", ["wiki[old]", 'r&d "lab" 7', "c++;build,(1)", "бухгалтерия-1", "50%25 off"])
def test_awkward_names_are_found_when_quoted(em: Caller, world: World, name: str) -> None:
    world.add_session(vm_name=name)
    quoted = name.replace('"', '""')

    assert em.names(filter=f'VmDisplayName=="{quoted}"') == [name]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"filter": "Colour==red"}, "There is no such field."),
        ({"filter": "JobType==RestoreVm"}, "There is no such field."),
        ({"sortAsc": "CreationTimeUTC"}, "There is no such field."),
        ({"filter": "Name="}, "A field and an operator are expected at position 1 of the filter."),
        ({"filter": "CreationTime>yesterday"}, "yesterday is not a date."),
        ({"filter": "CreationTime>9999-99-99"}, "9999-99-99 is not a date."),
        ({"format": "Picture"}, "The format is unknown."),
        ({"pageSize": "0"}, "pageSize must be a positive number."),
        ({"pageSize": "-5"}, "pageSize must be a positive number."),
        ({"page": "first"}, "page must be a positive number."),
    ],
)
def test_a_bad_query_is_answered_with_400(em: Caller, parameters: dict[str, str], message: str) -> None:
    assert error(em.query(**parameters)) == (400, message)


@pytest.mark.parametrize("path", ["query", "query?type=", "query?type=Colour"])
def test_a_type_that_does_not_exist_is_answered_with_400(em: Caller, path: str) -> None:
    assert error(em.call(path)) == (400, "The query type is unknown.")


def test_a_number_must_be_one(em: Caller) -> None:
    assert error(em.query("BackupServer", filter="Port==many"))[0] == 400


def test_bad_queries_can_be_switched_to_500(em: Caller, server: StandInServer) -> None:
    server.switches.bad_query_status = 500

    assert error(em.query(filter="Colour==red"))[0] == 500
    assert error(em.call("restoreSessions?format=Picture"))[0] == 500


def test_a_lenient_server_knows_the_names_of_the_body(em: Caller, server: StandInServer) -> None:
    server.switches.lenient_fields = True

    found = em.names(filter="JobType==RestoreVm;CreationTimeUTC>2031-05-06", sortAsc="CreationTimeUTC")

    assert found == ["beta"]


@pytest.mark.parametrize(
    ("order", "names"),
    [
        ({"sortAsc": "CreationTime"}, ["alpha", "beta", "gamma"]),
        ({"sortDesc": "creationtime"}, ["gamma", "beta", "alpha"]),
        ({"sortdesc": "vmdisplayname"}, ["gamma", "beta", "alpha"]),
        ({"sortAsc": "Result"}, ["alpha", "beta", "gamma"]),
        ({"sortAsc": "EndTime"}, ["gamma", "alpha", "beta"]),
        ({"sortDesc": "Type"}, ["beta", "alpha", "gamma"]),
    ],
)
def test_rows_are_sorted_as_asked(em: Caller, order: dict[str, str], names: list[str]) -> None:
    found = em.names(**order)

    if "Type" in order.values():
        assert found[0] == names[0]
    else:
        assert found == names


def test_without_sorting_the_order_has_nothing_to_do_with_time(em_with_history: Caller) -> None:
    found = rows(em_with_history.query(pageSize=50))

    times = [text(row, "CreationTimeUTC") or "" for row in found]
    assert times not in (sorted(times), sorted(times, reverse=True))


def test_the_query_can_be_limited_to_some_days(em: Caller, server: StandInServer, clock: ManualClock) -> None:
    clock.advance(3 * 86_400)
    before = len(em.call("query?type=RestoreSession").content)
    em.log_on()

    server.switches.query_days = 2

    assert before > 0
    assert em.names() == []


def test_references_are_the_default_format(em: Caller) -> None:
    answer = em.call("query?type=RestoreSession&filter=Result==Failed")

    references = rows(answer, "Ref")
    assert [found.get("Type") for found in references] == ["RestoreSessionReference"]
    assert [link.get("Rel") for link in references[0].iter("{*}Link")] == ["Up", "Alternate"]


def test_no_rows_are_an_empty_container(em: Caller) -> None:
    filtered = {"filter": "VmDisplayName==nobody"}

    answer, body = em.query(**filtered), em.query(**filtered, json=True).json()

    assert rows(answer) == []
    assert body["Entities"]["RestoreSessions"] == {"RestoreSessions": []}


def test_backup_servers_are_queried_by_their_fields(em: Caller, world: World) -> None:
    world.add_server("vbr-hill.example.test", port=9999, description="Away")

    assert em.names("backupServer", filter="Port>9392") == []
    found = em.query("BackupServer", filter="port>9392;Description==away;Version!=1;IpOrDnsName>a")
    assert [row.get("Name") for row in rows(found, "BackupServer")] == ["vbr-hill.example.test"]


@pytest.mark.parametrize("kind", ["VmRestorePoint", "RestorePoint", "BackupJobSession", "BackupTaskSession"])
def test_other_types_are_queried_in_both_formats(em_with_history: Caller, kind: str) -> None:
    entities = em_with_history.query(kind, pageSize=20, sortDesc="CreationTime")
    references = em_with_history.query(kind, pageSize=20, format="References")

    found = rows(entities, kind)
    assert len(found) == len(rows(references, "Ref")) == 20
    assert all((row.get("UID") or "").startswith(f"urn:veeam:{kind}:") for row in found)
    assert all(row.get("Type") == f"{kind}Reference" for row in rows(references, "Ref"))


def test_vm_restore_points_of_a_window_lead_to_vm_server_and_time(em_with_history: Caller) -> None:
    answer = em_with_history.query(
        "VmRestorePoint", sortAsc="CreationTime", filter='CreationTime>="2031-05-05T00:00:00Z"', pageSize=500
    )

    found = rows(answer, "VmRestorePoint")
    kinds = [[link.get("Type") for link in row.iter("{*}Link") if link.get("Rel") == "Up"] for row in found]
    assert len(found) > 100
    assert all(
        up == ["BackupServerReference", "RestorePointReference", "BackupFileReference"] for up in kinds
    )
    assert next(iter(found[0].iter("{*}Link"))).get("Rel") == "Restore"
    assert any(row.get("VmDisplayName") is None for row in found)
    assert any(text(row, "VmName") is None for row in found)
    assert any(text(row, "HierarchyObjRef") is None for row in found)
    assert {text(row, "PointType") for row in found} <= {"Full", "Increment"}


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Result", "State", "Type"]),
            st.sampled_from(["==", "!="]),
            st.sampled_from(["Success", "Failed", "Stopped", "RestoreVm"]),
        ),
        min_size=1,
        max_size=3,
    ),
    st.booleans(),
)
@settings(
    max_examples=examples(15), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_answer_equals_the_filter_applied_to_the_rows(
    em_with_history: Caller, history: World, terms: list[tuple[str, str, str]], both: bool
) -> None:
    attributes = {"Result": "result", "State": "state", "Type": "job_type"}
    expected = {
        row.uid
        for row in history.visible_sessions()
        if (all if both else any)(
            (getattr(row, attributes[field]) == value) is (operator == "==")
            for field, operator, value in terms
        )
    }

    answer = em_with_history.query(
        filter=(";" if both else ",").join("".join(term) for term in terms), pageSize=2000
    )

    assert {row.get("UID") for row in rows(answer)} == expected


NAMES = st.sampled_from(["type", "format", "filter", "sortAsc", "sortDesc", "pageSize", "page", "v", ""])
VALUES = st.sampled_from(
    [
        "RestoreSession",
        "Entities",
        "Name==a",
        "CreationTime>=0001-01-01T00:00:00%2b02:00",
        "CreationTime",
        "5",
        "%20" * 13 + "5",
    ]
) | st.text(alphabet='%2Bé"<>=;,() 0Az²\u202e', max_size=12)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=5), st.booleans())
@settings(
    max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_query_is_answered_or_refused(
    server: StandInServer, pairs: list[tuple[str, str]], json: bool
) -> None:
    token = (server.logons.log_on("Basic bWlycm9yOm1pcnJvcg==") or pytest.fail("no logon")).token
    query = "&".join(f"{name}={value}" for name, value in pairs).encode().decode("latin-1")
    headers = {"x-restsvcsessionid": token, "accept": "application/json" if json else "*/*"}

    reply = answer(server.service, Request("GET", "/api/query", query, headers), scheme="https")

    assert reply.status in {200, 400, 403}
    if json:
        loads(reply.body)
    else:
        etree.fromstring(reply.body)
