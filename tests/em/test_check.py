from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from restorereports.em import check, client
from restorereports.em.check import Step, check_connection
from restorereports.em.failures import (
    CertificateChanged,
    CertificateUntrusted,
    InvalidUrl,
    LogonRefused,
    NotEnterpriseManager,
    Unreachable,
)
from tests.em.certificates import Issued
from tests.em.conftest import connection_to
from tests.em.scripted_server import (
    Reply,
    ScriptedServer,
    error,
    paging_info,
    query_result,
    restore_session,
    running,
)

TlsServer = Callable[[str], ScriptedServer]
ALL = ["resolve", "connect", "tls", "api_versions", "logon", "role", "restore_session", "clock_skew"]


def keys(steps: list[Step]) -> list[str]:
    return [step.key for step in steps]


def test_a_good_connection_passes_every_step_with_its_facts(
    tls_server: TlsServer, ca: Issued, certificates: dict[str, Issued]
) -> None:
    with running(tls_server("good")) as server:
        server.on("GET", "/api/query", Reply(query_result([restore_session()], paging=paging_info(count=9))))

        steps = list(check_connection(connection_to(server, ca_pem=ca.pem)))

    facts = {step.key: step.facts for step in steps}
    assert keys(steps) == ALL
    assert all(step.ok and step.error is None and step.seconds >= 0 for step in steps)
    assert facts["resolve"] == {"host": "127.0.0.1", "addresses": "127.0.0.1"}
    assert facts["connect"] == {"address": "127.0.0.1", "port": str(server.port)}
    assert facts["tls"]["sha256"] == certificates["good"].sha256
    assert (facts["tls"]["encrypted"], facts["tls"]["self_signed"]) == ("yes", "no")
    assert facts["api_versions"] == {"api_versions": "v1_6, v1_7"}
    assert facts["logon"] == {"username": "EMHOST\\mirror"}
    assert facts["role"] == {"role": "Portal Administrator"}
    assert facts["restore_session"]["started_at"] == "2031-05-06T07:08:09.500000+00:00"
    assert abs(float(facts["clock_skew"]["seconds"])) < 5
    assert len(server.asked_for("DELETE")) == 1


def test_plain_http_and_an_empty_history_are_told(
    em: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("http.server.BaseHTTPRequestHandler.date_time_string", lambda self: "")

    facts = {step.key: step.facts for step in check_connection(connection_to(em))}

    assert facts["tls"] == {"encrypted": "no"}
    assert facts["restore_session"] == {"found": "no"}
    assert facts["clock_skew"] == {"seconds": "unknown"}


@pytest.mark.parametrize(
    ("options", "kind"), [({}, CertificateUntrusted), ({"pin_sha256": "ab" * 32}, CertificateChanged)]
)
def test_a_refused_certificate_ends_the_check_and_shows_itself(
    tls_server: TlsServer, certificates: dict[str, Issued], options: dict[str, str], kind: type[Exception]
) -> None:
    with running(tls_server("self-signed")) as server:
        steps = list(check_connection(connection_to(server, **options)))

    assert keys(steps) == ALL[:3]
    assert not steps[-1].ok
    assert isinstance(steps[-1].error, kind)
    assert steps[-1].facts["sha256"] == certificates["self-signed"].sha256
    assert {"subject", "issuer", "not_after"} <= steps[-1].facts.keys()
    assert server.asked == []


def test_a_refused_log_on_ends_the_check_after_one_try(em: ScriptedServer) -> None:
    em.on("POST", "/api/sessionMngr/", error(401, "No."))

    steps = list(check_connection(connection_to(em)))

    assert keys(steps) == ALL[:5]
    assert isinstance(steps[-1].error, LogonRefused)
    assert len(em.asked_for("POST")) == 1


def test_a_failing_server_is_asked_once_and_logged_off_from(em: ScriptedServer) -> None:
    em.on("GET", "/api/query", error(503, "Busy."))

    steps = list(check_connection(connection_to(em)))

    assert (steps[-1].key, steps[-1].ok) == ("role", False)
    assert len(em.asked_for("GET", "/api/query")) == 1
    assert len(em.asked_for("DELETE")) == 1


def test_a_check_that_nobody_waits_for_logs_off_too(em: ScriptedServer) -> None:
    steps = check_connection(connection_to(em))
    for step in steps:
        if step.key == "logon":
            break

    steps.close()

    assert len(em.asked_for("DELETE")) == 1


@pytest.mark.parametrize(("port", "hint"), [(9443, "web page"), (9419, "backup server")])
def test_the_two_usual_wrong_ports_are_recognised(
    em: ScriptedServer, monkeypatch: pytest.MonkeyPatch, port: int, hint: str
) -> None:
    """Served at another port, since these may be taken on the machine of the tests."""
    em.on("GET", "/api/", Reply("<html/>", status=404, content_type="text/html"))
    monkeypatch.setattr(client.Connection, "port", property(lambda self: port))
    honest = socket.create_connection
    monkeypatch.setattr(socket, "create_connection", lambda to, **how: honest(("127.0.0.1", em.port), **how))

    steps = list(check_connection(connection_to(em)))

    assert isinstance(steps[-1].error, NotEnterpriseManager)
    assert hint in str(steps[-1].error)
    assert "9398" in str(steps[-1].error)


def test_a_name_that_does_not_resolve_ends_the_check(
    monkeypatch: pytest.MonkeyPatch, em: ScriptedServer
) -> None:
    def unknown(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    steps = list(check_connection(connection_to(em)))

    assert keys(steps) == ["resolve"]
    assert isinstance(steps[0].error, Unreachable)
    assert steps[0].error.kind == "resolve"


def test_a_name_that_leads_to_a_metadata_service_ends_the_check(
    monkeypatch: pytest.MonkeyPatch, em: ScriptedServer
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 9398))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)

    steps = list(check_connection(connection_to(em)))

    assert keys(steps) == ["resolve"]
    assert isinstance(steps[0].error, InvalidUrl)


@pytest.mark.parametrize(
    ("raised", "kind"), [(TimeoutError(), "timeout"), (ConnectionRefusedError(), "connect")]
)
def test_a_port_that_does_not_open_ends_the_check(
    monkeypatch: pytest.MonkeyPatch, em: ScriptedServer, raised: OSError, kind: str
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise raised

    monkeypatch.setattr(check.socket, "create_connection", refuse)

    steps = list(check_connection(connection_to(em)))

    assert keys(steps) == ["resolve", "connect"]
    assert isinstance(steps[1].error, Unreachable)
    assert steps[1].error.kind == kind


def test_behind_a_proxy_the_first_steps_look_at_the_proxy(em: ScriptedServer) -> None:
    connection = connection_to(em, url="https://em.example.test", proxy=em.url)

    steps = list(check_connection(connection))

    assert keys(steps) == ["resolve", "connect", "tls"]
    assert steps[0].facts["host"] == "127.0.0.1"
    assert steps[1].facts["port"] == str(em.port)
    assert isinstance(steps[2].error, Unreachable)
