"""One logon session with Enterprise Manager: opened, asked through, closed.

EM's pages: "HTTP Authentication" (http_authentication). Links are never followed, so that no token leaves for
a host that an answer names.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from types import TracebackType
from typing import Self, TypeVar

from lxml import etree

from restorereports.em.answers import (
    Unauthorised,
    check_head,
    clock_skew,
    document,
    error_in_spite_of,
    looks_like_html,
    not_enterprise_manager,
)
from restorereports.em.connection import Connection
from restorereports.em.failures import (
    EnterpriseManagerError,
    Forbidden,
    LogonLost,
    LogonRefused,
    ServerFailing,
    Stopped,
    UnexpectedAnswer,
    safe_text,
)
from restorereports.em.long_lists import rows_of
from restorereports.em.markup import attribute, child, child_text, children, local_name
from restorereports.em.retries import TRIES, OnWait, Patience, never_arrived
from restorereports.em.transport import Answer, Transport
from restorereports.em.waiting import never

Result = TypeVar("Result")

LOG_OFF_WITHIN = 10.0  # seconds


class LogonSession:
    """A context manager that logs on, and always logs off what it has itself opened.

    GETs are tried up to `tries` times where that may help, with back-off and EM's own Retry-After (at most
    60 s). A log-on is sent once: a second refusal could lock the account. `should_stop` is asked at least
    every half second, always on the caller's thread; `on_wait` hears of every pause: its length in seconds,
    and why. Every method raises EnterpriseManagerError.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        should_stop: Callable[[], bool] = never,
        sleep: Callable[[float], object] = time.sleep,
        on_wait: OnWait | None = None,
        tries: int = TRIES,
    ) -> None:
        self.api_versions: tuple[str, ...] = ()
        self.clock_skew: timedelta | None = None  # positive: EM's clock is ahead of ours
        self.username = ""  # as EM reports it
        self._connection = connection
        self._should_stop = should_stop
        self._patience = Patience(should_stop=should_stop, sleep=sleep, on_wait=on_wait, tries=tries)
        self._token = ""
        self._logon_session_id = ""
        self._transport = Transport(connection, should_stop=should_stop)

    def __enter__(self) -> Self:
        try:
            self.probe()
            self.log_on()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def probe(self) -> None:
        """Ask, without a log-on, whether this is an Enterprise Manager; raises NotEnterpriseManager."""
        root = self._patience.retried(self._root)
        versions = child(root, "SupportedVersions")
        names = children(versions, "SupportedVersion") if versions is not None else iter(())
        self.api_versions = tuple(safe_text(attribute(name, "Name"), limit=20) for name in names)

    def log_on(self) -> None:
        """Open a logon session; sent again only if it cannot have arrived. Raises LogonRefused."""
        if self._should_stop():
            raise Stopped("Stopped before logging on to Enterprise Manager.")
        self._token = self._logon_session_id = ""
        answer, root = self._patience.retried(self._logon, when=never_arrived)
        token = answer.headers.get("x-restsvcsessionid", "").strip()
        id_ = child_text(root, "SessionId") or attribute(root, "Href").rpartition("/")[2]
        if not re.fullmatch(r"[\x21-\x7e]{1,4096}", token) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", id_):
            raise UnexpectedAnswer(
                "The log-on brought no usable token or no logon session.", status=answer.status
            )
        self._token, self._logon_session_id = token, id_
        self.username = safe_text(child_text(root, "UserName"), limit=200)
        self.clock_skew = clock_skew(answer)

    def close(self) -> None:
        """Log off, by our own logon session's id, whatever happened before; its failure has no interest."""
        id_, self._logon_session_id = self._logon_session_id, ""
        try:
            if id_:
                self._transport.exchange(
                    "DELETE", f"/api/logonSessions/{id_}", headers=self._identity(), seconds=LOG_OFF_WITHIN
                )
        except EnterpriseManagerError:
            return  # EM forgets an idle logon session after 15 minutes by itself
        finally:
            self._token = ""
            self._transport.close()

    def _get(self, path: str, *, at_most: int | None = None) -> etree._Element:
        """The document at `path` below /api."""
        return self._asked(lambda: self._document(path), at_most=at_most)

    def _asked(self, ask: Callable[[], Result], *, at_most: int | None = None) -> Result:
        """What `ask` brings, at last; on 401 one new log-on and the same question again."""
        if not self._token:
            raise LogonLost("There is no logon session.")
        try:
            return self._patience.retried(ask, at_most=at_most)
        except Unauthorised:
            self.log_on()
        try:
            return self._patience.retried(ask, at_most=at_most)
        except Unauthorised as error:
            text = str(error)
        raise LogonLost(f"The log-on holds for no request. {text}")

    def _rows(self, path: str, *, root: str, names: Collection[str]) -> Iterator[etree._Element]:
        """The rows of a list without pages, as they come; tried again until the first one is there."""

        def begun() -> tuple[etree._Element | None, Iterator[etree._Element]]:
            rows = self._streamed(path, root=root, names=names)
            return next(rows, None), rows

        first, rest = self._asked(begun)
        if first is not None:
            yield first
            yield from rest

    def _streamed(self, path: str, *, root: str, names: Collection[str]) -> Iterator[etree._Element]:
        """As `_rows`, asked once."""
        download = self._transport.download("/api" + path, headers=self._identity())
        head, secrets = download.head, self._secrets()
        try:
            check_head(head, secrets=secrets)
            yield from rows_of(
                download.chunks(),
                root=root,
                names=names,
                refused=lambda error: error_in_spite_of(head, error, secrets=secrets),
            )
        finally:
            download.close()

    def _get_unless(self, path: str, *, gone: tuple[int, ...]) -> etree._Element | None:
        """As `_get`, but None for a status in `gone`. Two tries: 500 is a usual word for that."""
        try:
            return self._get(path, at_most=2)
        except (ServerFailing, UnexpectedAnswer) as error:
            if error.status not in gone:
                raise
        return None

    def _document(self, path: str) -> etree._Element:
        answer = self._transport.exchange("GET", "/api" + path, headers=self._identity())
        return document(answer, secrets=self._secrets())

    def _root(self) -> etree._Element:
        answer = self._transport.exchange("GET", "/api/", headers={})
        port = self._connection.port
        try:
            root = document(answer, secrets=self._secrets())
        except (Unauthorised, Forbidden, UnexpectedAnswer) as error:
            if (
                answer.status == 200
                and not looks_like_html(answer)
                and "xml" in answer.headers.get("content-type", "")
            ):
                raise
            why, transient = str(error), error.transient
        else:
            if local_name(root) == "EnterpriseManager":
                return root
            why, transient = f"{safe_text(str(root.tag), limit=80)} came.", False
        raise not_enterprise_manager(why, port=port, transient=transient)

    def _logon(self) -> tuple[Answer, etree._Element]:
        headers = {"Authorization": self._basic(), "Content-Length": "0"}
        answer = self._transport.exchange("POST", "/api/sessionMngr/?v=latest", headers=headers)
        try:
            return answer, document(answer, expected=(201, 200), secrets=self._secrets())
        except (Unauthorised, Forbidden) as error:
            text = str(error)
        raise LogonRefused(f"The log-on was refused: check user name, password and role. {text}")

    def _basic(self) -> str:
        connection = self._connection
        try:
            pair = f"{connection.username}:{connection.password}".encode()
        except UnicodeEncodeError:
            pair = b""
        if not pair or ":" in connection.username:
            raise LogonRefused("This user name or password cannot be sent.")
        return "Basic " + base64.b64encode(pair).decode("ascii")

    def _identity(self) -> dict[str, str]:
        return {"X-RestSvcSessionId": self._token}

    def _secrets(self) -> tuple[str, ...]:
        return (self._basic().removeprefix("Basic "), self._token, self._connection.password)
