"""Durations, times and names as they are written everywhere."""

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone as zones
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from restorereports.wording import (
    day_text,
    duration_text,
    job_type_text,
    moment_text,
    name_html,
    name_text,
    number_text,
    share_text,
    utc_text,
)


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


@pytest.mark.parametrize(
    ("language", "number", "share", "day", "moment"),
    [
        ("en", "1,003,214", "92.7\u00a0%", "2026-10-14", "2026-10-14 22:10:02"),
        ("de", "1.003.214", "92,7\u00a0%", "14.10.2026", "14.10.2026 22:10:02"),
    ],
)
def test_numbers_shares_and_moments_follow_the_language(
    language: str, number: str, share: str, day: str, moment: str
) -> None:
    at = datetime(2026, 10, 14, 20, 10, 2, 999_999, UTC)

    with translation.override(language), zones.override(ZoneInfo("Europe/Berlin")):
        written = (number_text(1_003_214), share_text("92.7"), day_text(date(2026, 10, 14)), moment_text(at))
        short = moment_text(at, seconds=False)

    assert written == (number, share, day, moment)
    assert short == moment[:-3]


@pytest.mark.parametrize("language", ["en", "de"])
def test_what_programs_read_is_the_same_in_every_language(language: str) -> None:
    with translation.override(language):
        assert utc_text(datetime(2026, 10, 21, 19, 10, 2, tzinfo=UTC)) == "2026-10-21T19:10:02.000Z"
        assert duration_text(133_816_000) == "1 d 13:10:16"


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
