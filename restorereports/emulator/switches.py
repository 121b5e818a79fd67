"""The switches: where real servers differ from version to version, or nobody outside knows what they do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Switches:
    """May be turned while the server runs; each request reads them anew."""

    json_casing: Literal["pascal", "camel"] = "pascal"
    nulls: Literal["keep", "omit"] = "keep"  # of JSON; XML never shows them
    bom: bool = False  # a byte order mark before every body
    href_host: str | None = None  # host[:port] the server believes it has; None: whatever the client dialled
    default_page: Literal["all", "100"] = "100"  # what a query without pageSize gets
    attribute_order: Literal["varying", "fixed"] = "varying"  # of XML attributes, from answer to answer
    missing_status: int = 404  # for objects that are gone; 400 and 500 were seen as well
    missing_logon_status: int = 500  # for logon sessions that are gone
    bad_query_status: int = 400  # for unknown fields and bad filters
    lenient_fields: bool = False  # body names (JobType, CreationTimeUTC) work as query fields too
    old_versions: bool = True  # ?v=v1_4 and older are accepted
    query_days: int | None = None  # limits queries for restore sessions to so many days; None: retention only
    list_days: int = 30  # what /restoreSessions shows
    clock_offset_seconds: float = 0  # EM's clock is so far ahead: its Date, and what counts as 30 days old
    event_status: bool = False  # events of system sessions bear a Status; the vendor's sample shows none
    idle_minutes: float = 15  # a logon session dies after so long without a request
