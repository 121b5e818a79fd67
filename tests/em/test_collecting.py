"""Collections: which system sessions they are, how they went, and what EM wrote down meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.collecting import (
    CollectionEntity,
    CollectionEvent,
    read_collection,
    read_collection_events,
)
from restorereports.em.failures import Forbidden, UnexpectedAnswer
from restorereports.em.markup import parse_xml
from tests.em.scripted_server import XMLNS, Reply, ScriptedServer, error

ClientOf = Callable[..., EnterpriseManagerClient]
NOON = datetime(2031, 5, 6, 12, tzinfo=UTC)
ENDED = "<EndTimeUTC>2031-05-06T12:00:41Z</EndTimeUTC>"


def session(number: int = 1, *, kind: str = "CollectJob", inside: str = ENDED) -> str:
    began = (NOON + timedelta(minutes=number)).isoformat().replace("+00:00", "Z")
    return (
        f'<Sessions Type="SystemSession" Name="Collect Job @x" UID="urn:veeam:SystemSession:{number}"><Links/>'
        f"<SessionType>{kind}</SessionType><CreationTimeUTC>{began}</CreationTimeUTC>{inside}</Sessions>"
    )


def listed(*rows: str) -> Reply:
    return Reply(f"<SystemSessions {XMLNS}>{''.join(rows)}</SystemSessions>")


def read(inside: str) -> CollectionEntity:
    return read_collection(parse_xml(session(0, inside=inside).encode()))


def words(state: str, result: str) -> str:
    return f"{ENDED}<State>{state}</State><Result><Result>{result}</Result><Message/></Result>"


def events(inside: str) -> list[CollectionEvent]:
    return read_collection_events(
        parse_xml(f"<SystemSessionEvents {XMLNS}>{inside}</SystemSessionEvents>".encode())
    )


def test_every_field_of_a_collection_is_read() -> None:
    message = "1 of 3&#10;not reached"

    entity = read(
        f"{ENDED}<State>CompletedWarning</State><Result><Result>CompletedWarning</Result>"
        f"<Message>{message}</Message><IsCanceled>false</IsCanceled></Result>"
    )

    assert entity == CollectionEntity(
        uid="urn:veeam:SystemSession:0",
        kind="CollectJob",
        started_at=NOON,
        ended_at=NOON + timedelta(seconds=41),
        state="CompletedWarning",
        result="CompletedWarning",
        message="1 of 3 not reached",
    )


@pytest.mark.parametrize(
    ("inside", "finished", "good", "partial"),
    [
        (words("CompletedSuccessfully", "CompletedSuccessfully"), True, True, False),
        (words("CompletedSuccessfully", ""), True, True, False),
        (words("Stopped", "Success"), True, True, False),
        (words("CompletedWarning", "Warning"), True, False, True),
        (words("CompletedSuccessfully", "Warning"), True, False, True),
        (words("Failed", "Success"), True, False, False),
        (words("Failed", "Warning"), True, False, False),
        (words("Failed", "Failed"), True, False, False),
        (words("Odd", "Odd"), True, False, False),
        (words("InProgress", "Success"), False, False, False),
        (f"{ENDED}<State>CompletedSuccessfully</State><Result>Success</Result>", True, True, False),
        ("<State>CompletedSuccessfully</State>", False, False, False),
        (
            "<EndTimeUTC>0001-01-01T00:00:00</EndTimeUTC><State>CompletedSuccessfully</State>",
            False,
            False,
            False,
        ),
        ("<State>InProgress</State><Result/>", False, False, False),
    ],
)
def test_a_collection_is_good_only_if_it_has_ended_and_nothing_speaks_against_it(
    inside: str, finished: bool, good: bool, partial: bool
) -> None:
    entity = read(inside)

    assert (entity.finished, entity.good, entity.partial) == (finished, good, partial)


def test_only_collections_are_kept_the_newest_first(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on(
        "GET",
        "/api/systemSessions",
        listed(session(2), session(5, kind="Discovery"), session(3, kind="HistoryCollectJob"), session(1)),
    )

    with client_of(em) as client:
        found = client.collections()

    assert [(one.uid[-1], one.kind) for one in found] == [
        ("3", "HistoryCollectJob"),
        ("2", "CollectJob"),
        ("1", "CollectJob"),
    ]


def test_of_very_many_collections_the_newest_200_are_kept(em: ScriptedServer, client_of: ClientOf) -> None:
    numbers = [at * 7 % 1000 for at in range(1000)]
    em.on("GET", "/api/systemSessions", listed(*(session(number) for number in numbers)))

    with client_of(em) as client:
        found = client.collections()

    assert [one.uid for one in found] == [f"urn:veeam:SystemSession:{at}" for at in range(999, 799, -1)]


def test_there_may_be_no_collection_at_all(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/systemSessions", Reply(f"<SystemSessions {XMLNS}/>"))

    with client_of(em) as client:
        assert client.collections() == []


def test_a_role_that_may_not_see_them_is_told_so(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/systemSessions", error(403, "Denied."))

    with client_of(em) as client:
        with pytest.raises(Forbidden):
            client.collections()
        with pytest.raises(Forbidden):
            client.collection_events("urn:veeam:SystemSession:1")


def test_a_list_of_collections_that_is_cut_is_asked_for_again(
    em: ScriptedServer, client_of: ClientOf, waits: list[float]
) -> None:
    whole = listed(session(1), session(2))
    cut = Reply(whole.as_bytes()[:-40])
    em.on("GET", "/api/systemSessions", cut, error(503, "Busy."), whole)

    with client_of(em) as client:
        found = client.collections()

    assert len(found) == 2
    assert sum(waits) == pytest.approx(0.5 + 1)


def test_a_collection_without_a_usable_beginning_fails_loudly(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("GET", "/api/systemSessions", listed(session(1).replace("2031", "0001")))

    with client_of(em) as client, pytest.raises(UnexpectedAnswer, match="urn:veeam:SystemSession:1"):
        client.collections()


def test_events_of_the_documented_shape_are_read_in_their_order(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    rows = [
        f"<Events><CreationTimeUTC>2031-05-06T12:00:0{order}</CreationTimeUTC><Message>{text}</Message>"
        f"<Order>{order}</Order></Events>"
        for order, text in ((2, "Failed to collect data from east"), (1, "Starting"), (3, ""))
    ]
    body = (
        f'<SystemSessionEvents {XMLNS} Type="SystemSessionEvents" Href="https://h/x"><Links>'
        f'<Link Rel="Up" Name="Collect Job" Href="https://h/y"/></Links>{"".join(rows)}</SystemSessionEvents>'
    )
    em.on("GET", "/api/systemSessions/7a/events", Reply(body))

    with client_of(em) as client:
        found = client.collection_events("urn:veeam:SystemSession:7a")

    assert found == [
        CollectionEvent(state="", text="Starting"),
        CollectionEvent(state="", text="Failed to collect data from east"),
    ]
    assert [event.failed for event in found] == [False, True]


@pytest.mark.parametrize(
    "inside",
    [
        '<Event Status="Failed" Title="No answer from east"/>',
        "<Event><Status>Failed</Status><Title>No answer</Title><Text> from east </Text></Event>",
        '<Event State="Failed"><Links><Link Href="x"/></Links>No answer from east</Event>',
        "<Events><Event><Severity>Failed</Severity><Title>No answer from east</Title></Event></Events>",
        '<List><Row Result="Failed" Message="No answer from east" Title="Other"/></List>',
    ],
)
def test_events_of_any_other_shape_are_read_too(inside: str) -> None:
    found = events(inside)

    assert found == [CollectionEvent(state="Failed", text="No answer from east")]
    assert found[0].failed


def test_a_state_of_em_counts_more_than_the_words() -> None:
    event = CollectionEvent(state="Success", text="No backup server failed.")

    assert not event.failed


def test_a_long_event_is_cut_and_fit_to_show() -> None:
    (event,) = events(f"<Events><Message>a&#10;\u202eb {'x' * 2000}</Message></Events>")

    assert event.text.startswith("a b x")
    assert len(event.text) == 500


def test_another_document_is_no_list_of_events() -> None:
    with pytest.raises(UnexpectedAnswer, match="instead of events"):
        read_collection_events(parse_xml(b"<SystemSessions/>"))
    assert events("<Links/><Events/>") == []


@pytest.mark.parametrize("uid", ["urn:veeam:SystemSession", "../x"])
def test_what_is_no_uid_has_no_events(em: ScriptedServer, client_of: ClientOf, uid: str) -> None:
    with client_of(em) as client, pytest.raises(ValueError, match="UID"):
        client.collection_events(uid)
