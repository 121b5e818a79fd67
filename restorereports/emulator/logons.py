"""Logon sessions: a token for name and password, dead after 15 minutes without a request."""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from restorereports.emulator.accounts import Account
from restorereports.emulator.clock import Clock
from restorereports.emulator.switches import Switches


@dataclass(slots=True)
class LogonSession:
    """An open logon session; the token is the base64 of the text of its id, as in versions 12 and 13."""

    session_id: str
    account: Account
    used_at: datetime

    @property
    def token(self) -> str:
        return base64.b64encode(self.session_id.encode()).decode()


class Logons:
    """All open logon sessions."""

    def __init__(self, accounts: list[Account], *, now: Clock, switches: Switches) -> None:
        self.accounts = accounts
        self._now = now
        self._switches = switches
        self._open: dict[str, LogonSession] = {}  # by token
        self._lock = threading.Lock()

    def log_on(self, authorization: str | None) -> LogonSession | None:
        """Open a session for an Authorization header (Basic); None if it is refused."""
        credentials = _read_basic(authorization)
        if credentials is None:
            return None
        for account in self.accounts:
            if account.accepts(*credentials):
                session_id = str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))
                session = LogonSession(session_id, account, self._now())
                with self._lock:
                    self._expire()
                    self._open[session.token] = session
                return session
        return None

    def use(self, token: str | None) -> LogonSession | None:
        """The session of a token, which thereby stays alive; None if it is missing, unknown or has expired."""
        with self._lock:
            self._expire()
            session = self._open.get(token or "")
            if session is not None:
                session.used_at = self._now()
            return session

    def log_off(self, session_id: str) -> bool:
        """Close a session; False if there is none."""
        with self._lock:
            session = self._find(session_id)
            if session is not None:
                del self._open[session.token]
            return session is not None

    def find(self, session_id: str) -> LogonSession | None:
        """An open session by its id."""
        with self._lock:
            return self._find(session_id)

    def all(self) -> list[LogonSession]:
        """The sessions open now."""
        with self._lock:
            self._expire()
            return list(self._open.values())

    def drop_all(self) -> None:
        """Forget every session, as a restart of the service does."""
        with self._lock:
            self._open.clear()

    def _find(self, session_id: str) -> LogonSession | None:
        self._expire()
        wanted = session_id.lower()
        return next((session for session in self._open.values() if session.session_id == wanted), None)

    def _expire(self) -> None:
        limit = self._now() - timedelta(minutes=self._switches.idle_minutes)
        for token in [token for token, session in self._open.items() if session.used_at < limit]:
            del self._open[token]


def _read_basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        raw = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    name, colon, password = text.partition(":")
    return (name, password) if colon else None
