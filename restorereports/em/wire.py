"""What lies under an HTTP exchange with EM: requests and urllib3, bent to what EM and safety need.

No cookie is ever sent back (EM lets the cookie win over the header), no redirect is followed, nothing is
taken from the environment (.netrc, proxies, CA bundles), and certifi's CAs are never added to ours.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, ProxyManager
from urllib3.connection import HTTPConnection, HTTPSConnection


class Wire:
    """A second handle on the socket in use, so that an exchange can be cut off from another thread.

    Once cut it stays cut: a thread that comes back late, say from name resolution, sends nothing any more.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._is_cut = False

    def hold(self, opened: socket.socket) -> socket.socket:
        self.release()
        self._socket = opened.dup()
        if self._is_cut:
            opened.close()
            self.release()
            raise ConnectionAbortedError("cut off")
        return opened

    def cut(self) -> None:
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # the other side was faster
                self._socket.shutdown(socket.SHUT_RDWR)
        self.release()

    def release(self) -> None:
        held, self._socket = self._socket, None
        if held is not None:
            held.close()


def _pool_classes(wire: Wire) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools, their connections shown to `wire` before the first byte of a TLS handshake."""

    class WiredHTTP(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return wire.hold(super()._new_conn())

    class WiredHTTPS(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return wire.hold(super()._new_conn())

    http = type("WiredHTTPPool", (HTTPConnectionPool,), {"ConnectionCls": WiredHTTP})
    https = type("WiredHTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": WiredHTTPS})
    return {"http": http, "https": https}


class TrustingOnly(HTTPAdapter):
    """requests' adapter with our TLS context; requests would take certifi's CAs, not the system's."""

    def __init__(self, *, tls: dict[str, Any], wire: Wire) -> None:
        self._tls = tls
        self._pool_classes = _pool_classes(wire)
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **kwargs: Any) -> None:
        super().init_poolmanager(connections, maxsize, block, **kwargs, **self._tls)
        self.poolmanager.pool_classes_by_scheme = self._pool_classes

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> ProxyManager:
        manager = super().proxy_manager_for(proxy, **kwargs, **self._tls)
        manager.pool_classes_by_scheme = self._pool_classes
        return manager

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> tuple[Any, Any]:
        """Host, scheme and port only: trust is in the context, whatever `verify` says."""
        host, _ = super().build_connection_pool_key_attributes(request, True, cert)
        return host, {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: here requests would load certifi beside our CAs, or turn the check off."""


class Http(requests.Session):
    """A requests session without memory: no cookies, no environment, and a redirect's body is not read."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.headers.clear()
        self.headers["User-Agent"] = "restore-reports"

    def resolve_redirects(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        return iter(())


class Line:
    """A connection to EM, kept alive, and the handle that cuts it."""

    def __init__(self, *, tls: dict[str, Any]) -> None:
        self.wire = Wire()
        self.http = Http()
        self.http.mount("https://", TrustingOnly(tls=tls, wire=self.wire))
        self.http.mount("http://", TrustingOnly(tls={}, wire=self.wire))

    def cut(self) -> None:
        """At once, whatever is under way; nothing more can be sent on it."""
        self.wire.cut()
        self.http.close()

    def close(self) -> None:
        self.http.close()
        self.wire.release()
