"""One HTTP exchange with Enterprise Manager: a request out, a bounded answer back, or a failure of ours.

No answer may be larger than 16 MiB (a page of 500 restore sessions has about half of one) or come packed, since a
packed one has no bound. A list that EM has no pages for may be read as it comes instead: see Download.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import requests

from restorereports.em.breakages import BREAKAGES, causes_of, fingerprint_got, unreachable
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
from restorereports.em.wire import Line

Result = TypeVar("Result")

MAX_BODY = 16 * 1024 * 1024
MAX_DOWNLOAD = 4 * 1024**3  # a million references have about 0.7 GB
DOWNLOAD_TIMES = 12  # a download may take so many times the time of one answer
_CHUNK = 64 * 1024
_PIECE = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer; `headers` have lower-case names, the two times are ours, aware UTC."""

    status: int
    headers: dict[str, str]
    body: bytes
    asked_at: datetime
    answered_at: datetime


class Download:
    """A long answer, read piece by piece; `head` is the answer with its first piece as the body.

    EM has the time of a whole answer to begin, then the time-out of a read for each piece (128 KiB). A failed
    answer is whole in `head`. Close it, also when it was read to its end.
    """

    def __init__(self, head: Answer, *, read: Callable[[], bytes], line: Line, seconds: float) -> None:
        self.head = head
        self._read = read
        self._line = line
        self._seconds = seconds

    def chunks(self) -> Iterator[bytes]:
        """The whole body. Only the waiting for EM counts as time, not what is done with the pieces.

        Raises as `exchange`: also in the middle, when the answer is cut, stopped, too long or too late.
        """
        size, waited, piece = 0, 0.0, self.head.body
        while piece:
            size += len(piece)
            if size > MAX_DOWNLOAD:
                raise UnexpectedAnswer(f"The answer has more than {MAX_DOWNLOAD} bytes.")
            yield piece
            began = time.monotonic()
            piece = self._read()
            waited += time.monotonic() - began
            if waited > self._seconds:
                raise Unreachable(f"No complete answer within {self._seconds:g} seconds.", kind="timeout")

    def close(self) -> None:
        self._line.cut()


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
        self._line = Line(tls=self._tls)

    def exchange(
        self, method: str, path: str, *, headers: dict[str, str], seconds: float | None = None
    ) -> Answer:
        """Send `path` (below the server's address) and read the whole answer, within `seconds` if given.

        Raises Unreachable, TrustError, Stopped, and UnexpectedAnswer for a cut or oversized answer.
        """

        def whole(line: Line) -> Answer:
            asked_at = datetime.now(UTC)
            with self._sent(line, method, path, headers) as response:
                answered_at = datetime.now(UTC)
                return _answer(response, _bounded_body(response), asked_at=asked_at, answered_at=answered_at)

        line = self._line
        stop = self._should_stop if method == "GET" else never
        return self._within(lambda: whole(line), seconds=seconds, should_stop=stop, abort=self._abandon)

    def download(self, path: str, *, headers: dict[str, str]) -> Download:
        """GET `path` on a connection of its own, and read the beginning of the answer. Raises as `exchange`."""
        line = Line(tls=self._tls)
        try:
            return self._within(
                lambda: self._begun(line, path, headers), should_stop=self._should_stop, abort=line.cut
            )
        except BaseException:
            line.cut()
            raise

    def close(self) -> None:
        self._line.close()

    def _abandon(self) -> None:
        """End an exchange that was given up, and leave its thread nothing of what comes after."""
        self._line.cut()
        self._line = Line(tls=self._tls)

    def _begun(self, line: Line, path: str, headers: dict[str, str]) -> Download:
        asked_at = datetime.now(UTC)
        patience = self._connection.answer_timeout  # EM may gather a long list before its first byte
        response = self._sent(line, "GET", path, headers, read_timeout=patience)
        answered_at = datetime.now(UTC)
        if response.status_code == 200:
            _refuse_packed(response)
            _refuse_announced(response, at_most=MAX_DOWNLOAD)
            pieces = _pieces(response)
            body = next(pieces, b"")
        else:
            pieces, body = iter(()), _bounded_body(response)
        head = _answer(response, body, asked_at=asked_at, answered_at=answered_at)

        def read() -> bytes:
            return self._within(
                lambda: next(pieces, b""),
                seconds=self._connection.read_timeout,
                should_stop=self._should_stop,
                abort=line.cut,
            )

        return Download(head, read=read, line=line, seconds=self._connection.answer_timeout * DOWNLOAD_TIMES)

    def _within(
        self,
        work: Callable[[], Result],
        *,
        seconds: float | None = None,
        should_stop: Callable[[], bool],
        abort: Callable[[], object],
    ) -> Result:
        """`work`, within `seconds` (or the time of an answer), whatever it raises turned into our words."""
        limit = self._connection.answer_timeout if seconds is None else seconds
        try:
            return call_within(work, seconds=limit, should_stop=should_stop, abort=abort)
        except EnterpriseManagerError:
            raise
        except BREAKAGES as error:
            failure = self._in_our_words(error)
        raise failure

    def _sent(
        self,
        line: Line,
        method: str,
        path: str,
        headers: dict[str, str],
        *,
        read_timeout: float | None = None,
    ) -> requests.Response:
        connection = self._connection
        read_timeout = connection.read_timeout if read_timeout is None else read_timeout
        return line.http.request(
            method,
            connection.url + path,
            headers={"Accept": "application/xml", "Accept-Encoding": "identity", **headers},
            timeout=(connection.connect_timeout, read_timeout),
            proxies={"http": connection.proxy, "https": connection.proxy} if connection.proxy else {},
            allow_redirects=False,
            stream=True,
        )

    def _in_our_words(self, error: Exception) -> EnterpriseManagerError:
        refused = next((cause for cause in causes_of(error) if isinstance(cause, ssl.SSLError)), None)
        pin_missed = next((found for cause in causes_of(error) if (found := fingerprint_got(cause))), "")
        if pin_missed or (refused is not None and not isinstance(refused, ssl.SSLEOFError)):
            return self._distrust(refused, offered=pin_missed)
        return unreachable(error)

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


def _answer(response: requests.Response, body: bytes, *, asked_at: datetime, answered_at: datetime) -> Answer:
    return Answer(
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        body=body,
        asked_at=asked_at,
        answered_at=answered_at,
    )


def _bounded_body(response: requests.Response) -> bytes:
    _refuse_packed(response)
    _refuse_announced(response, at_most=MAX_BODY)
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            raise UnexpectedAnswer(f"The answer has more than {MAX_BODY} bytes.")
    return bytes(body)


def _pieces(response: requests.Response) -> Iterator[bytes]:
    """The body in pieces of one size, however small those of the server are."""
    piece = bytearray()
    for chunk in response.iter_content(_PIECE):
        piece += chunk
        if len(piece) >= _PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _refuse_packed(response: requests.Response) -> None:
    if response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnexpectedAnswer("The answer is packed, which was not asked for.")


def _refuse_announced(response: requests.Response, *, at_most: int) -> None:
    length = response.headers.get("Content-Length", "")
    if re.fullmatch(r"\d+", length) and (len(length) > 12 or int(length) > at_most):
        raise UnexpectedAnswer(f"The answer announces more than {at_most} bytes.")
