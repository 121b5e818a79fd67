from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import Caller, error, paging, rows, send_raw


@pytest.fixture
def em(world: World, server: StandInServer, caller: Callable[..., Caller]) -> Caller:
    for number in range(5):
        world.add_session(vm_name=f"vm-{number}")
    return caller(server)


def test_logon_sessions_die_in_mid_run(em: Caller, server: StandInServer) -> None:
    server.faults.drop_logon_sessions(path="type=RestoreSession", nth=2)

    statuses = [em.query().status_code for _ in range(3)]
    em.log_on()

    assert statuses == [200, 401, 401]
    assert em.query().status_code == 200


@pytest.mark.parametrize("status", [500, 503])
def test_a_status_is_answered_with_an_error_body(em: Caller, server: StandInServer, status: int) -> None:
    server.faults.answer(status, retry_after=7, message="Busy.")

    answer, in_order = em.query(), em.query()

    assert error(answer) == (status, "Busy.")
    assert answer.headers["Retry-After"] == "7"
    assert in_order.status_code == 200


def test_an_error_body_is_json_where_json_is_accepted(em: Caller, server: StandInServer) -> None:
    server.faults.answer(500)

    assert em.query(json=True).json()["StatusCode"] == 500


def test_a_status_is_answered_without_a_body(em: Caller, server: StandInServer) -> None:
    server.faults.answer(503, body="empty")

    answer = em.query()

    assert (answer.status_code, answer.content) == (503, b"")


def test_a_page_of_a_proxy_is_answered_with_200(em: Caller, server: StandInServer) -> None:
    server.faults.html()

    answer = em.query()

    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_body_is_cut_short(em: Caller, server: StandInServer) -> None:
    server.faults.truncate(path="query")

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        em.query()

    assert em.query().status_code == 200


def test_a_body_is_garbled(em: Caller, server: StandInServer) -> None:
    server.faults.garble(count=2)

    in_xml, in_json = em.query(), em.query(json=True)

    with pytest.raises(SyntaxError):
        rows(in_xml)
    with pytest.raises(ValueError):
        in_json.json()


def test_a_body_comes_slowly(em: Caller, server: StandInServer) -> None:
    server.faults.slow(0.3)
    begin = time.monotonic()

    answer = em.query()

    assert time.monotonic() - begin >= 0.28
    assert len(rows(answer)) == 5


def test_a_connection_is_reset(em: Caller, server: StandInServer) -> None:
    server.faults.reset()

    with pytest.raises(requests.exceptions.ConnectionError):
        em.query()

    assert server.requests[-1].status == 0
    assert em.query().status_code == 200


def test_rows_come_and_go_between_pages(em: Caller, server: StandInServer, world: World) -> None:
    server.faults.call(lambda: world.add_session(vm_name="new"), path="page=2")

    first = em.names(pageSize=3, page=1, sortAsc="CreationTime")
    second = em.names(pageSize=3, page=2, sortAsc="CreationTime")

    assert second == ["vm-3", "vm-4", "new"]
    assert len(first) == 3


def test_a_callback_that_fails_breaks_the_connection_and_is_told(
    em: Caller, server: StandInServer, capfd: pytest.CaptureFixture[str]
) -> None:
    nothing: dict[str, str] = {}
    server.faults.call(lambda: nothing["missing"])

    with pytest.raises(requests.exceptions.ConnectionError):
        em.query()

    assert "KeyError: 'missing'" in capfd.readouterr().err


@pytest.mark.parametrize("json", [False, True])
def test_the_number_of_pages_is_a_lie(em: Caller, server: StandInServer, json: bool) -> None:
    server.faults.pages_count(7)

    answer = em.query(json=json)

    stated = answer.json()["PagingInfo"]["PagesCount"] if json else paging(answer)[0]["PagesCount"]
    assert stated == 7


def test_an_error_comes_with_200(em: Caller, server: StandInServer) -> None:
    server.faults.error_with_200("Broken.")

    answer = em.query()

    assert answer.status_code == 200
    assert b'Message="Broken."' in answer.content


def test_one_answer_begins_with_a_byte_order_mark(em: Caller, server: StandInServer) -> None:
    server.faults.bom()

    assert em.query().content.startswith(b"\xef\xbb\xbf<?xml")
    assert em.query().content.startswith(b"<?xml")


def test_any_body_can_be_answered(em: Caller, server: StandInServer) -> None:
    server.faults.body(b"{}", content_type="application/json")

    assert em.query().json() == {}


def test_faults_strike_by_path_method_turn_and_count(em: Caller, server: StandInServer) -> None:
    fault = server.faults.answer(503, path="RESTORESESSIONS", method="GET", nth=2, count=2)

    listed = [em.call("restoreSessions").status_code for _ in range(5)]
    others = [em.query().status_code, em.call("restoreSessions", method="PUT").status_code]

    assert listed == [200, 503, 503, 200, 200]
    assert others == [200, 405]
    assert fault.fired == 2


def test_a_fault_may_strike_for_ever_until_it_is_cleared(em: Caller, server: StandInServer) -> None:
    server.faults.answer(503, count=None)

    struck = [em.query().status_code for _ in range(3)]
    server.faults.clear()

    assert struck == [503, 503, 503]
    assert em.query().status_code == 200


def test_requests_are_recorded(em: Caller, server: StandInServer) -> None:
    server.forget_requests()

    em.query(filter="Colour==red")

    found = server.requests[-1]
    assert (found.method, found.path, found.status) == ("GET", "/api/query", 400)
    assert "filter=Colour%3D%3Dred" in found.query
    assert found.headers["x-restsvcsessionid"] == em.token


def test_a_body_of_unknown_or_absurd_length_is_not_read(server: StandInServer) -> None:
    for length in ("many", "99999999999"):
        answer = send_raw(
            server.port, f"POST /api/sessionMngr/ HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n"
        )

        assert answer.startswith(b"HTTP/1.1 401 ")


def test_a_status_without_a_name_is_possible(em: Caller, server: StandInServer) -> None:
    server.faults.answer(599)

    assert em.query().reason == "Unknown"


def test_a_request_that_is_no_http_is_refused(server: StandInServer) -> None:
    assert b"400" in send_raw(server.port, "GET\r\n\r\n")


@pytest.fixture(scope="module")
def tls_server() -> Iterator[StandInServer]:
    with StandInServer() as server:
        yield server


@pytest.fixture
def trusting(tls_server: StandInServer, tmp_path: Path) -> Callable[[], requests.Session]:
    """A session that trusts the certificate shown at the time, and nothing else."""

    def make() -> requests.Session:
        file = tmp_path / "em.pem"
        file.write_text(tls_server.certificate_pem)
        http = requests.Session()
        http.trust_env = False
        http.verify = str(file)
        return http

    return make


def test_tls_is_spoken_with_a_self_signed_certificate(
    tls_server: StandInServer, trusting: Callable[[], requests.Session]
) -> None:
    by_address = trusting().get(f"{tls_server.url}/api/", timeout=10)
    by_name = trusting().get(f"https://localhost:{tls_server.port}/api/", timeout=10)

    assert tls_server.url.startswith("https://127.0.0.1:")
    assert (by_address.status_code, by_name.status_code) == (200, 200)
    assert f"https://localhost:{tls_server.port}/api/" in by_name.text


def test_the_fingerprint_is_that_of_the_certificate_shown(tls_server: StandInServer) -> None:
    shown = ssl.get_server_certificate(("127.0.0.1", tls_server.port))

    assert hashlib.sha256(ssl.PEM_cert_to_DER_cert(shown)).hexdigest() == tls_server.fingerprint_sha256


@pytest.mark.parametrize(
    ("kind", "reason"), [("expired", "certificate has expired"), ("wrong_host", "IP address mismatch")]
)
def test_certificates_can_be_bad(
    tls_server: StandInServer, trusting: Callable[[], requests.Session], kind: str, reason: str
) -> None:
    tls_server.swap_certificate(kind)  # type: ignore[arg-type]

    with pytest.raises(requests.exceptions.SSLError, match=reason):
        trusting().get(f"{tls_server.url}/api/", timeout=10)


def test_a_certificate_can_change_while_the_server_runs(
    tls_server: StandInServer, trusting: Callable[[], requests.Session]
) -> None:
    tls_server.swap_certificate("good")
    before, fingerprint = trusting(), tls_server.fingerprint_sha256

    changed = tls_server.swap_certificate()

    assert changed.fingerprint_sha256 != fingerprint
    with pytest.raises(requests.exceptions.SSLError):
        before.get(f"{tls_server.url}/api/", timeout=10)
    assert trusting().get(f"{tls_server.url}/api/", timeout=10).status_code == 200


def test_a_silent_client_blocks_nobody(
    tls_server: StandInServer, trusting: Callable[[], requests.Session]
) -> None:
    tls_server.swap_certificate()
    with socket.create_connection(("127.0.0.1", tls_server.port), timeout=10):
        answer = trusting().get(f"{tls_server.url}/api/", timeout=5)

    assert answer.status_code == 200


def test_a_client_that_speaks_plain_http_to_tls_gets_nothing(tls_server: StandInServer) -> None:
    with socket.create_connection(("127.0.0.1", tls_server.port), timeout=10) as connection:
        connection.sendall(b"GET /api/ HTTP/1.1\r\nHost: x\r\n\r\n")

        answer = connection.recv(100)

    assert not answer.startswith(b"HTTP/")


def test_a_connection_is_reset_under_tls_too(
    tls_server: StandInServer, trusting: Callable[[], requests.Session]
) -> None:
    tls_server.swap_certificate()
    tls_server.faults.reset()

    with pytest.raises(requests.exceptions.ConnectionError):
        trusting().get(f"{tls_server.url}/api/", timeout=10)


def test_a_stopped_server_answers_nobody(world: World) -> None:
    server = StandInServer(world, tls=False).start()
    http = requests.Session()
    http.get(f"{server.url}/api/", timeout=10)

    server.stop()
    server.stop()

    assert (server.certificate_pem, server.fingerprint_sha256) == ("", "")
    with pytest.raises(requests.exceptions.ConnectionError):
        http.get(f"{server.url}/api/", timeout=10)


def test_a_server_that_never_started_can_be_stopped() -> None:
    server = StandInServer(tls=False)

    server.stop()

    assert server.requests == []


def test_a_server_listens_on_ipv6_as_well(world: World) -> None:
    with StandInServer(world, tls=False, host="::1") as server:
        answer = requests.get(f"{server.url}/api/", timeout=10)

    assert server.url.startswith("http://[::1]:")
    assert answer.status_code == 200
