"""Is this connection good? Step by step, from the name to a restore session, with what was found on the way.

For the page on which a connection is typed in: each step is told as soon as it is done, the first failed
one is the last, and whatever happens the logon session is closed.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.connection import NO_EM_THERE, Connection, serves_no_em
from restorereports.em.failures import EnterpriseManagerError, InvalidUrl, TrustError, Unreachable
from restorereports.em.trust import CertificateFacts, verified_certificate
from restorereports.em.waiting import call_within, never

Facts = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`facts` are short texts under plain keys; `error` is there exactly when the step is not `ok`."""

    key: str
    ok: bool
    facts: Facts
    error: EnterpriseManagerError | None
    seconds: float


def check_connection(
    connection: Connection, *, should_stop: Callable[[], bool] = never
) -> Generator[Step, None, None]:
    """The steps resolve, connect, tls, api_versions, logon, role, restore_session, clock_skew, in this order.

    Nothing is tried twice: who looks at the page can press the button again.
    """
    with contextlib.ExitStack() as closing:
        for key, find in _steps(connection, closing, should_stop=should_stop):
            step = _taken(key, find)
            yield step
            if not step.ok:
                return


def _taken(key: str, find: Callable[[], Facts]) -> Step:
    began = time.monotonic()
    try:
        facts, error = find(), None
    except EnterpriseManagerError as failure:
        facts, error = {}, failure
        if isinstance(failure, TrustError) and failure.facts is not None:
            facts = _certificate(failure.facts)
    return Step(key=key, ok=error is None, facts=facts, error=error, seconds=time.monotonic() - began)


def _steps(
    connection: Connection, closing: contextlib.ExitStack, *, should_stop: Callable[[], bool]
) -> Iterator[tuple[str, Callable[[], Facts]]]:
    """Name and work of each step; the client is made only once the trust in it is known to be usable."""
    yield "resolve", lambda: _resolve(connection)
    yield "connect", lambda: _connect(connection)
    yield "tls", lambda: _tls(connection)
    client = EnterpriseManagerClient(connection, should_stop=should_stop, tries=1)
    closing.callback(client.close)
    yield "api_versions", lambda: _api_versions(client)
    yield "logon", lambda: _log_on(client)
    yield "role", lambda: {"role": client.infer_role()}
    yield "restore_session", lambda: _restore_session(client)
    yield "clock_skew", lambda: _clock_skew(client)


def _next_hop(connection: Connection) -> tuple[str, int]:
    """Where the first connection goes: EM, or the proxy before it."""
    if not connection.proxy:
        return connection.host, connection.port
    proxy = urlsplit(connection.proxy)
    return proxy.hostname or "", proxy.port or 0


def _resolve(connection: Connection) -> Facts:
    host, port = _next_hop(connection)
    try:
        found = call_within(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
            seconds=connection.connect_timeout,
        )
    except (OSError, UnicodeError):
        found = []
    if not found:
        raise Unreachable("The host name cannot be resolved.", kind="resolve", sent=False)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if any(serves_no_em(address) for address in addresses):
        raise InvalidUrl(NO_EM_THERE)
    return {"host": host, "addresses": ", ".join(addresses)}


def _connect(connection: Connection) -> Facts:
    host, port = _next_hop(connection)

    def connect() -> str:
        with socket.create_connection((host, port), timeout=connection.connect_timeout) as opened:
            return str(opened.getpeername()[0])

    try:
        return {"address": call_within(connect, seconds=connection.connect_timeout * 2), "port": str(port)}
    except TimeoutError:
        failure = Unreachable("No connection within the time-out.", kind="timeout", sent=False)
    except OSError:
        failure = Unreachable("The connection is refused: is this the right host and port?", sent=False)
    raise failure


def _tls(connection: Connection) -> Facts:
    if not connection.is_tls:
        return {"encrypted": "no"}
    facts = verified_certificate(
        connection.host,
        connection.port,
        connection.connect_timeout,
        connection.proxy,
        ca_pem=connection.ca_pem,
        pin_sha256=connection.pin_sha256,
    )
    return _certificate(facts)


def _certificate(facts: CertificateFacts) -> Facts:
    return {
        "encrypted": "yes",
        "subject": facts.subject,
        "issuer": facts.issuer,
        "not_before": facts.not_before.isoformat(),
        "not_after": facts.not_after.isoformat(),
        "sha256": facts.sha256,
        "self_signed": "yes" if facts.self_signed else "no",
    }


def _api_versions(client: EnterpriseManagerClient) -> Facts:
    client.probe()
    return {"api_versions": ", ".join(client.api_versions)}


def _log_on(client: EnterpriseManagerClient) -> Facts:
    client.log_on()
    return {"username": client.username}


def _restore_session(client: EnterpriseManagerClient) -> Facts:
    """The oldest one: it also tells how far back the history reaches."""
    page = next(client.restore_session_pages(since=None, page_size=1))
    if not page.items:
        return {"found": "no"}
    oldest = page.items[0]
    return {"found": "yes", "name": oldest.name, "started_at": oldest.started_at.isoformat()}


def _clock_skew(client: EnterpriseManagerClient) -> Facts:
    """Seconds by which EM's clock is ahead of ours; "unknown" where EM sends no time."""
    skew = client.clock_skew
    return {"seconds": "unknown" if skew is None else f"{skew.total_seconds():.1f}"}
