"""The stand-in EM on a real socket: a thread for each connection, HTTP/1.1 with keep-alive, TLS by default.

with StandInServer(World(sessions=500, now=clock)) as server:
    requests.get(f"{server.url}/api/", verify=...)
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from types import TracebackType

from restorereports.emulator.accounts import Account, default_accounts
from restorereports.emulator.certificates import Certificate, Kind, make_certificate, server_context
from restorereports.emulator.connection import Listener
from restorereports.emulator.exchange import RecordedRequest
from restorereports.emulator.faults import Faults
from restorereports.emulator.logons import Logons
from restorereports.emulator.service import Service
from restorereports.emulator.switches import Switches
from restorereports.emulator.world import World

_KEPT_REQUESTS = 10_000


class StandInServer:
    """Serves one world. The socket is bound by the constructor (OSError if the port is taken)."""

    def __init__(
        self,
        world: World | None = None,
        *,
        accounts: Iterable[Account] | None = None,
        switches: Switches | None = None,
        tls: bool = True,
        certificate: Certificate | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`port` 0 takes a free one; without accounts there are mirror/mirror and admin/admin."""
        self.world = world or World.empty()
        self.switches = switches or Switches()
        self.logons = Logons(
            list(accounts) if accounts is not None else default_accounts(),
            now=self.world.now,
            switches=self.switches,
        )
        self.service = Service(self.world, self.logons, self.switches)
        self.faults = Faults(drop_logons=self.logons.drop_all, switches=self.switches)
        self.certificate = (certificate or make_certificate(names=("em.example.test",))) if tls else None
        self._recorded: deque[RecordedRequest] = deque(maxlen=_KEPT_REQUESTS)
        context = None if self.certificate is None else server_context(self.certificate)
        self._listener = Listener((host, port), self.service, self.faults, self._recorded, context)
        self._thread: threading.Thread | None = None

    @property
    def port(self) -> int:
        return int(self._listener.server_address[1])

    @property
    def url(self) -> str:
        host = self._listener.server_address[0]
        return f"{self._listener.scheme}://{f'[{host!s}]' if ':' in str(host) else host!s}:{self.port}"

    @property
    def certificate_pem(self) -> str:
        return "" if self.certificate is None else self.certificate.certificate_pem

    @property
    def fingerprint_sha256(self) -> str:
        return "" if self.certificate is None else self.certificate.fingerprint_sha256

    @property
    def requests(self) -> list[RecordedRequest]:
        """What was asked so far, oldest first; the last 10,000 are kept."""
        return list(self._recorded)

    @property
    def accounts(self) -> list[Account]:
        """May be changed while the server runs."""
        return self.logons.accounts

    def forget_requests(self) -> None:
        """Empty the record of requests."""
        self._recorded.clear()

    def swap_certificate(self, certificate: Certificate | Kind = "good") -> Certificate:
        """From the next connection on, show another certificate."""
        made = make_certificate(certificate) if isinstance(certificate, str) else certificate
        self._listener.context = server_context(made)
        self.certificate = made
        return made

    def start(self) -> StandInServer:
        """Serve in a background thread."""
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            kwargs={"poll_interval": 0.02},
            name="stand-in EM",
            daemon=True,
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the socket and all connections. May be called twice."""
        if self._thread is not None:
            self._listener.shutdown()
            self._thread.join()
            self._thread = None
        self._listener.server_close()
        self._listener.close_connections()

    def __enter__(self) -> StandInServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
