"""What requests, urllib3 and the sockets below them raise -> why there is no answer, in our words."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from http.client import HTTPException

import requests
from urllib3 import exceptions as refusals

from restorereports.em.failures import EnterpriseManagerError, UnexpectedAnswer, Unreachable

BREAKAGES = (requests.RequestException, refusals.HTTPError, HTTPException, OSError, ValueError)


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, however requests and urllib3 have wrapped it."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        cause = waiting.pop(0)
        if isinstance(cause, BaseException) and id(cause) not in seen:
            seen.add(id(cause))
            yield cause
            waiting += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]


def fingerprint_got(cause: BaseException) -> str:
    """The fingerprint that urllib3 met instead of the pinned one, from its text; "" for any other error."""
    match = re.search(r'Fingerprints did not match.*got "([0-9a-f]{64})"', str(cause))
    return match.group(1) if match and isinstance(cause, refusals.SSLError) else ""


def unreachable(error: Exception) -> EnterpriseManagerError:
    """Which of the four ways not to get an answer, from the innermost cause."""
    causes = [cause for cause in causes_of(error) if not isinstance(cause, requests.RequestException)]

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
