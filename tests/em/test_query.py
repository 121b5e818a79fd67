from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorereports.em.query import all_of, condition, query_path, quoted, since_filter, utc_text


def test_a_value_stands_in_quotes_and_its_own_quotes_are_doubled() -> None:
    assert (
        condition("VmDisplayName", "==", 'the "old" one; & more')
        == 'VmDisplayName=="the ""old"" one; & more"'
    )


def test_conditions_are_joined_by_semicolons() -> None:
    assert all_of('a=="1"', 'b=="2"') == 'a=="1";b=="2"'


def test_a_time_is_sent_as_whole_seconds_of_utc() -> None:
    berlin = timezone(timedelta(hours=2))

    assert utc_text(datetime(2031, 5, 6, 9, 8, 9, 999999, tzinfo=berlin)) == "2031-05-06T07:08:09Z"
    assert utc_text(datetime(33, 5, 6, tzinfo=UTC)) == "0033-05-06T00:00:00Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        utc_text(datetime(2031, 5, 6))


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="operator"):
        condition("Name", "=", "x")


def test_the_query_for_restore_sessions_is_the_documented_one() -> None:
    since = datetime(2031, 5, 1, tzinfo=UTC)

    path = query_path(
        "RestoreSession", sort_asc="CreationTime", page_size=500, page=3, filter_=since_filter(since)
    )

    assert path == (
        "/query?type=RestoreSession&format=Entities&sortAsc=CreationTime&pageSize=500&page=3"
        "&filter=CreationTime%3E%3D%222031-05-01T00%3A00%3A00Z%22"
    )


def test_without_a_beginning_there_is_no_filter() -> None:
    assert "filter" not in query_path("RestoreSession", page_size=1, filter_=since_filter(None))


@settings(deadline=None)
@given(value=st.text())
def test_any_value_survives_quoting(value: str) -> None:
    text = quoted(value)

    assert re.fullmatch(r'"((?:[^"]|"")*)"', text, re.DOTALL)
    assert text[1:-1].replace('""', '"') == value


@settings(deadline=None)
@given(value=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_filter_survives_the_url(value: str) -> None:
    filter_ = condition("Name", "==", value)

    query = urlsplit(query_path("RestoreSession", page_size=1, filter_=filter_)).query

    assert query.isascii()
    assert parse_qs(query)["filter"] == [filter_]
