"""The socket side: accepts, shakes hands in the worker thread, reads requests, delivers replies, faulty ones too."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import threading
import time
from collections import deque
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from restorereports.emulator.api import answer
from restorereports.emulator.exchange import RecordedRequest, Reply, Request
from restorereports.emulator.faults import Faults
from restorereports.emulator.service import Service

_LARGEST_BODY = 1_000_000
_HANDSHAKE_SECONDS = 10
_IDLE_SECONDS = 120  # an open connection without a request
_SLICES = 20  # a slow body comes in so many pieces


class Listener(ThreadingHTTPServer):
    """Listens; `context` may be exchanged while it runs, None is plain HTTP."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        address: tuple[str, int],
        service: Service,
        faults: Faults,
        recorded: deque[RecordedRequest],
        context: ssl.SSLContext | None,
    ) -> None:
        self.service = service
        self.faults = faults
        self.recorded = recorded
        self.context = context
        self.scheme = "http" if context is None else "https"
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        """Bind without asking the name service for our own name."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accept only: the handshake is left to the worker thread, so that a silent client blocks nobody."""
        connection, address = self.socket.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.context is not None:
            connection = self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._lock:
            self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        """Close one connection."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def close_connections(self) -> None:
        """Close all connections, also those that wait for a request."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off, or does not like the certificate, is no news; a failing callback of a test is."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Connection(BaseHTTPRequestHandler):
    """One connection, request after request."""

    server: Listener
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # buffered: head and body leave in one write
    timeout = _IDLE_SECONDS
    raw_requestline: bytes

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(_HANDSHAKE_SECONDS)
            self.request.do_handshake()
        super().setup()

    def parse_request(self) -> bool:
        """Also accept request lines with bare spaces in the query, as careless clients send them."""
        words = self.raw_requestline.rstrip(b"\r\n").split(b" ")
        if len(words) > 3 and words[-1].startswith(b"HTTP/"):
            self.raw_requestline = b" ".join((words[0], b"%20".join(words[1:-1]), words[-1])) + b"\r\n"
        return super().parse_request()

    def do_GET(self) -> None:
        """Any method: read, answer, deliver."""
        path, _, query = self.path.partition("?")
        request = Request(
            self.command,
            path,
            query,
            {name.lower(): value for name, value in self.headers.items()},
            self._read_body(),
        )
        reply = self._answer(request)
        self.server.recorded.append(
            RecordedRequest(request.method, path, query, 0 if reply.reset else reply.status, request.headers)
        )
        self._deliver(reply)

    do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_GET

    def _read_body(self) -> bytes:
        length = self.headers.get("Content-Length", "0").strip()
        if not length.isascii() or not length.isdigit() or int(length) > _LARGEST_BODY:
            self.close_connection = True
            return b""
        return self.rfile.read(int(length))

    def _answer(self, request: Request) -> Reply:
        striking = self.server.faults.striking(request)
        for fault in striking:
            if fault.before is not None:
                fault.before()
        instead = next((fault.instead for fault in striking if fault.instead is not None), None)
        reply = (
            answer(self.server.service, request, scheme=self.server.scheme)
            if instead is None
            else instead(request)
        )
        for fault in striking:
            if fault.after is not None:
                fault.after(reply)
        return reply

    def _deliver(self, reply: Reply) -> None:
        if reply.reset:
            self._break_off()
            return
        promised = len(reply.body) if reply.promised_length is None else reply.promised_length
        self.close_connection |= promised != len(reply.body)
        self.send_response(reply.status, _phrase(reply.status))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(promised))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(reply)

    def _send_body(self, reply: Reply) -> None:
        if not reply.seconds:
            self.wfile.write(reply.body)
            return
        self.wfile.flush()
        size = max(1, len(reply.body) // _SLICES)
        for begin in range(0, len(reply.body), size):
            time.sleep(reply.seconds / _SLICES)
            self.wfile.write(reply.body[begin : begin + size])
            self.wfile.flush()

    def _break_off(self) -> None:
        """Close at once and so that the peer gets a reset."""
        self.close_connection = True
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        socket.socket.close(self.request)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The Date header tells the time of EM's clock."""
        return format_datetime(self.server.service.now(), usegmt=True)

    def version_string(self) -> str:
        """The Server header of the service EM runs on."""
        return "Microsoft-HTTPAPI/2.0"

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the requests are recorded."""


def _phrase(status: int) -> str:
    """Reason phrases without spaces, as seen on real servers."""
    try:
        return HTTPStatus(status).phrase.replace(" ", "")
    except ValueError:
        return "Unknown"
