from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import TOKEN, Caller, paging, rows, send_raw


@pytest.fixture
def em(world: World, server: StandInServer, clock: ManualClock, caller: Callable[..., Caller]) -> Caller:
    """250 rows, vm-0 the oldest."""
    for number in range(250):
        world.add_session(vm_name=f"vm-{number}", created_at=clock() - timedelta(minutes=250 - number))
    return caller(server)


@pytest.mark.parametrize(
    ("page", "count", "links"),
    [
        (1, 100, ["First", "Next", "Last"]),
        (2, 100, ["First", "Previous", "Next", "Last"]),
        (3, 50, ["First", "Previous", "Last"]),
        (4, 0, ["First", "Previous", "Last"]),
        (9, 0, ["First", "Last"]),
    ],
)
def test_pages_have_their_rows_and_links(em: Caller, page: int, count: int, links: list[str]) -> None:
    answer = em.query(pageSize=100, page=page, sortAsc="CreationTime")

    numbers, found = paging(answer)
    assert numbers == {"PageNum": page, "PageSize": 100, "PagesCount": 3}
    assert list(found) == links
    assert len(rows(answer)) == count


def test_all_pages_together_are_all_rows_once(em: Caller) -> None:
    pages = [em.names(pageSize=40, page=page, sortAsc="CreationTime") for page in range(1, 8)]

    assert [name for page in pages for name in page] == [f"vm-{number}" for number in range(250)]


def test_all_pages_of_an_unsorted_query_are_all_rows_once(em: Caller) -> None:
    pages = [em.names(pageSize=40, page=page) for page in range(1, 8)]

    found = [name for page in pages for name in page]
    assert sorted(found) == sorted(f"vm-{number}" for number in range(250))


def test_without_page_size_a_page_has_100_rows(em: Caller) -> None:
    answer = em.call("query?type=RestoreSession&format=Entities")

    assert paging(answer)[0] == {"PageNum": 1, "PageSize": 100, "PagesCount": 3}
    assert paging(answer)[1]["Next"].endswith("?type=RestoreSession&format=Entities&pageSize=100&page=2")
    assert len(rows(answer)) == 100


def test_or_everything_on_one_page_that_claims_100(em: Caller, server: StandInServer) -> None:
    server.switches.default_page = "all"

    answer = em.call("query?type=RestoreSession&format=Entities")

    assert paging(answer)[0] == {"PageNum": 1, "PageSize": 100, "PagesCount": 1}
    assert len(rows(answer)) == 250


def test_no_rows_are_one_empty_page(em: Caller) -> None:
    answer = em.query(filter="VmDisplayName==nobody")

    assert paging(answer)[0]["PagesCount"] == 1
    assert list(paging(answer)[1]) == ["First", "Last"]


def test_links_repeat_foreign_and_repeated_parameters_in_place(em: Caller, server: StandInServer) -> None:
    query = (
        "v=latest&Page=2&type=RestoreSession&colour=a%26b&PAGESIZE=10&v=latest&flag&filter=Name!=%22%3e é%22"
    )

    answer = send_raw(
        server.port,
        f"GET /api/query?{query} HTTP/1.1\r\nHost: em\r\nConnection: close\r\n{TOKEN}: {em.token}\r\n\r\n",
    )

    expected = (
        "http://em/api/query?v=latest&amp;Page=3&amp;type=RestoreSession&amp;colour=a%26b&amp;PAGESIZE=10"
        "&amp;v=latest&amp;flag=&amp;filter=Name!=%22%3e%20%C3%A9%22"
    )
    assert expected in answer.decode()


def test_links_are_absolute_and_can_be_followed(em: Caller) -> None:
    following = em.query(pageSize=100, sortAsc="CreationTime")
    found = len(rows(following))

    while "Next" in paging(following)[1]:
        following = em.call(paging(following)[1]["Next"])
        found += len(rows(following))

    assert found == 250


def test_paging_links_have_null_name_and_type_in_json(em: Caller) -> None:
    info = em.query(json=True, pageSize=100).json()["PagingInfo"]

    assert (info["PageNum"], info["PageSize"], info["PagesCount"]) == (1, 100, 3)
    assert info["Links"][0] == {
        "Rel": "First",
        "Href": info["Links"][0]["Href"],
        "Name": None,
        "Type": None,
    }


def test_rows_that_arrive_between_pages_shift_descending_pages(em: Caller, world: World) -> None:
    first = em.names(pageSize=100, page=1, sortDesc="CreationTime")

    world.add_session(vm_name="new")

    second = em.names(pageSize=100, page=2, sortDesc="CreationTime")
    assert first[-1] == second[0]


def test_list_resources_have_no_pages(em: Caller) -> None:
    answer = em.call("restoreSessions?pageSize=10")

    assert len(rows(answer, "Ref")) == 250
    assert b"PagingInfo" not in answer.content
