from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorereports.emulator.stamps import from_us, read_loose, read_stamp, to_us, write_label, write_stamp
from tests.sizes import examples

MOMENT = to_us(datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC))


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "2031-05-06T07:08:09Z"),
        (500_000, "2031-05-06T07:08:09.5Z"),
        (43_000, "2031-05-06T07:08:09.043Z"),
        (123_456, "2031-05-06T07:08:09.123456Z"),
    ],
)
def test_trailing_zeros_of_a_second_are_cut(microseconds: int, text: str) -> None:
    assert write_stamp(MOMENT + microseconds) == text


def test_a_seventh_digit_stands_behind_six() -> None:
    text = write_stamp(MOMENT + 500_000, seventh_digit="7")

    assert text == "2031-05-06T07:08:09.5000007Z"


def test_a_label_has_whole_seconds_unless_the_fraction_is_wanted() -> None:
    assert write_label(MOMENT + 500_000) == "2031-05-06 07:08:09"
    assert write_label(MOMENT + 500_000, fraction=True) == "2031-05-06 07:08:09.5"


@pytest.mark.parametrize(
    "text",
    [
        "2031-05-06T07:08:09Z",
        "2031-05-06T07:08:09",
        "2031-05-06 07:08:09",
        "2031-05-0607:08:09",
        "2031-5-6 7:08:09z",
        "2031-05-06T07:08:09.0000000Z",
        "2031-05-06T09:08:09+02:00",
        "2031-05-06T05:38:09-0130",
    ],
)
def test_dates_are_read_in_loose_forms(text: str) -> None:
    assert read_loose(text) == MOMENT


def test_a_date_alone_is_its_midnight() -> None:
    assert from_us(read_loose("2031-05-06")) == datetime(2031, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "today", "2031-13-06", "2031-05-06T25:00", "06.05.2031"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        read_loose(text)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "1753-01-01T00:00:00", "1900-01-01T00:00:00"])
def test_no_date_values_are_no_moment(text: str) -> None:
    assert read_stamp(text) is None


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000))
@settings(max_examples=examples(100))
def test_what_is_written_is_read_back(moment_us: int) -> None:
    assert read_loose(write_stamp(moment_us)) == moment_us
