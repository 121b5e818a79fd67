"""The list of restore sessions and their count over a real socket: whole and true, or a failure."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from restorereports.em import transport
from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.entities import ListedRestoreSession
from restorereports.em.failures import (
    EnterpriseManagerError,
    Forbidden,
    LogonLost,
    ServerFailing,
    Stopped,
    UnexpectedAnswer,
    Unreachable,
)
from tests.em.scripted_server import (
    XMLNS,
    Asked,
    Reply,
    ScriptedServer,
    error,
    logon_reply,
    paging_info,
    query_result,
    restore_session,
)

ClientOf = Callable[..., EnterpriseManagerClient]
LIST = "/api/restoreSessions"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"


def ref(number: int, *, up: str = "9e2c4d18", type_: str = "RestoreSessionReference") -> str:
    link = (
        f'<Link Rel="Up" Type="BackupServerReference" Href="https://h/api/backupServers/{up}"/>' if up else ""
    )
    alternate = f'<Link Rel="Alternate" Type="RestoreSession" Href="https://h/api/restoreSessions/{number}"/>'
    return (
        f'<Ref UID="urn:veeam:RestoreSession:{number}" Type="{type_}" Name="x" Href="https://h/api/x/1">'
        f"<Links>{link}{alternate}</Links></Ref>"
    )


def references(*rows: str) -> str:
    return f"<EntityReferences {XMLNS}>{''.join(rows)}</EntityReferences>"


def poured(parts: Iterator[bytes], *, length: int | None = None, hang: float = 0) -> Reply:
    """Bytes as they come; without a length the end of the connection ends the body."""

    def send(opened: socket.socket) -> None:
        announced = b"Connection: close\r\n" if length is None else f"Content-Length: {length}\r\n".encode()
        opened.sendall(HEAD + announced + b"\r\n")
        for part in parts:
            opened.sendall(part)
        time.sleep(hang)

    return Reply(raw=send)


def million_bytes() -> Iterator[bytes]:
    yield f"<EntityReferences {XMLNS}>".encode()
    for number in range(0, 3000, 100):
        yield "".join(ref(at) for at in range(number, number + 100)).encode()


def listed(em: ScriptedServer, client_of: ClientOf, **options: object) -> list[str]:
    with client_of(em, **options) as client:
        return [one.uid.rpartition(":")[2] for one in client.listed_restore_sessions()]


def test_every_reference_is_read(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", LIST, Reply(references(ref(1), ref(2, up=""))))

    with client_of(em) as client:
        found = list(client.listed_restore_sessions())

    assert found == [
        ListedRestoreSession(
            uid="urn:veeam:RestoreSession:1", backup_server_uid="urn:veeam:BackupServer:9e2c4d18"
        ),
        ListedRestoreSession(uid="urn:veeam:RestoreSession:2", backup_server_uid=""),
    ]
    (asked,) = em.asked_for("GET", LIST)
    assert asked.target == LIST
    assert "cookie" not in asked.headers
    assert em.asked[-1].method == "DELETE"


def test_an_empty_list_is_read(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", LIST, Reply(f"\ufeff<EntityReferences {XMLNS}/>"))

    assert listed(em, client_of) == []


def test_a_list_of_many_pieces_is_read_to_its_end(em: ScriptedServer, client_of: ClientOf) -> None:
    parts = [*million_bytes(), b"</EntityReferences>"]
    em.on("GET", LIST, poured(iter(parts), length=len(b"".join(parts))))

    assert listed(em, client_of) == [str(number) for number in range(3000)]


def test_a_list_in_chunks_is_read_to_its_end(em: ScriptedServer, client_of: ClientOf) -> None:
    def send(opened: socket.socket) -> None:
        opened.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        for part in (*million_bytes(), b"</EntityReferences>"):
            opened.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        opened.sendall(b"0\r\n\r\n")

    em.on("GET", LIST, Reply(raw=send))

    assert len(listed(em, client_of)) == 3000


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (ref(2, type_="JobReference"), "urn:veeam:RestoreSession:2 is listed as 'JobReference'"),
        (ref(2, type_=""), "is listed as ''"),
        (ref(2).replace("urn:veeam:RestoreSession:2", "urn:veeam:Job:2"), r"without a usable UID.*Job:2"),
    ],
)
def test_a_reference_to_something_else_fails_loudly(
    em: ScriptedServer, client_of: ClientOf, row: str, text: str
) -> None:
    em.on("GET", LIST, Reply(references(ref(1), row)))

    with pytest.raises(UnexpectedAnswer, match=text):
        listed(em, client_of)


@pytest.mark.parametrize(
    "bad",
    [
        error(500, "Oops."),
        error(503, "Busy."),
        Reply("<html>wait</html>", content_type="text/html"),
        Reply("<!DOCTYPE html><html/>"),
        Reply("{}", content_type="application/json"),
        Reply(f'<Error Message="Oops." StatusCode="500" {XMLNS}/>'),
        Reply(""),
        Reply(references()[:-5]),
        Reply(raw=lambda opened: opened.sendall(HEAD + b"Content-Length: 100\r\n\r\n<Entity")),
        Reply(raw=lambda opened: None),
    ],
    ids=["500", "503", "html", "xhtml", "json", "error-with-200", "empty", "cut", "cut-by-length", "closed"],
)
def test_a_bad_beginning_is_asked_for_again(
    em: ScriptedServer, client_of: ClientOf, waits: list[float], bad: Reply
) -> None:
    em.on("GET", LIST, bad, bad, Reply(references(ref(1))))

    assert listed(em, client_of) == ["1"]
    assert sum(waits) == pytest.approx(0.5 + 1)


def test_a_lasting_failure_is_told_after_four_tries(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", LIST, Reply(f'<Error Message="Oops s3cret:pässword" {XMLNS}/>'))

    with pytest.raises(UnexpectedAnswer, match=r"An error came with status 200: Oops \*\*\*"):
        listed(em, client_of)

    assert len(em.asked_for("GET", LIST)) == 4


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (error(403, "Denied."), Forbidden),
        (error(404, "None."), UnexpectedAnswer),
        (error(501, "Never."), ServerFailing),
        (Reply(status=302, headers={"Location": "https://elsewhere.example.test/"}), UnexpectedAnswer),
        (Reply(f"<QueryResult {XMLNS}/>"), UnexpectedAnswer),
        (Reply(f'<!DOCTYPE a [<!ENTITY x "y">]>{references(ref(1))}'), UnexpectedAnswer),
        (Reply(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}), UnexpectedAnswer),
        (Reply("", headers={"Content-Length": str(5 * 1024**3)}), UnexpectedAnswer),
    ],
    ids=["403", "404", "501", "redirect", "other-root", "doctype", "packed", "absurd-length"],
)
def test_what_will_not_change_is_asked_for_once(
    em: ScriptedServer, client_of: ClientOf, bad: Reply, kind: type[EnterpriseManagerError]
) -> None:
    em.on("GET", LIST, bad)

    with pytest.raises(kind):
        listed(em, client_of)

    assert len(em.asked_for("GET", LIST)) == 1


def test_a_logon_session_that_died_is_opened_anew_once(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("POST", "/api/sessionMngr/", logon_reply(), logon_reply(token="second"))
    em.on("GET", LIST, error(401, "Expired."), Reply(references(ref(1))))

    assert listed(em, client_of) == ["1"]
    assert [asked.headers["x-restsvcsessionid"] for asked in em.asked_for("GET", LIST)][-1] == "second"


def test_a_second_401_is_final(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", LIST, error(401, "Expired."))

    with pytest.raises(LogonLost):
        listed(em, client_of)

    assert len(em.asked_for("GET", LIST)) == 2


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (poured(iter([*million_bytes(), b"<Ref"])), "cut off or is not XML"),
        (poured(million_bytes(), length=20_000_000), "broke before|cut off"),
        (poured(iter([*million_bytes(), b"<&</EntityReferences>"])), "cut off or is not XML"),
    ],
    ids=["cut", "cut by length", "garbled"],
)
def test_a_list_that_breaks_in_the_middle_raises_in_the_middle(
    em: ScriptedServer, client_of: ClientOf, reply: Reply, text: str
) -> None:
    em.on("GET", LIST, reply)
    found = []

    with client_of(em) as client, pytest.raises(EnterpriseManagerError, match=text) as failed:
        found.extend(iter(client.listed_restore_sessions()))

    assert failed.value.transient
    assert len(em.asked_for("GET", LIST)) == 1


def test_other_questions_may_be_asked_while_the_list_is_read(em: ScriptedServer, client_of: ClientOf) -> None:
    parts = [*million_bytes(), b"</EntityReferences>"]
    em.on("GET", LIST, poured(iter(parts)))

    with client_of(em) as client:
        rows = client.listed_restore_sessions()
        next(rows)
        servers = client.backup_servers()
        rest = len(list(rows))

    assert (servers, rest) == ([], 2999)


def test_a_list_that_is_not_read_to_its_end_leaves_nothing_open(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    broken = threading.Event()

    def send(opened: socket.socket) -> None:
        opened.sendall(HEAD + b"Connection: close\r\n\r\n")
        try:
            for _ in range(1000):
                for part in million_bytes():
                    opened.sendall(part)
        except OSError:
            broken.set()

    em.on("GET", LIST, Reply(raw=send))

    with client_of(em) as client:
        rows = client.listed_restore_sessions()
        next(rows)
        rows.close()  # type: ignore[attr-defined]

        assert broken.wait(5)
        assert client.backup_servers() == []


def test_a_stop_is_heard_in_the_middle_of_a_list(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", LIST, poured(million_bytes(), length=20_000_000, hang=5))
    stopped: list[float] = []

    def should_stop() -> bool:
        return bool(stopped)

    with client_of(em, should_stop=should_stop, read_timeout=5) as client:
        rows = client.listed_restore_sessions()
        next(rows)
        stopped.append(time.monotonic())

        with pytest.raises(Stopped):
            list(rows)

    assert time.monotonic() - stopped[0] < 2


def test_a_silent_server_in_the_middle_meets_the_read_time_out(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("GET", LIST, poured(million_bytes(), length=20_000_000, hang=3))

    with pytest.raises(Unreachable, match=r"No complete answer within 0\.5 seconds"):
        listed(em, client_of, read_timeout=0.5)


def test_a_list_may_begin_later_than_the_read_time_out(em: ScriptedServer, client_of: ClientOf) -> None:
    def late(asked: Asked) -> Reply:
        time.sleep(1)
        return Reply(references(ref(1)))

    em.on("GET", LIST, late)

    assert listed(em, client_of, read_timeout=0.3) == ["1"]


def test_a_list_that_does_not_begin_at_all_is_given_up(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", LIST, Reply(raw=lambda opened: time.sleep(3)))

    with pytest.raises(Unreachable, match="within"):
        listed(em, client_of, read_timeout=0.3, answer_timeout=0.6, tries=1)


def test_a_list_may_take_longer_than_an_answer_but_not_for_ever(
    em: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drip() -> Iterator[bytes]:
        for part in million_bytes():
            yield part
            time.sleep(0.05)
        yield b"</EntityReferences>"

    em.on("GET", LIST, poured(drip()), poured(drip()))
    long_enough = len(listed(em, client_of, answer_timeout=0.9))
    monkeypatch.setattr(transport, "DOWNLOAD_TIMES", 0.5)

    with pytest.raises(Unreachable, match="No complete answer"):
        listed(em, client_of, answer_timeout=0.9)

    assert long_enough == 3000


def test_a_list_that_is_too_long_is_refused(
    em: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_DOWNLOAD", 300_000)
    em.on("GET", LIST, poured(iter([*million_bytes(), b"</EntityReferences>"])))

    with pytest.raises(UnexpectedAnswer, match="more than 300000 bytes"):
        listed(em, client_of)


def counted(em: ScriptedServer, client_of: ClientOf, since: datetime | None = None) -> int | None:
    with client_of(em) as client:
        return client.count_restore_sessions(since=since)


def short_result(rows: str, paging: str) -> Reply:
    return Reply(f"<QueryResult {XMLNS}><Refs>{rows}</Refs>{paging}</QueryResult>")


def test_restore_sessions_are_counted_as_pages_of_one(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/query", short_result(ref(1), paging_info(number=1, size=1, count=1_234_567)))

    assert counted(em, client_of, datetime(2031, 5, 1, tzinfo=UTC)) == 1_234_567
    assert em.asked_for("GET", "/api/query")[0].query == {
        "type": "RestoreSession",
        "format": "References",
        "sortAsc": "CreationTime",
        "pageSize": "1",
        "page": "1",
        "filter": 'CreationTime>="2031-05-01T00:00:00Z"',
    }


@pytest.mark.parametrize("count", [0, 1])
def test_no_rows_are_counted_as_none_whatever_is_said_of_pages(
    em: ScriptedServer, client_of: ClientOf, count: int
) -> None:
    em.on("GET", "/api/query", short_result("", paging_info(size=1, count=count)))

    assert counted(em, client_of) == 0


@pytest.mark.parametrize(
    "reply",
    [
        short_result(ref(1), ""),
        short_result("", ""),
        short_result(ref(1), paging_info(size=1)),
        short_result(ref(1), "<PagingInfo PagesCount='many' PageSize='1'/>"),
        short_result(ref(1), paging_info(size=1, count=0)),
        short_result("", paging_info(size=1, count=2)),
        short_result(ref(1) + ref(2), paging_info(size=1, count=1)),
        short_result(ref(1), paging_info(size=100, count=3)),
    ],
    ids=["no-paging", "empty", "no-count", "no-number", "zero", "no-rows", "two-rows", "other-size"],
)
def test_a_count_that_cannot_be_told_is_unknown(
    em: ScriptedServer, client_of: ClientOf, reply: Reply
) -> None:
    em.on("GET", "/api/query", reply)

    assert counted(em, client_of) is None


def test_a_count_in_entities_is_a_count_too(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/query", Reply(query_result([restore_session(1)], paging=paging_info(size=1, count=7))))

    assert counted(em, client_of) == 7


def test_another_document_counts_nothing(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/query", Reply(references(ref(1))))

    with pytest.raises(UnexpectedAnswer, match="instead of a query result"):
        counted(em, client_of)
