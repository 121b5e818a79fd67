"""Log on to Enterprise Manager, ask page by page, log off.

EM's pages: "HTTP Authentication" (http_authentication), "Query Service" (query_service), "RestoreSession"
(get_restoresessions_id), "Roles" (security_roles_concept). Links are never followed, so that no token
leaves for a host that an answer names.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from types import TracebackType

from lxml import etree

from restorereports.em.answers import (
    Unauthorised,
    clock_skew,
    document,
    looks_like_html,
    not_enterprise_manager,
)
from restorereports.em.connection import Connection, normalise_url
from restorereports.em.entities import (
    BackupServerEntity,
    RestoreSessionEntity,
    id_of,
    read_backup_server,
    read_restore_session,
)
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
from restorereports.em.markup import attribute, child, child_text, children, local_name
from restorereports.em.paging import Page, Sheet, read_sheet, walk
from restorereports.em.query import query_path, restore_session_path
from restorereports.em.retries import TRIES, OnWait, Patience, never_arrived
from restorereports.em.transport import Answer, Transport
from restorereports.em.waiting import never

__all__ = ["Connection", "EnterpriseManagerClient", "Page", "normalise_url"]

LOG_OFF_WITHIN = 10.0  # seconds

EXCHANGE_OPERATOR = "Exchange, Oracle or SQL Restore Operator"
VM_OPERATOR = "VM or File Restore Operator"
PORTAL_USER = "Portal User"
PORTAL_ADMINISTRATOR = "Portal Administrator"


class EnterpriseManagerClient:
    """One logon session; a context manager that logs on, and always logs off what it has itself opened.

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

    def __enter__(self) -> EnterpriseManagerClient:
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

    def restore_session_pages(self, *, since: datetime | None, page_size: int = 500) -> Iterator[Page]:
        """The restore sessions created at or after `since` (aware; None: all), oldest first, page by page."""
        if page_size < 1:
            raise ValueError("A page holds at least one restore session.")

        def ask(number: int, beyond: bool) -> Sheet | None:
            path = restore_session_path(since=since, page_size=page_size, page=number)
            if not beyond:
                return read_sheet(self._get(path))
            root = self._get_unless(path, gone=(400, 404, 500))
            return None if root is None else read_sheet(root)

        return walk(ask, page_size=page_size)

    def restore_session(self, uid: str) -> RestoreSessionEntity | None:
        """One restore session by its UID; None when EM no longer knows it (it then answers 400, 404 or 500).

        ValueError for what is no UID.
        """
        root = self._get_unless(f"/restoreSessions/{id_of(uid)}?format=Entity", gone=(400, 404, 500))
        if root is None:
            return None
        if local_name(root) != "RestoreSession":
            raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of a restore session.")
        entity = read_restore_session(root)
        if id_of(entity.uid).lower() != id_of(uid).lower():
            raise UnexpectedAnswer(f"{entity.uid} came instead of the restore session that was asked for.")
        return entity

    def backup_servers(self) -> list[BackupServerEntity]:
        """All backup servers of this EM; raises Forbidden where the role may not list them."""
        root = self._get("/backupServers?format=Entity")
        rows = list(children(root, "BackupServer"))
        if local_name(root) != "BackupServers" or len(rows) != len(root):
            raise UnexpectedAnswer(f"{safe_text(str(root.tag), limit=80)} came instead of backup servers.")
        return [read_backup_server(row) for row in rows]

    def infer_role(self) -> str:
        """The least role that fits what is refused; EM itself tells no account its role."""
        if self._is_refused(query_path("RestoreSession", format_="References", page_size=1)):
            return EXCHANGE_OPERATOR
        if self._is_refused("/backupServers"):
            return VM_OPERATOR
        jobs = query_path("Job", format_="References", page_size=1)
        return PORTAL_USER if self._is_refused(jobs, or_answered=(400, 404, 500)) else PORTAL_ADMINISTRATOR

    def _is_refused(self, path: str, *, or_answered: tuple[int, ...] = ()) -> bool:
        """Whether the answer is 403, or one of these: a sign that is not needed must not end a run."""
        try:
            return self._get_unless(path, gone=or_answered) is None
        except Forbidden:
            return True

    def _get(self, path: str, *, at_most: int | None = None) -> etree._Element:
        """The document at `path` below /api; on 401 one new log-on and the same request again."""
        if not self._token:
            raise LogonLost("There is no logon session.")
        try:
            return self._patience.retried(lambda: self._document(path), at_most=at_most)
        except Unauthorised:
            self.log_on()
        try:
            return self._patience.retried(lambda: self._document(path), at_most=at_most)
        except Unauthorised as error:
            text = str(error)
        raise LogonLost(f"The log-on holds for no request. {text}")

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
