"""One HTTP exchange with Enterprise Manager: a request out, a bounded answer back, or a failure of ours.

No answer may be larger than 16 MiB (a page of 500 restore sessions has about half of one) or come packed, since a
packed one has no bound.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

import requests
from urllib3 import exceptions as refusals

from restorereports.em.connection import Connection
from restorereports.em.failures import EnterpriseManagerError, TrustError, UnexpectedAnswer, Unreachable
from restorereports.em.trust import (
    certificate_changed,
    certificate_untrusted,
    normalise_fingerprint,
    offered_certificate,
    tls_context,
)
from restorereports.em.waiting import call_within, never
from restorereports.em.wire import Http, TrustingOnly, Wire

MAX_BODY = 16 * 1024 * 1024
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer; `headers` have lower-case names, the two times are ours, aware UTC."""

    status: int
    headers: dict[str, str]
    body: bytes
    asked_at: datetime
    answered_at: datetime


class Transport:
    """The connection to one Enterprise Manager, kept alive. Raises TrustError for an unusable CA or pin."""

    def __init__(self, connection: Connection, *, should_stop: Callable[[], bool] = never) -> None:
        self._connection = connection
        self._should_stop = should_stop
        self._pin = ""
        self._tls: dict[str, Any] = {}
        if connection.is_tls:
            self._pin = normalise_fingerprint(connection.pin_sha256) if connection.pin_sha256 else ""
            self._tls["ssl_context"] = tls_context(ca_pem=connection.ca_pem, pin_sha256=self._pin)
        if self._pin:
            self._tls["assert_fingerprint"] = self._pin
        self._open()

    def exchange(
        self, method: str, path: str, *, headers: dict[str, str], seconds: float | None = None
    ) -> Answer:
        """Send `path` (below the server's address) and read the whole answer, within `seconds` if given.

        Raises Unreachable, TrustError, Stopped, and UnexpectedAnswer for a cut or oversized answer.
        """
        http, url = self._http, self._connection.url + path
        limit = self._connection.answer_timeout if seconds is None else seconds
        stop = self._should_stop if method == "GET" else never
        try:
            return call_within(
                lambda: self._exchange(http, method, url, headers),
                seconds=limit,
                should_stop=stop,
                abort=self._abandon,
            )
        except EnterpriseManagerError:
            raise
        except (requests.RequestException, refusals.HTTPError, HTTPException, OSError, ValueError) as error:
            failure = self._in_our_words(error)
        raise failure

    def close(self) -> None:
        self._http.close()
        self._wire.release()

    def _open(self) -> None:
        self._wire = Wire()
        self._http = Http()
        self._http.mount("https://", TrustingOnly(tls=self._tls, wire=self._wire))
        self._http.mount("http://", TrustingOnly(tls={}, wire=self._wire))

    def _abandon(self) -> None:
        """End an exchange that was given up, and leave its thread nothing of what comes after."""
        self._wire.cut()
        self._http.close()
        self._open()

    def _exchange(self, http: Http, method: str, url: str, headers: dict[str, str]) -> Answer:
        connection = self._connection
        asked_at = datetime.now(UTC)
        with http.request(
            method,
            url,
            headers={"Accept": "application/xml", "Accept-Encoding": "identity", **headers},
            timeout=(connection.connect_timeout, connection.read_timeout),
            proxies={"http": connection.proxy, "https": connection.proxy} if connection.proxy else {},
            allow_redirects=False,
            stream=True,
        ) as response:
            answered_at = datetime.now(UTC)
            return Answer(
                status=response.status_code,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=_bounded_body(response),
                asked_at=asked_at,
                answered_at=answered_at,
            )

    def _in_our_words(self, error: Exception) -> EnterpriseManagerError:
        refused = next((cause for cause in _causes(error) if isinstance(cause, ssl.SSLError)), None)
        pin_missed = next((found for cause in _causes(error) if (found := _fingerprint_got(cause))), "")
        if pin_missed or (refused is not None and not isinstance(refused, ssl.SSLEOFError)):
            return self._distrust(refused, offered=pin_missed)
        return _unreachable(error)

    def _distrust(self, refused: ssl.SSLError | None, *, offered: str) -> TrustError:
        """The refusal with what is known of the certificate, looked at once more for its facts."""
        connection = self._connection
        try:
            facts = offered_certificate(
                connection.host, connection.port, connection.connect_timeout, connection.proxy
            )
        except EnterpriseManagerError:
            facts = None
        if offered:
            same = facts if facts is not None and facts.sha256 == offered else None
            return certificate_changed(pinned=self._pin, offered=offered, facts=same)
        return certificate_untrusted(refused or ssl.SSLError(), facts=facts)


def _bounded_body(response: requests.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnexpectedAnswer("The answer is packed, which was not asked for.")
    length = response.headers.get("Content-Length", "")
    if re.fullmatch(r"\d+", length) and (len(length) > 12 or int(length) > MAX_BODY):
        raise UnexpectedAnswer(f"The answer announces more than {MAX_BODY} bytes.")
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            raise UnexpectedAnswer(f"The answer has more than {MAX_BODY} bytes.")
    return bytes(body)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, however requests and urllib3 have wrapped it."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]


def _fingerprint_got(cause: BaseException) -> str:
    """The fingerprint that urllib3 met instead of the pinned one, from its text; "" for any other error."""
    match = re.search(r'Fingerprints did not match.*got "([0-9a-f]{64})"', str(cause))
    return match.group(1) if match and isinstance(cause, refusals.SSLError) else ""


def _unreachable(error: Exception) -> EnterpriseManagerError:
    """Which of the four ways not to get an answer, from the innermost cause."""
    causes = [cause for cause in _causes(error) if not isinstance(cause, requests.RequestException)]

    def among(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return UnexpectedAnswer("The answer is cut off.", transient=True)
    if among(refusals.NameResolutionError, socket.gaierror):
        return Unreachable("The host name cannot be resolved.", kind="resolve", sent=False)
    if among(refusals.NewConnectionError):
        return Unreachable(
            "The connection is refused: is this the right host and port?", kind="connect", sent=False
        )
    if among(refusals.ConnectTimeoutError):
        return Unreachable("No connection within the time-out.", kind="timeout", sent=False)
    if among(refusals.ProxyError):
        return Unreachable("The proxy does not let the connection through.", kind="connect", sent=False)
    if among(refusals.ReadTimeoutError, TimeoutError):
        return Unreachable("No answer within the time-out.", kind="timeout")
    if among(OSError, HTTPException, refusals.ProtocolError):
        return Unreachable("The connection broke before the answer was complete.", kind="reset")
    return UnexpectedAnswer("The answer does not follow HTTP.", transient=True)
