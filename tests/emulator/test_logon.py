from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
import requests

from restorereports.emulator.accounts import Account
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import NAMESPACE, TOKEN, Caller, error, send_raw, text, xml

Calling = Callable[..., Caller]


def test_the_root_needs_no_session_and_names_the_versions(server: StandInServer, caller: Calling) -> None:
    answer = caller(server, None).call("")

    versions = [found.get("Name") for found in xml(answer).iter(f"{NAMESPACE}SupportedVersion")]
    assert answer.status_code == 200
    assert xml(answer).tag == f"{NAMESPACE}EnterpriseManager"
    assert versions == ["v1_5", "v1_6", "v1_7"]


def test_the_root_has_the_doubled_name_in_json(server: StandInServer, caller: Calling) -> None:
    body = caller(server, None).call("", json=True).json()

    assert [found["Name"] for found in body["SupportedVersions"]["SupportedVersions"]][-1] == "v1_7"
    assert {found["Rel"] for found in body["Links"]} == {"Down", "Create"}


def test_a_logon_gives_the_token_three_times_and_its_own_address(
    server: StandInServer, caller: Calling
) -> None:
    answer = caller(server, None).log_on()

    body = xml(answer)
    session_id = text(body, "SessionId") or ""
    token = answer.headers[TOKEN]
    links = list(body.iter(f"{NAMESPACE}Link"))
    assert answer.status_code == 201
    assert base64.b64decode(token).decode() == session_id
    assert answer.headers["Set-Cookie"] == f"{TOKEN}={token}; Path=/api;"
    assert answer.headers["Location"] == f"{server.url}/api/logonSessions/{session_id}" == body.get("Href")
    assert text(body, "UserName") == "EMHOST\\mirror"
    assert (links[-1].get("Rel"), links[-1].get("Type")) == ("Delete", None)


@pytest.mark.parametrize(
    "path",
    [
        "/api/sessionMngr/?v=latest",
        "/api/sessionMngr?v=v1_7",
        "/api/sessionMngr",
        "/api//sessionMngr/?v=v1_4",
        "/API/sessionmngr/?v=1_4",
        "/api/sessionMngr/?V=Latest",
    ],
)
def test_every_spelling_of_the_logon_address_is_known(server: StandInServer, path: str) -> None:
    answer = requests.post(f"{server.url}{path}", auth=("mirror", "mirror"), timeout=10)

    assert answer.status_code == 201


@pytest.mark.parametrize("version", ["banana", "v2_0", "v1_99", "1_x"])
def test_a_version_that_never_was_is_refused(server: StandInServer, version: str) -> None:
    answer = requests.post(
        f"{server.url}/api/sessionMngr/?v={version}", auth=("mirror", "mirror"), timeout=10
    )

    assert error(answer)[0] == 400


def test_old_versions_can_be_switched_off(server: StandInServer) -> None:
    server.switches.old_versions = False

    old, new = (
        requests.post(f"{server.url}/api/sessionMngr/?v={version}", auth=("mirror", "mirror"), timeout=10)
        for version in ("v1_4", "v1_6")
    )

    assert (old.status_code, new.status_code) == (400, 201)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Basic",
        "Basic !!!",
        "Bearer abc",
        "Basic " + base64.b64encode(b"mirror").decode(),
        "Basic " + base64.b64encode(b"mirror:wrong").decode(),
        "Basic " + base64.b64encode(b"nobody:mirror").decode(),
    ],
)
def test_a_wrong_or_missing_password_is_challenged(server: StandInServer, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = requests.post(f"{server.url}/api/sessionMngr/?v=latest", headers=headers, timeout=10)

    assert error(answer)[0] == 401
    assert answer.headers["WWW-Authenticate"] == "Basic Realm=RestSvc"
    assert TOKEN not in answer.headers


@pytest.mark.parametrize(
    ("encoding", "name"),
    [
        ("utf-8", "mirror"),
        ("latin-1", "MIRROR"),
        ("utf-8", "EMHOST\\mirror"),
    ],
)
def test_a_password_may_hold_colons_and_umlauts_in_either_encoding(
    world: World, serve: Callable[..., StandInServer], encoding: str, name: str
) -> None:
    server = serve(world, accounts=[Account("mirror", "s3:crét:ü")])
    credentials = base64.b64encode(f"{name}:s3:crét:ü".encode(encoding)).decode()

    answer = requests.post(
        f"{server.url}/api/sessionMngr/",
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
        timeout=10,
    )

    assert answer.status_code == 201


def test_a_domain_account_keeps_its_name(
    world: World, serve: Callable[..., StandInServer], caller: Calling
) -> None:
    server = serve(world, accounts=[Account("mirror@corp.example.test", "secret")])

    answer = caller(server, None).log_on("mirror@corp.example.test", "secret")

    assert text(xml(answer), "UserName") == "mirror@corp.example.test"


def test_a_form_encoded_body_is_not_supported(server: StandInServer) -> None:
    answer = requests.post(
        f"{server.url}/api/sessionMngr/", auth=("mirror", "mirror"), data={"a": "b"}, timeout=10
    )

    assert error(answer)[0] == 415


def test_a_logon_without_content_length_is_refused(server: StandInServer) -> None:
    answer = send_raw(server.port, "POST /api/sessionMngr/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 411 LengthRequired\r\n")
    assert b"<Error " in answer


@pytest.mark.parametrize("token", [None, "unknown"])
def test_without_a_known_token_nothing_is_answered(
    server: StandInServer, caller: Calling, token: str | None
) -> None:
    stranger = caller(server, None)
    stranger.token = token

    assert error(stranger.call("restoreSessions"))[0] == 401


def test_a_session_dies_after_fifteen_minutes_without_a_request(em: Caller, clock: ManualClock) -> None:
    clock.advance(14 * 60)
    alive = em.call("restoreSessions")
    clock.advance(14 * 60)
    still = em.call("restoreSessions")
    clock.advance(15 * 60 + 1)

    dead = em.call("restoreSessions")

    assert [found.status_code for found in (alive, still, dead)] == [200, 200, 401]


def test_a_cookie_wins_over_the_header(em: Caller) -> None:
    good = {"Cookie": f"other=1; {TOKEN}={em.token}"}
    bad = {"Cookie": f"{TOKEN}=stale"}

    with_good_cookie = em.call("restoreSessions", headers={**good, TOKEN: "stale"})
    with_bad_cookie = em.call("restoreSessions", headers=bad)

    assert (with_good_cookie.status_code, with_bad_cookie.status_code) == (200, 401)


def test_several_sessions_live_side_by_side(server: StandInServer, caller: Calling) -> None:
    first, second = caller(server), caller(server)

    first.call(f"logonSessions/{first.session_id}", method="DELETE")

    assert first.call("restoreSessions").status_code == 401
    assert second.call("restoreSessions").status_code == 200


def test_logging_off_answers_204_without_a_body(em: Caller) -> None:
    answer = em.call(f"logonSessions/{em.session_id}", method="DELETE")

    assert (answer.status_code, answer.content) == (204, b"")
    assert "Content-Length" not in answer.headers


def test_a_logon_session_that_is_gone_is_an_error_of_the_server(
    server: StandInServer, caller: Calling
) -> None:
    first, second = caller(server), caller(server)
    first.call(f"logonSessions/{first.session_id}", method="DELETE")

    shown = second.call(f"logonSessions/{first.session_id}")
    deleted = second.call(f"logonSessions/{first.session_id}", method="DELETE")

    assert (error(shown)[0], error(deleted)[0]) == (500, 500)


def test_an_administrator_sees_and_ends_the_sessions_of_others(
    server: StandInServer, caller: Calling
) -> None:
    user, administrator = caller(server), caller(server, "admin")

    of_user = user.call("logonSessions", json=True).json()["LogonSessions"]
    of_administrator = administrator.call("logonSessions", json=True).json()["LogonSessions"]
    foreign = user.call(f"logonSessions/{administrator.session_id}", method="DELETE")
    ended = administrator.call(f"logonSessions/{user.session_id}", method="DELETE")

    assert [found["UserName"] for found in of_user] == ["EMHOST\\mirror"]
    assert [found["UserName"] for found in of_administrator] == ["EMHOST\\mirror", "EMHOST\\admin"]
    assert (foreign.status_code, ended.status_code) == (500, 204)


def test_a_logon_session_shows_itself(em: Caller) -> None:
    answer = em.call(f"logonSessions/{em.session_id.upper()}")

    assert text(xml(answer), "SessionId") == em.session_id


def test_an_account_can_be_added_while_the_server_runs(server: StandInServer, caller: Calling) -> None:
    server.accounts.append(Account("later", "secret"))

    assert caller(server, None).log_on("later", "secret").status_code == 201


def test_logging_off_twice_finds_nothing(server: StandInServer) -> None:
    assert server.logons.log_off("unknown") is False
