"""One field of one of EM's rows -> a value of ours: UIDs, times, numbers, and what a link points at.

EM's pages: "RestoreSession" (get_restoresessions_id) and its siblings; they share these conventions.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import urlsplit

from lxml import etree

from restorereports.em.failures import UnexpectedAnswer, safe_text
from restorereports.em.markup import attribute, child, child_text, children

FIRST_BELIEVABLE_YEAR = 1980  # .NET and SQL Server write 0001, 1753 or 1900 for "no time" …
LAST_BELIEVABLE_YEAR = 9998  # … or 9999
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_ID = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


def parse_time(text: str) -> datetime:
    """EM's time (ISO 8601 with 0 to 7 fractional digits) as aware UTC; without a zone it is UTC too.

    Raises ValueError.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a time of Enterprise Manager")
    day, clock, fraction, zone = match.groups()
    microseconds = (fraction or "")[:6].ljust(6, "0")
    try:
        moment = datetime.fromisoformat(
            f"{day}T{clock}.{microseconds}{'+00:00' if zone in (None, 'Z') else zone}"
        )
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("not a time of Enterprise Manager") from None


def id_of(uid: str) -> str:
    """The last part of a UID, as it stands in EM's addresses; a bare id is its own. Raises ValueError."""
    id_ = uid.rpartition(":")[2]
    if uid.count(":") not in (0, 3) or not _ID.fullmatch(id_):
        raise ValueError("not a UID of Enterprise Manager")
    return id_


def uid_of(element: etree._Element, type_: str) -> str:
    """The UID as sent; where the attribute is missing, from the id in the element's own address."""
    uid = attribute(element, "UID").strip()
    if not uid:
        uid = _uid_from_href(attribute(element, "Href"), type_)
    if not re.fullmatch(rf"urn:veeam:{type_}:[A-Za-z0-9_-]+", uid, re.ASCII):
        shown = safe_text(uid or attribute(element, "Name"), limit=120)
        raise UnexpectedAnswer(f"A {type_} without a usable UID ({shown or 'no UID, no name'}).")
    return uid


def _uid_from_href(href: str, type_: str) -> str:
    """`urn:veeam:<type>:<id>` from the last part of an address's path; "" if there is none."""
    try:
        id_ = urlsplit(href).path.rstrip("/").rpartition("/")[2]
    except ValueError:
        return ""
    return f"urn:veeam:{type_}:{id_}" if _ID.fullmatch(id_) else ""


def linked(element: etree._Element, rel: str, type_: str) -> tuple[str, str]:
    """UID and name behind the link of this Rel and Type, never chosen by position; ("", "") if none."""
    links = child(element, "Links")
    for link in children(links, "Link") if links is not None else ():
        same_rel = attribute(link, "Rel").casefold() == rel.casefold()
        if same_rel and attribute(link, "Type").casefold() == f"{type_}Reference".casefold():
            return _uid_from_href(attribute(link, "Href"), type_), attribute(link, "Name")
    return "", ""


def time_of(element: etree._Element, name: str) -> datetime | None:
    """None when absent, empty, unreadable or a sentinel that stands for "no time"; `payload` keeps the text."""
    try:
        moment = parse_time(child_text(element, name))
    except ValueError:
        return None
    return moment if FIRST_BELIEVABLE_YEAR <= moment.year <= LAST_BELIEVABLE_YEAR else None


def beginning_of(element: etree._Element, uid: str) -> datetime:
    """CreationTimeUTC, without which a row has no place in time. Raises UnexpectedAnswer, naming the UID."""
    started_at = time_of(element, "CreationTimeUTC")
    if started_at is None:
        text = safe_text(child_text(element, "CreationTimeUTC"), limit=60)
        raise UnexpectedAnswer(f"{uid} has no readable CreationTimeUTC: {text!r}")
    return started_at


def number_of(element: etree._Element, name: str) -> int | None:
    """A whole number of 32 bits; None when absent, empty or anything else; `payload` keeps the text."""
    text = child_text(element, name)
    if not re.fullmatch(r"[+-]?\d{1,10}", text, re.ASCII) or not _SMALLEST <= int(text) <= _LARGEST:
        return None
    return int(text)
