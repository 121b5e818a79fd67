"""Foreign texts on paper: visible, drawable, bounded."""

from __future__ import annotations

import re
import subprocess

import pytest

from restorereports.reports import fonts
from restorereports.reports.printed import printed, printed_text


@pytest.fixture(autouse=True)
def _known_fonts(monkeypatch) -> None:
    """As if there were fonts for everything up to U+FFFF but U+FFFF itself, and none for pictures."""
    monkeypatch.setattr("restorereports.reports.printed.drawable", lambda: frozenset(range(0xFFFF)))


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("payroll-db2", "payroll-db2"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("a\u202eb", 'a<span class="ctrl">U+202E</span>b'),
        ("tab\there", 'tab<span class="ctrl">U+0009</span>here'),
        (" x ", '<span class="ctrl">U+0020</span>x<span class="ctrl">U+0020</span>'),
        ("a b", "a b"),
        ("a\u00a0b", 'a<span class="ctrl">U+00A0</span>b'),
        ("srv🖥", 'srv<span class="ctrl">U+1F5A5</span>'),
        ("a\u200db", 'a<span class="ctrl">U+200D</span>b'),
        ("क्\u200dष", "क्\u200dष"),
        ("\u200d", '<span class="ctrl">U+200D</span>'),
        ("e\u0301\u0301\u0301", "e\u0301\u0301\u0301"),
        ("e\u0301\u0301\u0301\u0301", 'e\u0301\u0301\u0301<span class="ctrl">U+0301</span>'),
        ("файл 服务器", "файл 服务器"),
    ],
)
def test_a_name_as_it_is_printed(name: str, shown: str) -> None:
    assert printed(name, 80) == f"<bdi>{shown}</bdi>"


def test_a_name_of_80_is_whole_and_of_81_is_cut_with_its_length_inside_its_place() -> None:
    assert printed("x" * 80, 80) == f"<bdi>{'x' * 80}</bdi>"

    cut = printed("x" * 81, 80)

    assert cut == f'<bdi>{"x" * 56}</bdi>… <span class="cutlength">[81 characters in all]</span>'


def test_in_a_narrow_place_the_length_is_the_number_alone() -> None:
    assert printed("x" * 1000, 30) == f'<bdi>{"x" * 21}</bdi>… <span class="cutlength">[1,000]</span>'


def test_wide_letters_and_codes_take_the_room_they_need() -> None:
    assert printed("服" * 41, 80).startswith(f"<bdi>{'服' * 28}</bdi>…")
    assert printed("W" * 50, 80).startswith(f"<bdi>{'W' * 32}</bdi>…")
    assert len(re.findall("ctrl", printed("\u202e" * 30, 80))) == 9
    assert "[1,000 characters in all]" in printed("a" * 1000, 80)


def test_plain_text_spells_the_same() -> None:
    assert printed_text("Acme\u202e \U0001f600") == "AcmeU+202E U+1F600"


def test_the_plex_fonts_draw_latin_greek_and_cyrillic() -> None:
    fonts.drawable.cache_clear()

    assert {ord(letter) for letter in "aßΩЖ–…"} <= fonts.drawable()
    assert 0x10FFFF not in fonts.drawable()


def test_without_fontconfig_the_plex_fonts_alone_count(monkeypatch, caplog) -> None:
    def missing(*_args: object, **_kwargs: object) -> None:
        raise FileNotFoundError("fc-list")

    monkeypatch.setattr(subprocess, "run", missing)
    fonts.drawable.cache_clear()
    try:
        assert ord("a") in fonts.drawable()
        assert ord("服") not in fonts.drawable()
    finally:
        fonts.drawable.cache_clear()
    assert "fontconfig cannot be asked" in caplog.text


def test_the_charsets_of_fontconfig_are_read() -> None:
    assert fonts._code_points("20-22 a0\n20-21\n") == {0x20, 0x21, 0x22, 0xA0}
