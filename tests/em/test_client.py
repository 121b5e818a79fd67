"""Logging on, asking, logging off: what goes over the wire, and what is made of the answers."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.failures import (
    Forbidden,
    LogonLost,
    LogonRefused,
    NotEnterpriseManager,
    ServerFailing,
    Stopped,
    UnexpectedAnswer,
)
from tests.em.conftest import PASSWORD
from tests.em.scripted_server import (
    LOGON_SESSION_ID,
    TOKEN,
    XMLNS,
    Asked,
    Reply,
    ScriptedServer,
    error,
    logon_reply,
    query_result,
    restore_session,
    root_reply,
)

ClientOf = Callable[..., EnterpriseManagerClient]
UID = "urn:veeam:RestoreSession:5b1d7e40-2f6a-4c8e-9d13-000000000001"


def test_a_log_on_is_a_bare_post_and_a_log_off_names_its_own_session(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    with client_of(em) as client:
        client.backup_servers()

    root, logon, asked, logoff = em.asked
    assert [(root.method, root.target), (logon.method, logon.target)] == [
        ("GET", "/api/"),
        ("POST", "/api/sessionMngr/?v=latest"),
    ]
    assert (
        base64.b64decode(logon.headers["authorization"].split()[1]).decode() == f"EMHOST\\mirror:{PASSWORD}"
    )
    assert (logon.headers["content-length"], logon.body) == ("0", b"")
    assert "transfer-encoding" not in logon.headers
    assert "content-type" not in logon.headers
    assert asked.headers["x-restsvcsessionid"] == TOKEN
    assert (logoff.method, logoff.target) == ("DELETE", f"/api/logonSessions/{LOGON_SESSION_ID}")
    assert logoff.headers["x-restsvcsessionid"] == TOKEN


def test_no_cookie_is_ever_sent_back_and_no_password_after_the_log_on(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on(
        "GET", "/api/backupServers", Reply(f"<BackupServers {XMLNS}/>", headers={"Set-Cookie": "a=b; Path=/"})
    )

    with client_of(em) as client:
        client.backup_servers()
        client.infer_role()

    assert not [asked for asked in em.asked if "cookie" in asked.headers]
    assert len([asked for asked in em.asked if "authorization" in asked.headers]) == 1
    assert {asked.headers["accept"] for asked in em.asked} == {"application/xml"}


def test_a_cookie_jar_would_break_the_second_log_on(em: ScriptedServer, client_of: ClientOf) -> None:
    """As EM does it: the cookie wins over the header."""
    em.on("POST", "/api/sessionMngr/", logon_reply(token="first"), logon_reply(token="second"))

    def servers(asked: Asked) -> Reply:
        valid = "first" in asked.headers.get("cookie", "") or asked.headers["x-restsvcsessionid"] == "second"
        return Reply(f"<BackupServers {XMLNS}/>") if valid else error(401, "Expired.")

    em.on("GET", "/api/backupServers", servers)

    with client_of(em) as client:
        assert client.backup_servers() == []


def test_nothing_is_taken_from_the_environment(
    em: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    with client_of(em) as client:
        assert client.api_versions == ("v1_6", "v1_7")


def test_the_facts_of_the_log_on_are_kept(em: ScriptedServer, client_of: ClientOf) -> None:
    with client_of(em) as client:
        assert client.username == "EMHOST\\mirror"
        assert client.clock_skew is not None
        assert abs(client.clock_skew) < timedelta(seconds=5)


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2031 99:99:99 GMT"])
def test_without_a_readable_date_the_clock_skew_is_unknown(
    em: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, date: str
) -> None:
    monkeypatch.setattr("http.server.BaseHTTPRequestHandler.date_time_string", lambda self: date)

    with client_of(em) as client:
        assert client.clock_skew is None


def test_a_clock_ahead_of_ours_is_a_positive_skew(
    em: ScriptedServer, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    monkeypatch.setattr("http.server.BaseHTTPRequestHandler.date_time_string", lambda self: ahead)

    with client_of(em) as client:
        assert client.clock_skew is not None
        assert timedelta(minutes=59) < client.clock_skew < timedelta(minutes=61)


def test_status_200_for_a_log_on_is_tolerated(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("POST", "/api/sessionMngr/", logon_reply(status=200))

    with client_of(em) as client:
        assert client.backup_servers() == []


def test_the_logon_session_is_found_in_the_address_where_the_body_names_none(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    body = f'<LogonSession {XMLNS} Href="https://h/api/logonSessions/abc"/>'
    em.on("POST", "/api/sessionMngr/", Reply(body, status=201, headers={"X-RestSvcSessionId": TOKEN}))

    with client_of(em):
        pass

    assert em.asked[-1].target == "/api/logonSessions/abc"


@pytest.mark.parametrize(
    "reply",
    [logon_reply(token=""), logon_reply(token="to ken"), logon_reply(id_=""), logon_reply(id_="../1")],
    ids=["no token", "odd token", "no session", "odd session"],
)
def test_a_log_on_that_brings_no_token_or_session_is_refused(
    em: ScriptedServer, client_of: ClientOf, reply: Reply
) -> None:
    em.on("POST", "/api/sessionMngr/", reply)

    with pytest.raises(UnexpectedAnswer, match="no usable token"), client_of(em):
        pass


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_log_on_is_tried_once(em: ScriptedServer, client_of: ClientOf, status: int) -> None:
    em.on("POST", "/api/sessionMngr/", error(status, f"Bad password {PASSWORD}"))

    with pytest.raises(LogonRefused) as refused, client_of(em):
        pass

    assert len(em.asked_for("POST")) == 1
    assert PASSWORD not in str(refused.value)
    assert em.asked_for("DELETE") == []


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_log_on_that_may_have_arrived_is_not_sent_again(
    em: ScriptedServer, client_of: ClientOf, waits: list[float], status: int
) -> None:
    em.on("POST", "/api/sessionMngr/", error(status, "Busy."))

    with pytest.raises(ServerFailing) as failed, client_of(em):
        pass

    assert failed.value.status == status
    assert len(em.asked_for("POST")) == 1
    assert waits == []


@pytest.mark.parametrize(("username", "password"), [("a:b", "x"), ("mirror", "\ud800")])
def test_a_name_or_password_that_cannot_be_sent_is_refused_here(
    em: ScriptedServer, client_of: ClientOf, username: str, password: str
) -> None:
    with (
        pytest.raises(LogonRefused, match="cannot be sent"),
        client_of(em, username=username, password=password),
    ):
        pass

    assert em.asked_for("POST") == []


@pytest.mark.parametrize(
    "reply", [error(500, "Gone."), Reply(raw=lambda opened: None)], ids=["500", "broken"]
)
def test_the_log_off_happens_after_an_error_too_and_its_own_failure_is_ignored(
    em: ScriptedServer, client_of: ClientOf, reply: Reply
) -> None:
    em.on("DELETE", "/api/logonSessions/", reply)

    with pytest.raises(KeyError, match="ours"), client_of(em):
        raise KeyError("ours")

    assert len(em.asked_for("DELETE")) == 1


def test_after_the_log_off_nothing_is_asked(em: ScriptedServer, client_of: ClientOf) -> None:
    with client_of(em) as client:
        pass

    with pytest.raises(LogonLost, match="no logon session"):
        client.backup_servers()


def test_a_401_in_the_middle_brings_one_new_log_on_and_the_same_request(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("POST", "/api/sessionMngr/", logon_reply(token="first"), logon_reply(token="second", id_="two"))
    em.on("GET", "/api/query", error(401, "Expired."), Reply(query_result([restore_session()])))

    with client_of(em) as client:
        pages = list(client.restore_session_pages(since=None))

    assert len(pages[0].items) == 1
    first, second = em.asked_for("GET", "/api/query")
    assert first.target == second.target
    assert [asked.headers["x-restsvcsessionid"] for asked in (first, second)] == ["first", "second"]
    assert [asked.target for asked in em.asked_for("DELETE")] == ["/api/logonSessions/two"]


def test_a_second_401_is_a_lost_log_on(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/query", error(401, "Expired."))

    with pytest.raises(LogonLost), client_of(em) as client:
        list(client.restore_session_pages(since=None))

    assert len(em.asked_for("POST")) == 2
    assert len(em.asked_for("GET", "/api/query")) == 2


def test_a_new_log_on_that_is_refused_ends_the_run(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("POST", "/api/sessionMngr/", logon_reply(), error(401, "Locked."))
    em.on("GET", "/api/query", error(401, "Expired."))

    with pytest.raises(LogonRefused, match="Locked"), client_of(em) as client:
        list(client.restore_session_pages(since=None))

    assert len(em.asked_for("POST")) == 2


def test_one_restore_session_is_asked_for_by_its_id(em: ScriptedServer, client_of: ClientOf) -> None:
    document = restore_session().replace("<RestoreSession ", f"<RestoreSession {XMLNS} ", 1)
    em.on("GET", "/api/restoreSessions/", Reply(document))

    with client_of(em) as client:
        entity = client.restore_session(UID)

    assert entity is not None
    assert entity.uid == UID
    assert em.asked_for("GET", "/api/restoreSessions")[0].target.endswith(f"/{UID[-36:]}?format=Entity")


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_restore_session_that_is_gone_is_none(em: ScriptedServer, client_of: ClientOf, status: int) -> None:
    em.on("GET", "/api/restoreSessions/", error(status, "There is no such object."))

    with client_of(em) as client:
        assert client.restore_session(UID) is None

    assert len(em.asked_for("GET", "/api/restoreSessions/")) == (2 if status == 500 else 1)


@pytest.mark.parametrize("status", [502, 503, 504, 501, 405])
def test_a_server_in_trouble_is_not_a_restore_session_gone(
    em: ScriptedServer, client_of: ClientOf, status: int
) -> None:
    em.on("GET", "/api/restoreSessions/", error(status, "Busy."))

    with pytest.raises((ServerFailing, UnexpectedAnswer)), client_of(em) as client:
        client.restore_session(UID)


@pytest.mark.parametrize(
    "body", [f"<EntityRef {XMLNS}/>", restore_session(2)], ids=["a reference", "another restore session"]
)
def test_anything_else_than_the_restore_session_asked_for_is_refused(
    em: ScriptedServer, client_of: ClientOf, body: str
) -> None:
    em.on("GET", "/api/restoreSessions/", Reply(body))

    with pytest.raises(UnexpectedAnswer, match="came instead"), client_of(em) as client:
        client.restore_session(UID)


def test_what_is_no_uid_is_not_asked_for(em: ScriptedServer, client_of: ClientOf) -> None:
    with client_of(em) as client, pytest.raises(ValueError, match="UID"):
        client.restore_session("urn:veeam:RestoreSession")


def test_backup_servers_are_listed(em: ScriptedServer, client_of: ClientOf) -> None:
    server = '<BackupServer Name="east" UID="urn:veeam:BackupServer:9e2c"><Port>9392</Port></BackupServer>'
    em.on("GET", "/api/backupServers", Reply(f"<BackupServers {XMLNS}>{server}</BackupServers>"))

    with client_of(em) as client:
        servers = client.backup_servers()

    assert [(server.uid, server.name, server.port) for server in servers] == [
        ("urn:veeam:BackupServer:9e2c", "east", 9392)
    ]


@pytest.mark.parametrize(
    "body", [f"<EntityReferences {XMLNS}/>", f"<BackupServers {XMLNS}><Ref/></BackupServers>"]
)
def test_anything_else_than_backup_servers_is_refused(
    em: ScriptedServer, client_of: ClientOf, body: str
) -> None:
    em.on("GET", "/api/backupServers", Reply(body))

    with pytest.raises(UnexpectedAnswer, match="instead of backup servers"), client_of(em) as client:
        client.backup_servers()


def test_a_missing_right_is_final_for_the_call_only(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", error(403, "Access denied."))

    with client_of(em) as client:
        with pytest.raises(Forbidden, match="Access denied"):
            client.backup_servers()
        pages = list(client.restore_session_pages(since=None))

    assert len(pages) == 1
    assert len(em.asked_for("GET", "/api/backupServers")) == 1


@pytest.mark.parametrize(
    ("forbidden", "role"),
    [
        (
            {"/api/query?type=RestoreSession", "/api/backupServers", "/api/query?type=Job"},
            "Exchange, Oracle or SQL",
        ),
        ({"/api/backupServers", "/api/query?type=Job"}, "VM or File"),
        ({"/api/query?type=Job"}, "Portal User"),
        (set(), "Portal Administrator"),
    ],
)
def test_the_role_shows_in_what_is_refused(
    em: ScriptedServer, client_of: ClientOf, forbidden: set[str], role: str
) -> None:
    def script(asked: Asked) -> Reply:
        refused = any(asked.target.startswith(target) for target in forbidden)
        return error(403, "Access denied.") if refused else Reply(query_result([]))

    em.on("GET", "/api/query", script)
    em.on("GET", "/api/backupServers", script)

    with client_of(em) as client:
        assert client.infer_role().startswith(role)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_query_for_jobs_that_is_not_answered_claims_no_higher_role(
    em: ScriptedServer, client_of: ClientOf, status: int
) -> None:
    jobs = error(status, "Unknown type.")
    em.on(
        "GET", "/api/query", lambda asked: jobs if asked.query["type"] == "Job" else Reply(query_result([]))
    )

    with client_of(em) as client:
        assert client.infer_role() == "Portal User"


def test_a_server_in_trouble_has_no_role_to_show(em: ScriptedServer, client_of: ClientOf) -> None:
    em.on("GET", "/api/backupServers", error(500, "Oops."))

    with client_of(em) as client, pytest.raises(ServerFailing):
        client.infer_role()


def test_one_connection_serves_a_whole_run(em: ScriptedServer, client_of: ClientOf) -> None:
    with client_of(em) as client:
        client.infer_role()
        list(client.restore_session_pages(since=None))

    assert em.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<html><body>Sign in</body></html>", content_type="text/html"),
        Reply('<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"/>'),
        Reply("<!DOCTYPE html><title>x</title>", content_type=None),
        Reply("{}", content_type="application/json"),
        Reply("<other/>"),
        Reply("Not Found", status=404, content_type="text/plain"),
        Reply(status=302, headers={"Location": "https://elsewhere.example.test/"}),
        error(401, "Who are you?"),
        error(403, "No."),
    ],
    ids=["html", "xhtml", "html by body", "json", "other xml", "404", "redirect", "401", "403"],
)
def test_something_else_at_the_address_is_recognised(
    em: ScriptedServer, client_of: ClientOf, reply: Reply
) -> None:
    em.on("GET", "/api/", reply)

    with pytest.raises(NotEnterpriseManager, match="9398"), client_of(em):
        pass

    assert em.asked_for("POST") == []


def test_a_half_started_service_is_waited_for(
    em: ScriptedServer, client_of: ClientOf, waits: list[float]
) -> None:
    page = Reply("<html/>", content_type="text/html")
    em.on("GET", "/api/", page, Reply(f"<EnterpriseManager {XMLNS}"), error(503, "Starting."), root_reply())

    with client_of(em) as client:
        assert client.api_versions == ("v1_6", "v1_7")

    assert sum(waits) == pytest.approx(0.5 + 1 + 2)


def test_a_root_without_versions_is_an_enterprise_manager_still(
    em: ScriptedServer, client_of: ClientOf
) -> None:
    em.on("GET", "/api/", lambda asked: Reply(f"<EnterpriseManager {XMLNS}/>"))

    with client_of(em) as client:
        assert client.api_versions == ()


def test_a_client_told_to_stop_does_not_log_on(em: ScriptedServer, client_of: ClientOf) -> None:
    answers = iter([False, True])

    with pytest.raises(Stopped), client_of(em, should_stop=lambda: next(answers, True)):
        pass

    assert em.asked_for("POST") == []


def test_a_client_told_to_stop_still_logs_off(em: ScriptedServer, client_of: ClientOf) -> None:
    stop: list[bool] = []

    with client_of(em, should_stop=lambda: bool(stop)) as client:
        stop.append(True)
        with pytest.raises(Stopped):
            client.backup_servers()

    assert em.asked_for("GET", "/api/backupServers") == []
    assert len(em.asked_for("DELETE")) == 1


def test_failures_survive_pickling() -> None:
    failure = pickle.loads(pickle.dumps(ServerFailing("Busy.", status=503, retry_after=7.0)))

    assert (str(failure), failure.status, failure.retry_after) == ("Busy.", 503, 7.0)
