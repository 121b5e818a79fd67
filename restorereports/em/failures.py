"""What can go wrong between us and Enterprise Manager: one tree, and only text that is safe to show.

Every text is ours, except for the `Message` of an EM `Error` body, which passes `safe_text` and never
brings its `StackTrace`. No failure holds a password, a token, a request or a response.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from restorereports.em.trust import CertificateFacts

TEXT_LIMIT = 300


def safe_text(text: str, *, limit: int = TEXT_LIMIT) -> str:
    """Foreign text made fit to show: one line, no control or direction characters, `limit` long at most."""
    head = text[: limit * 4]
    shown = "".join(
        " " if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else char for char in head
    )
    line = " ".join(shown.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class EnterpriseManagerError(Exception):
    """Base of everything that this package raises on purpose. `transient`: asking again may help."""

    transient = False


class InvalidUrl(EnterpriseManagerError, ValueError):
    """The address as typed cannot be used; the text says what to type instead."""


class Unreachable(EnterpriseManagerError):
    """No answer. `kind`: "resolve", "connect", "timeout" or "reset"; `sent`: EM may have the request."""

    transient = True

    def __init__(self, text: str, *, kind: str = "connect", sent: bool = True) -> None:
        super().__init__(text)
        self.kind = kind
        self.sent = sent


class TrustError(EnterpriseManagerError):
    """TLS was refused; `facts` describes the certificate that was offered, if it could be had."""

    def __init__(self, text: str, *, facts: CertificateFacts | None = None) -> None:
        super().__init__(text)
        self.facts = facts


class CertificateUntrusted(TrustError):
    """The chain, the name or the validity of the certificate does not hold."""


class CertificateChanged(TrustError):
    """Another certificate than the pinned one; `pinned` and `offered` are SHA-256 in lower-case hex."""

    def __init__(
        self, text: str, *, pinned: str = "", offered: str = "", facts: CertificateFacts | None = None
    ) -> None:
        super().__init__(text, facts=facts)
        self.pinned = pinned
        self.offered = offered


class LogonRefused(EnterpriseManagerError):
    """EM refused user name or password, or the account has no role; never tried twice (account lock-out)."""


class LogonLost(EnterpriseManagerError):
    """EM answered 401, and 401 again right after a new log-on."""


class Forbidden(EnterpriseManagerError):
    """The role of the account may not read this (403); final for the call, not for the run."""


class NotEnterpriseManager(EnterpriseManagerError):
    """Something else answers at this address."""


class UnexpectedAnswer(EnterpriseManagerError):
    """An answer outside the contract; `status` is its HTTP status, 0 where none fits."""

    def __init__(self, text: str, *, status: int = 0, transient: bool = False) -> None:
        super().__init__(text)
        self.status = status
        self.transient = transient


class ServerFailing(EnterpriseManagerError):
    """EM answers that it cannot (5xx, or 429); `retry_after` is its own wish in seconds, None without one."""

    transient = True

    def __init__(self, text: str, *, status: int = 500, retry_after: float | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after


class Stopped(EnterpriseManagerError):
    """`should_stop` answered True."""
