"""Writes the filter language of EM's query service.

EM's page: "Query Service" (query_service, query_comparison, query_and_or). Only `;` (and) is ever written:
how `;` and `,` (or) bind without parentheses is documented nowhere.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

Parameters = list[tuple[str, str]]

_OPERATORS = frozenset({"==", "!=", ">=", "<=", ">", "<"})


def quoted(value: str) -> str:
    """A value in double quotes (EM silently drops the spaces of a bare one), quotes inside doubled."""
    return '"' + value.replace('"', '""') + '"'


def utc_text(moment: datetime) -> str:
    """EM's own date form, whole seconds of UTC; the fraction is cut, so `>=` can only find more, never less.

    Raises ValueError for a naive datetime.
    """
    if moment.tzinfo is None:
        raise ValueError("A time without a time zone cannot be sent to Enterprise Manager.")
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def condition(field: str, operator: str, value: str | datetime) -> str:
    """One comparison, such as `CreationTime>="2031-05-06T07:08:09Z"`."""
    if operator not in _OPERATORS:
        raise ValueError(f"Enterprise Manager has no operator {operator!r}.")
    return field + operator + quoted(utc_text(value) if isinstance(value, datetime) else value)


def all_of(*conditions: str) -> str:
    """Conditions joined by `;`; joined by `&`, EM would ignore all but the first without an error."""
    return ";".join(conditions)


def query_path(
    type_: str,
    *,
    format_: str = "Entities",
    page_size: int,
    page: int = 1,
    sort_asc: str = "",
    filter_: str = "",
) -> str:
    """Path and query below `/api`, every value URL-encoded as a whole. Pages count from 1.

    Sorted ascending by CreationTime, new rows land behind the page being read and can push no other over its
    border; a descending sort does not exist here.
    """
    parameters: Parameters = [("type", type_), ("format", format_)]
    if sort_asc:
        parameters.append(("sortAsc", sort_asc))
    parameters += [("pageSize", str(page_size)), ("page", str(page))]
    if filter_:
        parameters.append(("filter", filter_))
    return "/query?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in parameters)


def since_filter(since: datetime | None) -> str:
    """Created at or after `since`; None: all, which takes no filter."""
    return condition("CreationTime", ">=", since) if since is not None else ""
