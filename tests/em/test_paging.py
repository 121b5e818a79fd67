"""The walk over pages, against a server that says one thing about itself and does another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from restorereports.em import paging
from restorereports.em.client import EnterpriseManagerClient, Page
from restorereports.em.entities import RestoreSessionEntity, read_restore_session
from restorereports.em.failures import ServerFailing, UnexpectedAnswer
from restorereports.em.markup import parse_xml
from restorereports.em.paging import Sheet, read_sheet
from tests.em.scripted_server import (
    XMLNS,
    Asked,
    Reply,
    ScriptedServer,
    error,
    paging_info,
    query_result,
    restore_session,
)

ClientOf = Callable[..., EnterpriseManagerClient]


def rows(first: int, last: int) -> list[str]:
    return [restore_session(number) for number in range(first, last + 1)]


def serve(em: ScriptedServer, total: int, *, info: Callable[[Asked, int], str]) -> None:
    """`total` rows, cut into pages honestly; `info` writes the PagingInfo."""

    def script(asked: Asked) -> Reply:
        size = int(asked.query["pageSize"])
        begin = (asked.page - 1) * size + 1
        return Reply(
            query_result(rows(begin, min(begin + size - 1, total)), paging=info(asked, -(-total // size)))
        )

    em.on("GET", "/api/query", script)


def walked(
    em: ScriptedServer, client_of: ClientOf, *, page_size: int = 2
) -> list[Page[RestoreSessionEntity]]:
    with client_of(em) as client:
        return list(client.restore_session_pages(since=None, page_size=page_size))


def sheet_of(text: str) -> Sheet[RestoreSessionEntity]:
    return read_sheet(parse_xml(text.encode()), type_="RestoreSession", read=read_restore_session)


def numbers(pages: list[Page[RestoreSessionEntity]]) -> list[int]:
    return [int(item.uid[-12:]) for page in pages for item in page.items]


def asked_pages(em: ScriptedServer) -> list[int]:
    return [asked.page for asked in em.asked_for("GET", "/api/query")]


def test_every_page_is_read_in_the_documented_way(em: ScriptedServer, client_of: ClientOf) -> None:
    serve(em, 5, info=lambda asked, count: paging_info(number=asked.page, size=2, count=count))

    with client_of(em) as client:
        since = datetime(2031, 5, 1, tzinfo=UTC)
        pages = list(client.restore_session_pages(since=since, page_size=2))

    assert numbers(pages) == [1, 2, 3, 4, 5]
    assert [(page.number, page.pages_count, page.restarted) for page in pages] == [
        (1, 3, False),
        (2, 3, False),
        (3, 3, False),
    ]
    assert em.asked_for("GET", "/api/query")[0].query == {
        "type": "RestoreSession",
        "format": "Entities",
        "sortAsc": "CreationTime",
        "pageSize": "2",
        "page": "1",
        "filter": 'CreationTime>="2031-05-01T00:00:00Z"',
    }


@pytest.mark.parametrize("count", [None, 0, 1])
def test_no_rows_are_one_empty_page(em: ScriptedServer, client_of: ClientOf, count: int | None) -> None:
    em.on("GET", "/api/query", Reply(query_result([], paging=paging_info(number=0, count=count))))

    pages = walked(em, client_of)

    assert [page.items for page in pages] == [()]
    assert asked_pages(em) == [1]


@pytest.mark.parametrize("count", [None, 0, 1, 2])
def test_a_pages_count_that_is_absent_or_too_small_loses_no_rows(
    em: ScriptedServer, client_of: ClientOf, count: int | None
) -> None:
    serve(em, 7, info=lambda asked, true: paging_info(count=count) if count is not None else "")

    pages = walked(em, client_of)

    assert numbers(pages) == [1, 2, 3, 4, 5, 6, 7]
    assert asked_pages(em) == [1, 2, 3, 4]


def test_a_smaller_page_size_of_the_server_is_seen_as_a_full_page(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    serve_two = lambda asked: Reply(  # noqa: E731
        query_result(rows(asked.page * 2 - 1, min(asked.page * 2, 3)), paging=paging_info(size=2, count=1))
    )
    em.on("GET", "/api/query", serve_two)

    pages = walked(em, client_of, page_size=500)

    assert numbers(pages) == [1, 2, 3]


@pytest.mark.parametrize(
    "beyond",
    [
        Reply(query_result([])),
        Reply(query_result(rows(3, 4), paging=paging_info(number=2, count=2))),
        Reply(query_result(rows(3, 4))),
        error(400, "No such page."),
        error(404, "No such page."),
        error(500, "Index was out of range."),
    ],
    ids=["empty", "last page by number", "last page again", "400", "404", "500"],
)
def test_where_the_last_page_is_full_one_more_is_asked_and_may_be_missing(
    em: ScriptedServer, client_of: ClientOf, beyond: Reply
) -> None:
    serve(em, 4, info=lambda asked, count: paging_info(number=asked.page, count=count))
    honest = em.scripts["GET", "/api/query"]
    em.on("GET", "/api/query", lambda asked: honest(asked) if asked.page < 3 else beyond)

    pages = walked(em, client_of)

    assert numbers(pages) == [1, 2, 3, 4]


def test_an_overloaded_server_beyond_the_end_is_a_failure(em: ScriptedServer, client_of: ClientOf) -> None:
    serve(em, 4, info=lambda asked, count: paging_info(count=count))
    honest = em.scripts["GET", "/api/query"]
    em.on("GET", "/api/query", lambda asked: honest(asked) if asked.page < 3 else error(503, "Busy."))

    with pytest.raises(ServerFailing):
        walked(em, client_of)


def test_a_growing_number_of_pages_is_followed(em: ScriptedServer, client_of: ClientOf) -> None:
    serve(em, 7, info=lambda asked, count: paging_info(count=min(asked.page + 1, count)))

    assert numbers(walked(em, client_of)) == [1, 2, 3, 4, 5, 6, 7]


def test_a_shrinking_number_of_pages_begins_the_walk_again(em: ScriptedServer, client_of: ClientOf) -> None:
    counts = iter([3, 2, 2, 2])
    serve(em, 3, info=lambda asked, count: paging_info(count=next(counts)))

    pages = walked(em, client_of)

    assert [(page.number, page.restarted) for page in pages] == [(1, False), (1, True), (2, False)]
    assert asked_pages(em) == [1, 2, 1, 2]


def test_a_number_of_pages_that_keeps_shrinking_is_given_up(em: ScriptedServer, client_of: ClientOf) -> None:
    serve(em, 9, info=lambda asked, count: paging_info(count=9 if asked.page == 1 else 3))

    with pytest.raises(UnexpectedAnswer, match="shrank"):
        walked(em, client_of)

    assert asked_pages(em) == [1, 2] * 4


def test_another_page_than_the_one_asked_for_is_refused(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/query", Reply(query_result(rows(1, 2), paging=paging_info(number=1, count=3))))

    with pytest.raises(UnexpectedAnswer, match="Page 1 came instead of page 2"):
        walked(em, client_of)


def test_a_server_that_knows_no_pages_is_refused_and_not_asked_for_ever(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("GET", "/api/query", Reply(query_result(rows(1, 2))))

    with pytest.raises(UnexpectedAnswer, match="same page came twice"):
        walked(em, client_of)


def test_announced_pages_that_stay_empty_are_given_up(em: ScriptedServer, client_of: ClientOf) -> None:
    serve(em, 2, info=lambda asked, count: paging_info(count=1_000_000))

    with pytest.raises(UnexpectedAnswer, match="are empty"):
        walked(em, client_of)

    assert len(asked_pages(em)) == 12


def test_one_announced_page_too_many_is_no_failure(em: ScriptedServer, client_of: ClientOf) -> None:
    serve(em, 4, info=lambda asked, count: paging_info(count=count + 1))

    assert numbers(walked(em, client_of)) == [1, 2, 3, 4]


def test_pages_without_end_are_given_up(
    em: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paging, "MAX_PAGES", 5)
    serve(em, 1000, info=lambda asked, count: "")

    with pytest.raises(UnexpectedAnswer, match="More than 5 pages"):
        walked(em, client_of)


def test_one_page_is_asked_for_only_when_the_one_before_has_been_taken(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    serve(em, 4, info=lambda asked, count: paging_info(count=count))

    with client_of(em) as client:
        pages: Iterator[Page[RestoreSessionEntity]] = client.restore_session_pages(since=None, page_size=2)
        next(pages)
        asked_after_one = asked_pages(em)

    assert asked_after_one == [1]


def test_a_page_size_below_one_is_refused(em: ScriptedServer, client_of: ClientOf) -> None:
    with client_of(em) as client, pytest.raises(ValueError, match="at least one"):
        client.restore_session_pages(since=None, page_size=0)


@pytest.mark.parametrize(
    "inside",
    [
        "<Refs><Ref UID='urn:veeam:RestoreSession:1'/></Refs>",
        "<Entities><BackupServers><BackupServer/></BackupServers></Entities>",
        f"<Entities>{restore_session()}</Entities>",
        f"<RestoreSessions>{restore_session()}</RestoreSessions>",
        "<Entities><RestoreSessions><Session/></RestoreSessions></Entities>",
        '<Entities><RestoreSessions><RestoreSession xmlns="urn:other"/></RestoreSessions></Entities>',
        "<Resources><Resource/></Resources>",
    ],
)
def test_rows_of_an_unknown_shape_fail_loudly(inside: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="unknown shape"):
        sheet_of(f"<QueryResult {XMLNS}>{inside}</QueryResult>")


def test_another_document_is_no_query_result() -> None:
    with pytest.raises(UnexpectedAnswer, match="instead of a query result"):
        sheet_of("<RestoreSessions/>")


def test_empty_containers_of_other_types_are_normal() -> None:
    text = (
        f"<QueryResult {XMLNS}><Refs/><Entities><Jobs/><RestoreSessions>{restore_session()}</RestoreSessions>"
        '</Entities><PagingInfo PageNum="one" PageSize="-1" PagesCount=""/></QueryResult>'
    )

    sheet = sheet_of(text)

    assert len(sheet.items) == 1
    assert (sheet.number, sheet.page_size, sheet.pages_count) == (None, None, None)
