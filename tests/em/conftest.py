"""What the tests of the EM client share: a scripted server, a connection to it, certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from restorereports.em.client import Connection, EnterpriseManagerClient
from tests.em.certificates import Issued, issue
from tests.em.scripted_server import ScriptedServer, manager, running

PASSWORD = "s3cret:pässword"


@pytest.fixture
def em() -> Iterator[ScriptedServer]:
    with running(manager()) as server:
        yield server


@pytest.fixture
def waits() -> list[float]:
    """Every slice of every pause that a client of `client_of` has made."""
    return []


@pytest.fixture
def client_of(waits: list[float]) -> Callable[..., EnterpriseManagerClient]:
    """A client that does not really wait."""

    def client(server: ScriptedServer, **options: object) -> EnterpriseManagerClient:
        of_client = {
            name: options.pop(name) for name in ("should_stop", "on_wait", "tries") if name in options
        }
        connection = connection_to(server, **options)
        return EnterpriseManagerClient(connection, sleep=waits.append, **of_client)  # type: ignore[arg-type]

    return client


def connection_to(server: ScriptedServer, **options: object) -> Connection:
    settings: dict[str, object] = {"connect_timeout": 2, "read_timeout": 2, "answer_timeout": 5}
    settings |= {"url": server.url, "username": "EMHOST\\mirror", "password": PASSWORD} | options
    return Connection(**settings)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def ca() -> Issued:
    return issue("Restore Test CA", ca=True)


@pytest.fixture(scope="session")
def certificates(ca: Issued) -> dict[str, Issued]:
    return {
        "good": issue("em.example.test", by=ca),
        "self-signed": issue("em.example.test"),
        "expired": issue("em.example.test", by=ca, days=-1),
        "wrong host": issue("em.example.test", by=ca, address="127.0.0.9"),
    }


@pytest.fixture(scope="session")
def tls_server(
    certificates: dict[str, Issued], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], ScriptedServer]:
    """A scripted server behind one of the certificates."""
    folder: Path = tmp_path_factory.mktemp("certificates")
    return lambda which: manager(context=certificates[which].server_context(folder))
