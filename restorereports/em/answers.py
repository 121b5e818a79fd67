"""An HTTP answer -> its XML document, or the failure it stands for. Knows EM's `Error` body, not its rows.

EM's page: "HTTP Response Codes" (http_response_codes); all codes come with an `Error` body, in theory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from lxml import etree

from restorereports.em.failures import (
    EnterpriseManagerError,
    Forbidden,
    NotEnterpriseManager,
    ServerFailing,
    UnexpectedAnswer,
    safe_text,
)
from restorereports.em.markup import attribute, local_name, parse_xml
from restorereports.em.transport import Answer

WRONG_PORTS = {
    9443: "Port 9443 is the web page of Enterprise Manager; its API is usually on port 9398.",
    9419: "Port 9419 is the API of a backup server; that of Enterprise Manager is usually on port 9398.",
}
_FAILING = frozenset({429, 500, 502, 503, 504})


class Unauthorised(EnterpriseManagerError):
    """401; never leaves this package: the client turns it into LogonRefused or LogonLost."""


def document(
    answer: Answer, *, expected: Iterable[int] = (200,), secrets: Iterable[str] = ()
) -> etree._Element:
    """The root element of a good answer. `secrets` are struck out of any text that EM sent.

    Raises Unauthorised, Forbidden, ServerFailing and UnexpectedAnswer.
    """
    check_head(answer, expected=expected, secrets=secrets)
    root = parse_xml(answer.body)
    if local_name(root) == "Error":
        raise error_in_spite_of(answer, root, secrets=secrets)
    return root


def check_head(answer: Answer, *, expected: Iterable[int] = (200,), secrets: Iterable[str] = ()) -> None:
    """Status, media type and first bytes are those of a good answer; raises as `document`."""
    if answer.status not in expected:
        raise _failure(answer, secrets=secrets)
    media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if looks_like_html(answer):
        raise UnexpectedAnswer("A web page came instead of XML.", status=answer.status, transient=True)
    if media_type and "xml" not in media_type:
        raise UnexpectedAnswer(
            f"{safe_text(media_type, limit=60)} came instead of XML.", status=answer.status, transient=True
        )


def error_in_spite_of(answer: Answer, root: etree._Element, *, secrets: Iterable[str]) -> UnexpectedAnswer:
    """The failure of an `Error` document with a status of success."""
    text = f"An error came with status {answer.status}{_quoted_message(root, secrets)}"
    return UnexpectedAnswer(text, status=answer.status, transient=True)


def looks_like_html(answer: Answer) -> bool:
    """By media type or by the first bytes: proxies and half-started services answer pages with status 200."""
    head = answer.body[:512].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    is_xhtml = b"<html" in head
    return (
        answer.headers.get("content-type", "").lower().startswith("text/html")
        or is_xhtml
        or (head.startswith(b"<!doctype html"))
    )


def not_enterprise_manager(why: str, *, port: int, transient: bool = False) -> NotEnterpriseManager:
    """With a hint where the port is one of the two that are usually mistaken for the API's."""
    hint = WRONG_PORTS.get(
        port, "Check host and port; the API of Enterprise Manager is usually on port 9398."
    )
    failure = NotEnterpriseManager(f"This is not the API of Enterprise Manager: {why} {hint}")
    failure.transient = transient and port not in WRONG_PORTS
    return failure


def retry_after(answer: Answer) -> float | None:
    """Seconds that EM asks us to wait (both forms of Retry-After); None without a readable wish."""
    text = answer.headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return float(text)
    moment = _http_date(text)
    return None if moment is None else max((moment - answer.answered_at).total_seconds(), 0.0)


def clock_skew(answer: Answer) -> timedelta | None:
    """How far EM's clock is ahead of ours, to about a second (Date has no fraction); None if unknown."""
    moment = _http_date(answer.headers.get("date", ""))
    if moment is None:
        return None
    return moment - (answer.asked_at + (answer.answered_at - answer.asked_at) / 2)


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _failure(answer: Answer, *, secrets: Iterable[str]) -> EnterpriseManagerError:
    status, said = answer.status, _message(answer, secrets=secrets)
    if status == 401:
        return Unauthorised(f"Enterprise Manager wants a log-on{said}")
    if status == 403:
        return Forbidden(f"The role of this account may not read this{said}")
    if status in _FAILING:
        return ServerFailing(
            f"Enterprise Manager cannot answer now (status {status}){said}",
            status=status,
            retry_after=retry_after(answer),
        )
    if status >= 500:
        failure = ServerFailing(f"Enterprise Manager cannot do this (status {status}){said}", status=status)
        failure.transient = False
        return failure
    if 300 <= status < 400:
        return UnexpectedAnswer(f"A redirect came (status {status}); none is followed.", status=status)
    return UnexpectedAnswer(f"Unexpected status {status}{said}", status=status)


def _message(answer: Answer, *, secrets: Iterable[str]) -> str:
    """ ": " and the Message of an `Error` body, "." for any other body, however broken."""
    try:
        root = parse_xml(answer.body)
    except UnexpectedAnswer:
        return "."
    return _quoted_message(root, secrets) if local_name(root) == "Error" else "."


def _quoted_message(root: etree._Element, secrets: Iterable[str]) -> str:
    text = attribute(root, "Message")
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    return f": {safe_text(text)}" if text.strip() else "."
