"""Durations, times and names as they are written everywhere."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorereports.wording import duration_text, job_type_text, name_html, name_text, utc_text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (None, "–"),
        (-1, "–"),
        (0, "00:00:00"),
        (38_999, "00:00:38"),
        (86_399_999, "23:59:59"),
        (133_816_000, "1 d 13:10:16"),
        (864_000_000, "10 d 00:00:00"),
    ],
)
def test_durations_keep_their_days(milliseconds: int | None, text: str) -> None:
    assert duration_text(milliseconds) == text


def test_utc_is_cut_to_milliseconds() -> None:
    berlin = timezone(timedelta(hours=2))

    assert utc_text(None) == ""
    assert utc_text(datetime(2026, 10, 21, 19, 10, 2, 17999, berlin)) == "2026-10-21T17:10:02.017Z"


def test_types_we_do_not_know_stay_as_em_spells_them() -> None:
    assert job_type_text("RestoreVm") == "Whole VM"
    assert job_type_text("StartFailover") == "StartFailover"
    assert job_type_text("") == "–"


def test_hidden_characters_are_shown() -> None:
    assert name_text("invoice\u202egnp.exe") == "invoiceU+202Egnp.exe"
    assert name_html("a\u202e<b>") == '<bdi>a<span class="ctrl">U+202E</span>&lt;b&gt;</bdi>'


@given(st.text())
def test_no_name_can_bring_markup(name: str) -> None:
    html = name_html(name).replace('<span class="ctrl">', "").replace("</span>", "")

    assert html.count("<") == html.count(">") == 2
