"""Answers that are late, cut, oversized, false or missing."""

from __future__ import annotations

import socket
import threading
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from restorereports.em import transport
from restorereports.em.client import Connection, EnterpriseManagerClient
from restorereports.em.failures import (
    EnterpriseManagerError,
    ServerFailing,
    Stopped,
    UnexpectedAnswer,
    Unreachable,
)
from tests.em.conftest import PASSWORD, connection_to
from tests.em.scripted_server import TOKEN, XMLNS, Reply, ScriptedServer, error

ClientOf = Callable[..., EnterpriseManagerClient]
SERVERS = f"<BackupServers {XMLNS}/>"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"


def raw(*parts: bytes, pause: float = 0, hang: float = 0) -> Reply:
    """Bytes as they are, with pauses between, then perhaps silence."""

    def send(opened: socket.socket) -> None:
        for part in parts:
            opened.sendall(part)
            time.sleep(pause)
        time.sleep(hang)

    return Reply(raw=send)


def failure_of(em: ScriptedServer, client: EnterpriseManagerClient) -> EnterpriseManagerError:
    with pytest.raises(EnterpriseManagerError) as failed, client:
        client.backup_servers()
    return failed.value


@pytest.mark.parametrize(
    "bad",
    [
        error(500, "Oops."),
        Reply(status=502, content_type=None),
        Reply("<html>busy</html>", status=503, content_type="text/html"),
        error(504, "Late."),
        error(429, "Slowly."),
        Reply("<html/>", content_type="text/html"),
        Reply("<BackupServers", headers={}),
        Reply(""),
        Reply("{}", content_type="application/json"),
        Reply(f'<Error Message="Oops." StatusCode="500" {XMLNS}/>'),
        raw(HEAD + b"Content-Length: 100\r\n\r\n<Backup"),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n<Back\r\n"),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(),
        raw(b"nonsense\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Le"),
    ],
    ids=[
        "500",
        "502",
        "503",
        "504",
        "429",
        "html",
        "cut",
        "empty",
        "json",
        "error-with-200",
        "cut-by-length",
        "cut-chunk",
        "bad-chunk",
        "closed",
        "nonsense",
        "cut-header",
    ],
)
def test_a_bad_answer_is_asked_for_again(
    em: ScriptedServer, client_of: ClientOf, waits: list[float], bad: Reply
) -> None:
    em.on("GET", "/api/backupServers", bad, bad, bad, Reply(SERVERS))

    with client_of(em) as client:
        assert client.backup_servers() == []

    assert len(em.asked_for("GET", "/api/backupServers")) == 4
    assert sum(waits) == pytest.approx(0.5 + 1 + 2)
    assert max(waits) <= 0.5


@pytest.mark.parametrize(
    ("bad", "kind", "text"),
    [
        (error(503, "Maintenance."), ServerFailing, "status 503.*: Maintenance."),
        (Reply("<html/>", content_type="text/html"), UnexpectedAnswer, "web page"),
        (Reply("{}", content_type="application/json"), UnexpectedAnswer, "application/json came instead"),
        (Reply(f'<Error Message="Oops." {XMLNS}/>'), UnexpectedAnswer, "error came with status 200: Oops."),
        (raw(HEAD + b"Content-Length: 100\r\n\r\n<Backup"), UnexpectedAnswer, "cut off"),
        (raw(), Unreachable, "broke"),
    ],
)
def test_after_four_tries_the_failure_is_told_clearly(
    em: ScriptedServer, client_of: ClientOf, bad: Reply, kind: type[Exception], text: str
) -> None:
    em.on("GET", "/api/backupServers", bad)

    with pytest.raises(kind, match=text), client_of(em) as client:
        client.backup_servers()

    assert len(em.asked_for("GET", "/api/backupServers")) == 4
    assert len(em.asked_for("DELETE")) == 1


@pytest.mark.parametrize(
    ("status", "location"), [(301, "https://elsewhere.example.test/"), (302, "http://[bad"), (307, None)]
)
def test_a_redirect_is_not_followed(
    em: ScriptedServer, client_of: ClientOf, status: int, location: str | None
) -> None:
    headers = {"Location": location} if location else {}
    em.on("GET", "/api/backupServers", Reply(status=status, headers=headers))

    failure = failure_of(em, client_of(em))

    assert isinstance(failure, UnexpectedAnswer)
    assert "redirect" in str(failure)
    assert len(em.asked_for("GET", "/api/backupServers")) == 1


@pytest.mark.parametrize("status", [204, 202, 404, 405, 418])
def test_any_other_status_is_no_empty_list(em: ScriptedServer, client_of: ClientOf, status: int) -> None:
    em.on("GET", "/api/backupServers", Reply(status=status))

    failure = failure_of(em, client_of(em))

    assert isinstance(failure, UnexpectedAnswer)
    assert failure.status == status


def test_a_status_501_is_not_asked_for_again(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", error(501, "Never."))

    assert isinstance(failure_of(em, client_of(em)), ServerFailing)
    assert len(em.asked_for("GET", "/api/backupServers")) == 1


@pytest.mark.parametrize(
    ("wish", "waited", "told"),
    [
        ("7", 7.0, 7.0),
        ("3600", 60.0, 3600.0),
        ("0", 0.5, 0.0),
        ("-5", 0.5, None),
        ("soon", 0.5, None),
        ("9" * 400, 0.5, None),
        (format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True), 0.5, 0.0),
    ],
)
def test_the_server_may_say_when_to_come_back(
    em: ScriptedServer, client_of: ClientOf, waits: list[float], wish: str, waited: float, told: float | None
) -> None:
    em.on("GET", "/api/backupServers", Reply(status=503, headers={"Retry-After": wish}))

    failure = failure_of(em, client_of(em, tries=2))

    assert isinstance(failure, ServerFailing)
    assert failure.retry_after == told
    assert len(waits) == waited / 0.5


def test_the_server_may_name_the_moment_to_come_back(
    em: ScriptedServer, client_of: ClientOf, waits: list[float]
) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=20), usegmt=True)
    em.on("GET", "/api/backupServers", Reply(status=503, headers={"Retry-After": moment}), Reply(SERVERS))

    with client_of(em) as client:
        client.backup_servers()

    assert 17 <= len(waits) * 0.5 <= 21


def test_whoever_watches_hears_of_every_pause(em: ScriptedServer, client_of: ClientOf) -> None:
    heard: list[tuple[float, str]] = []
    em.on("GET", "/api/backupServers", error(503, "Busy."), Reply(SERVERS))

    with client_of(em, on_wait=lambda seconds, error: heard.append((seconds, str(error)))) as client:
        client.backup_servers()

    assert heard == [(0.5, "Enterprise Manager cannot answer now (status 503): Busy.")]


def test_a_pause_ends_at_once_when_told_to_stop(em: ScriptedServer) -> None:
    slept: list[float] = []
    em.on("GET", "/api/backupServers", Reply(status=503, headers={"Retry-After": "60"}))
    client = EnterpriseManagerClient(
        connection_to(em), should_stop=lambda: len(slept) >= 3, sleep=slept.append
    )

    assert isinstance(failure_of(em, client), Stopped)
    assert slept == [0.5, 0.5, 0.5]
    assert len(em.asked_for("DELETE")) == 1


def test_a_silent_server_meets_the_read_time_out(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", raw(HEAD, hang=2))

    failure = failure_of(em, client_of(em, read_timeout=0.5, tries=1))

    assert isinstance(failure, Unreachable)
    assert failure.kind == "timeout"


@pytest.mark.parametrize(
    "begin",
    [HEAD + b"Content-Length: 1000\r\n\r\n", HEAD + b"X-Slow: ", b"H"],
    ids=["body", "header", "status"],
)
def test_a_dripping_answer_meets_the_time_for_the_whole(
    em: ScriptedServer, client_of: ClientOf, begin: bytes
) -> None:
    em.on("GET", "/api/backupServers", raw(begin, *[b" "] * 80, pause=0.1))
    began = time.monotonic()

    failure = failure_of(em, client_of(em, answer_timeout=0.8, tries=1))

    assert isinstance(failure, Unreachable)
    assert failure.kind == "timeout"
    assert time.monotonic() - began < 4
    assert len(em.asked_for("DELETE")) == 1


def test_a_call_that_was_given_up_leaves_no_thread_behind(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", raw(HEAD + b"Content-Length: 1000\r\n\r\n", *[b" "] * 100, pause=0.1))

    failure_of(em, client_of(em, answer_timeout=0.8, tries=1))

    ends = time.monotonic() + 4
    while time.monotonic() < ends and _calls():
        time.sleep(0.02)
    assert _calls() == []


def _calls() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "enterprise-manager-call"]


def test_a_stop_is_heard_while_the_server_is_silent(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", raw(HEAD, hang=3))
    silent: list[float] = []

    def should_stop() -> bool:
        if em.asked_for("GET", "/api/backupServers"):
            silent.append(time.monotonic())
        return bool(silent)

    failure = failure_of(em, client_of(em, should_stop=should_stop))

    assert isinstance(failure, Stopped)
    assert time.monotonic() - silent[0] < 1.5
    assert len(em.asked_for("DELETE")) == 1


@pytest.mark.parametrize(
    "announced", [b"Content-Length: 999999999999999999999999\r\n", b"Content-Length: 104857600\r\n"]
)
def test_an_absurd_length_is_refused_before_it_is_read(
    em: ScriptedServer, client_of: ClientOf, announced: bytes
) -> None:
    em.on("GET", "/api/backupServers", raw(HEAD + announced + b"\r\n" + b"<a>"))

    assert "announces more than" in str(failure_of(em, client_of(em)))
    assert len(em.asked_for("GET", "/api/backupServers")) == 1


@pytest.mark.parametrize(
    "announced", [b"Content-Length: 1, 2\r\n", b"Content-Length: -1\r\n", b"Content-Length: x\r\n"]
)
def test_a_nonsensical_length_is_no_crash(em: ScriptedServer, client_of: ClientOf, announced: bytes) -> None:
    em.on("GET", "/api/backupServers", raw(HEAD + announced + b"\r\n" + b"<a"))

    assert isinstance(failure_of(em, client_of(em, tries=1)), UnexpectedAnswer)


def test_a_hundred_megabytes_are_not_read_to_the_end(em: ScriptedServer, client_of: ClientOf) -> None:
    sent: list[int] = []

    def pour(opened: socket.socket) -> None:
        opened.sendall(HEAD + b"Connection: close\r\n\r\n")
        for _ in range(100):
            opened.sendall(b"<" * 1_048_576)
            sent.append(1)

    em.on("GET", "/api/backupServers", Reply(raw=pour))
    tracemalloc.start()

    failure = failure_of(em, client_of(em))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "has more than" in str(failure)
    assert len(sent) < 60
    assert peak < 2.5 * transport.MAX_BODY


def test_a_packed_answer_is_refused(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", Reply(b"\x1f\x8b", headers={"Content-Encoding": "gzip"}))

    assert "packed" in str(failure_of(em, client_of(em)))


def test_the_message_of_an_error_is_shown_safely(em: ScriptedServer, client_of: ClientOf) -> None:
    message = f"bad\x85&#10;&#x202e;{PASSWORD} {TOKEN} " + "x" * 1000
    em.on("GET", "/api/backupServers", error(403, message))

    text = str(failure_of(em, client_of(em)))

    assert "bad ***" in text
    assert PASSWORD not in text
    assert TOKEN not in text
    assert "Secret.Frame" not in text
    assert len(text) < 400
    assert text.isprintable()


@pytest.mark.parametrize(
    "body", ["", "<html>no</html>", "<Error/>", f"<Error {XMLNS} Message=' '/>", "<!DOCTYPE a><a/>", "\x00"]
)
def test_a_refusal_without_a_usable_message_is_still_a_refusal(
    em: ScriptedServer, client_of: ClientOf, body: str
) -> None:
    em.on("GET", "/api/backupServers", Reply(body, status=403))

    assert str(failure_of(em, client_of(em))) == "The role of this account may not read this."


def test_no_failure_carries_what_was_sent(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", raw())

    failure = failure_of(em, client_of(em))

    assert (failure.__cause__, failure.__context__) == (None, None)


def test_a_closed_port_is_tried_four_times(waits: list[float]) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    client = EnterpriseManagerClient(
        Connection(url=url, username="mirror", password="s3cret"), sleep=waits.append
    )

    with pytest.raises(Unreachable) as failed, client:
        pass

    assert (failed.value.kind, failed.value.sent) == ("connect", False)
    assert sum(waits) == pytest.approx(3.5)


def test_a_name_that_does_not_resolve_is_told_apart(
    em: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    with pytest.raises(Unreachable) as failed, client_of(em, tries=1):
        pass

    assert failed.value.kind == "resolve"


def test_a_log_on_is_sent_again_when_it_cannot_have_arrived(
    em: ScriptedServer, client_of: ClientOf, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = transport.Transport.exchange
    refusals = iter([Unreachable("Refused.", kind="connect", sent=False)] * 2)

    def exchange(self: transport.Transport, method: str, path: str, **options: object) -> transport.Answer:
        if method == "POST" and (refusal := next(refusals, None)) is not None:
            raise refusal
        return honest(self, method, path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(transport.Transport, "exchange", exchange)

    with client_of(em):
        pass

    assert len(em.asked_for("POST")) == 1
    assert sum(waits) == pytest.approx(1.5)


def test_a_log_on_that_broke_off_is_not_sent_again(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("POST", "/api/sessionMngr/", raw())

    with pytest.raises(Unreachable), client_of(em):
        pass

    assert len(em.asked_for("POST")) == 1


def test_a_full_queue_of_connections_meets_the_connect_time_out(waits: list[float]) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        connection = Connection(url=url, username="m", password="p", connect_timeout=0.2, read_timeout=0.2)

        with pytest.raises(Unreachable) as failed, EnterpriseManagerClient(connection, tries=1):
            pass
        for one in waiting:
            one.close()

    assert failed.value.kind == "timeout"
