"""Rules as lines that people write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restorereports.policies.rule_lines import RuleUnreadable, read_rule_lines, write_rule_lines
from restorereports.policies.terms import Rule

PATTERN = st.text(st.characters(exclude_characters="\n"), max_size=12)


def test_a_bare_line_is_a_pattern_for_names() -> None:
    assert read_rule_lines("payroll-*\n\n  SQL Server 01  \n") == (
        Rule(name="payroll-*"),
        Rule(name="SQL Server 01"),
    )


def test_words_say_what_else_must_fit() -> None:
    assert read_rule_lines('name: pay*; Server: vbr-east*; label: "a;b"\nserver: x') == (
        Rule(name="pay*", backup_server="vbr-east*", label="a;b"),
        Rule(backup_server="x"),
    )


def test_colons_inside_a_name_are_its_own() -> None:
    assert read_rule_lines("disk: c*") == (Rule(name="disk: c*"),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a\nname:", "Line 2: a pattern is empty."),
        ("a;", None),
        ("a;;b", "Line 1: a pattern is empty."),
        ("a; b", "Line 1 names “name” twice"),
        ('"a', "Line 1: the quotation marks do not match."),
        ('a"b', "Line 1: the quotation marks do not match."),
    ],
)
def test_what_is_no_rule_is_refused_with_its_line(text: str, sentence: str | None) -> None:
    if sentence is None:
        assert read_rule_lines(text) == (Rule(name="a"),)
        return
    with pytest.raises(RuleUnreadable, match=sentence):
        read_rule_lines(text)


@given(st.lists(st.tuples(PATTERN, PATTERN, PATTERN)))
def test_what_was_written_reads_back(parts: list[tuple[str, str, str]]) -> None:
    rules = tuple(Rule(name=n, backup_server=s, label=w) for n, s, w in parts if n or s or w)

    assert read_rule_lines(write_rule_lines(rules)) == rules
