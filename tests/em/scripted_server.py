"""A server on 127.0.0.1 that answers as a test tells it to; it knows nothing of our client."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "MGM0ZjFhOTItN2QzZS00YjA1LTlhNTEtM2Y2ZTJkOGI3YzEw"
LOGON_SESSION_ID = "0c4f1a92-7d3e-4b05-9a51-3f6e2d8b7c10"
XMLNS = 'xmlns="http://www.veeam.com/ent/v1.0"'


@dataclass(frozen=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.target).query).items()}

    @property
    def page(self) -> int:
        return int(self.query["page"])


@dataclass(frozen=True)
class Reply:
    """What to answer; `raw` takes over the socket instead, which is closed afterwards."""

    body: bytes | str = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str | None = "application/xml; charset=utf-8"
    raw: Callable[[socket.socket], None] | None = None

    def as_bytes(self) -> bytes:
        return self.body.encode() if isinstance(self.body, str) else self.body


Script = Callable[[Asked], Reply]


class ScriptedServer(ThreadingHTTPServer):
    """Scripts by method and beginning of the path, the longest first; several replies come one by one."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, *, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.context = context
        self.asked: list[Asked] = []
        self.connections = 0
        self.scripts: dict[tuple[str, str], Script] = {}

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        if self.context is not None:
            request.settimeout(5)
            request = self.context.wrap_socket(request, server_side=True)
            request.settimeout(None)
        with contextlib.suppress(OSError):
            super().finish_request(request, client_address)
        with contextlib.suppress(OSError):
            request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Refused handshakes and broken connections are what the tests are about."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"{'https' if self.context else 'http'}://127.0.0.1:{self.port}"

    def on(self, method: str, path: str, *replies: Reply | Script) -> None:
        """The last reply is given for ever."""
        left = list(replies)

        def script(asked: Asked) -> Reply:
            reply = left.pop(0) if len(left) > 1 else left[0]
            return reply if isinstance(reply, Reply) else reply(asked)

        self.scripts[method, path] = script

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        fitting = [
            (len(path), script)
            for (method, path), script in self.scripts.items()
            if method == asked.method and asked.path.startswith(path)
        ]
        return (
            max(fitting, key=lambda found: found[0])[1](asked) if fitting else error(404, "No such resource.")
        )

    def asked_for(self, method: str, path: str = "") -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method and asked.path.startswith(path)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedServer

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.server.answer(Asked(self.command, self.path, headers, body))
        if reply.raw is not None:
            self.close_connection = True
            reply.raw(self.connection)
            return
        content = reply.as_bytes()
        self.send_response(reply.status)
        if reply.content_type is not None:
            self.send_header("Content-Type", reply.content_type)
        if "Content-Length" not in reply.headers and reply.status != 204:
            self.send_header("Content-Length", str(len(content)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _do

    def log_message(self, *args: object) -> None:
        """Quiet."""


def error(status: int, message: str) -> Reply:
    """EM's `Error` body."""
    trace = "<StackTrace>at Secret.Frame()</StackTrace>"
    body = f'<Error Message="{message}" StatusCode="{status}" {XMLNS}>{trace}</Error>'
    return Reply(body, status=status)


def root_reply() -> Reply:
    return Reply(
        f"<EnterpriseManager {XMLNS}><Links/><SupportedVersions>"
        '<SupportedVersion Name="v1_6"/><SupportedVersion Name="v1_7"/></SupportedVersions>'
        "</EnterpriseManager>"
    )


def logon_reply(*, token: str = TOKEN, status: int = 201, id_: str = LOGON_SESSION_ID) -> Reply:
    return Reply(
        f'<LogonSession {XMLNS} Type="LogonSession"><Links/><UserName>EMHOST\\mirror</UserName>'
        f"<SessionId>{id_}</SessionId></LogonSession>",
        status=status,
        headers={"x-restsvcsessionid": token, "Set-Cookie": f"X-RestSvcSessionId={token}; Path=/api;"},
    )


def manager(*, context: ssl.SSLContext | None = None) -> ScriptedServer:
    """A server that lets in, lets out, and has nothing to show."""
    server = ScriptedServer(context=context)
    server.on("GET", "/api/", lambda asked: root_reply() if asked.path == "/api/" else error(404, "Gone."))
    server.on("POST", "/api/sessionMngr/", logon_reply())
    server.on("DELETE", "/api/logonSessions/", Reply(status=204, content_type=None))
    server.on("GET", "/api/query", Reply(query_result([])))
    server.on("GET", "/api/backupServers", Reply(f"<BackupServers {XMLNS}/>"))
    return server


@contextlib.contextmanager
def running(server: ScriptedServer) -> Iterator[ScriptedServer]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def restore_session(number: int = 1, *, created: str = "2031-05-06T07:08:09.5Z", inside: str = "") -> str:
    """A finished restore session, links in the order of the vendor's samples."""
    id_ = f"5b1d7e40-2f6a-4c8e-9d13-{number:012d}"
    base = "https://em.example.test:9398/api"
    return (
        f'<RestoreSession Href="{base}/restoreSessions/{id_}?format=Entity" Type="RestoreSession"'
        f' Name="payroll-db2@2031-05-06 07:08:09.5" UID="urn:veeam:RestoreSession:{id_}"'
        ' VmDisplayName="payroll-db2">'
        f'<Links><Link Href="{base}/backupServers/9e2c4d18" Name="vbr-east.example.test"'
        ' Type="BackupServerReference" Rel="Up" />'
        f'<Link Href="{base}/restoreSessions/{id_}" Type="RestoreSessionReference" Rel="Alternate" />'
        f'<Link Href="{base}/vmRestorePoints/c3a9f6b2" Name="payroll-db2@2031-05-05 22:00:41"'
        ' Type="VmRestorePointReference" Rel="Related" /></Links>'
        f"<JobType>RestoreVm</JobType><CreationTimeUTC>{created}</CreationTimeUTC>"
        "<EndTimeUTC>2031-05-06T07:31:02.043Z</EndTimeUTC><State>Stopped</State><Result>Warning</Result>"
        f"<Progress>100</Progress>{inside}</RestoreSession>"
    )


def paging_info(*, number: int | None = None, size: int | None = None, count: int | None = None) -> str:
    given = (("PageNum", number), ("PageSize", size), ("PagesCount", count))
    return "<PagingInfo " + " ".join(f'{name}="{value}"' for name, value in given if value is not None) + "/>"


def query_result(rows: list[str], *, paging: str = "") -> str:
    return (
        f"<QueryResult {XMLNS}><Entities><RestoreSessions>{''.join(rows)}</RestoreSessions></Entities>"
        f"{paging}</QueryResult>"
    )
