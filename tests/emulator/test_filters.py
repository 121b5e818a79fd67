from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from restorereports.emulator.filters import AllOf, AnyOf, BadFilter, Comparison, Condition, parse_filter
from tests.sizes import examples


def is_(value: str, field: str = "Name") -> Comparison:
    return Comparison(field, "==", value)


@pytest.mark.parametrize("operator", ["==", "!=", ">=", "<=", ">", "<"])
def test_every_operator_is_known(operator: str) -> None:
    assert parse_filter(f"CreationTime{operator}2031-05-06") == Comparison(
        "CreationTime", operator, "2031-05-06"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Name==web", "web"),
        ("Name==web srv 1", "websrv1"),
        ('Name=="web srv 1"', "web srv 1"),
        ('Name=="a ""b"" c"', 'a "b" c'),
        ('Name=="""Zed"""', '"Zed"'),
        ('Name==""Zed""', '"Zed"'),
        ('Name==""', ""),
        ('Name=="a;b,(c)"', "a;b,(c)"),
        ("Name==wiki(old)", "wiki(old)"),
        (" Name == web ", "web"),
        ("Name==r&d", "r&d"),
    ],
)
def test_values_are_read_bare_quoted_and_doubled(text: str, value: str) -> None:
    assert parse_filter(text) == is_(value)


def test_and_binds_tighter_than_or() -> None:
    found = parse_filter("Name==a;Name==b,Name==c")

    assert found == AnyOf((AllOf((is_("a"), is_("b"))), is_("c")))


def test_parentheses_group() -> None:
    found = parse_filter('Name==a;(Name=="b", (Name==c))')

    assert found == AllOf((is_("a"), AnyOf((is_("b"), is_("c")))))


@pytest.mark.parametrize(
    "text",
    [
        "Name",
        "Name=web",
        "Name==",
        "==web",
        "Name==a;",
        "Name==a,,Name==b",
        "(Name==a",
        "Name==a)",
        'Name=="a',
        'Name==""Zed',
        'Name=="a" b',
        "(" * 60 + "Name==a" + ")" * 60,
    ],
)
def test_what_is_no_filter_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadFilter, match=r"\w+.*\."):
        parse_filter(text)


comparisons = st.builds(
    Comparison,
    st.sampled_from(["Name", "Result", "CreationTime"]),
    st.sampled_from(["==", "!=", ">", "<", ">=", "<="]),
    st.text(max_size=12),
)
conditions: st.SearchStrategy[Condition] = st.recursive(
    comparisons,
    lambda inner: st.builds(
        lambda kind, terms: kind(tuple(terms)),
        st.sampled_from([AllOf, AnyOf]),
        st.lists(inner, min_size=2, max_size=3),
    ),
    max_leaves=6,
)


def written(condition: Condition) -> str:
    if isinstance(condition, Comparison):
        value = condition.value.replace('"', '""')
        return f'{condition.field}{condition.operator}"{value}"'
    sign = ";" if isinstance(condition, AllOf) else ","
    return sign.join(
        written(term) if isinstance(term, Comparison) else f"({written(term)})" for term in condition.terms
    )


@given(conditions)
@settings(max_examples=examples(150), deadline=None)
def test_a_written_filter_is_read_back(condition: Condition) -> None:
    assert parse_filter(written(condition)) == condition


@given(st.text(alphabet='ab=!<>;,()" ', max_size=25))
@settings(max_examples=examples(200), deadline=None)
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with suppress(BadFilter):
        found = parse_filter(text)

        assert isinstance(found, Comparison | AllOf | AnyOf)
