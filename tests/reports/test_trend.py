"""The trend: which months, cut where, and what is said where there are no data."""

from __future__ import annotations

import itertools
import zoneinfo
from datetime import UTC, date, datetime

import pytest
from django.utils import translation

from restorereports.models import SYSTEM, RestoreSessionScope
from restorereports.models.counts import OutcomeCounts
from restorereports.policies.coverage import Judgement
from restorereports.policies.history import MonthCoverage
from restorereports.reports.charts import trend_chart
from restorereports.reports.trend import Month, Trend, trend
from tests.factories import make_restore_session

pytestmark = pytest.mark.django_db
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def trend_of(start: str, end: str, *, first: str | None = "2020-01-01", as_of: str = "2027-01-01") -> Trend:
    return trend(
        RestoreSessionScope(start=at(start), end=at(end)),
        zone=zoneinfo.ZoneInfo("UTC"),
        as_of=at(as_of),
        reader=SYSTEM,
        first_data_at=at(first) if first else None,
    )


def test_a_short_period_is_shown_in_13_months_over_the_year_end() -> None:
    months = trend_of("2026-01-01", "2026-02-01").months

    assert [months[0].first, months[11].first, months[12].first] == [
        date(2025, 1, 1),
        date(2025, 12, 1),
        date(2026, 1, 1),
    ]
    assert len(months) == 13


def test_a_long_period_is_shown_whole_up_to_a_bound() -> None:
    assert len(trend_of("2024-01-01", "2026-01-01").months) == 24

    longest = trend_of("2020-01-01", "2026-01-01")

    assert (len(longest.months), longest.left_out) == (36, 36)


def test_the_last_month_is_cut_at_the_period_s_end() -> None:
    make_restore_session(started_at=at("2026-02-14T23:59:59"))
    make_restore_session(started_at=at("2026-02-15T00:00:00"))

    last = trend_of("2026-02-01", "2026-02-15").months[-1]

    assert (last.counts.total, last.whole) == (1, False)


def test_a_leap_day_belongs_to_its_february() -> None:
    make_restore_session(started_at=at("2024-02-29T23:59:59"))
    make_restore_session(started_at=at("2024-03-01T00:00:00"))

    months = trend_of("2024-02-01", "2024-04-01").months

    assert [month.counts.total for month in months[-2:]] == [1, 1]


def test_months_are_those_of_the_zone() -> None:
    make_restore_session(started_at=at("2026-06-30T22:30:00"))  # 1 July in Berlin
    scope = RestoreSessionScope(start=at("2026-06-30T22:00:00"), end=at("2026-07-31T22:00:00"))

    found = trend(scope, zone=BERLIN, as_of=at("2026-09-01"), reader=SYSTEM, first_data_at=at("2020-01-01"))

    assert [(month.first.month, month.counts.total) for month in found.months[-2:]] == [(6, 0), (7, 1)]
    assert found.within(scope.start, scope.end) == OutcomeCounts(success=1)


def test_months_before_the_first_data_are_told_from_months_without_restores() -> None:
    months = trend_of("2026-06-01", "2026-07-01", first="2026-04-10").months

    assert [month.no_data for month in months[-4:]] == [True, False, False, False]
    assert [month.seen_from for month in months[-4:]] == [None, date(2026, 4, 10), None, None]


def test_without_any_data_and_after_as_of_there_are_no_data() -> None:
    assert all(month.no_data for month in trend_of("2026-06-01", "2026-07-01", first=None).months)

    months = trend_of("2026-01-01", "2027-01-01", as_of="2026-10-15").months

    assert [(m.no_data, m.not_over) for m in months[-4:]] == [
        (False, False),
        (False, True),
        (True, False),
        (True, False),
    ]


def test_a_period_that_is_not_made_of_months_has_no_sum_of_months() -> None:
    assert trend_of("2026-06-02", "2026-07-01").within(at("2026-06-02"), at("2026-07-01")) is None
    assert trend_of("2026-06-01", "2026-07-01").within(at("2026-06-01"), at("2026-07-01")) == OutcomeCounts()


def test_a_period_without_length_is_one_month() -> None:
    assert trend_of("2026-06-01", "2026-06-01").months[-1].first == date(2026, 6, 1)


def test_both_ends_are_needed() -> None:
    with pytest.raises(ValueError, match="both ends"):
        trend(RestoreSessionScope(), zone=BERLIN, as_of=at("2026-01-01"), reader=SYSTEM, first_data_at=None)


def chart_of(*counts: OutcomeCounts, **values: object) -> str:
    months = [
        Month(
            first=date(2024 + n // 12, n % 12 + 1, 1),
            start_at=at("2024-01-01"),
            end_at=at("2024-02-01"),
            counts=count,
            **values,
        )
        for n, count in enumerate(counts)
    ]
    return trend_chart(Trend(months=tuple(months), left_out=0, first_data_at=None))


def test_the_chart_says_in_its_title_what_it_shows() -> None:
    svg = chart_of(OutcomeCounts(success=3), OutcomeCounts(success=1200, failed=34))

    assert "<title>Restore sessions by result, stacked, for the months January 2024 to February 2024." in svg
    assert "February 2024 with 1,234." in svg


def test_each_result_has_a_colour_a_pattern_and_a_word() -> None:
    every = OutcomeCounts(success=9, warning=9, failed=9, no_result=9, other=9, running=9, unknown=9)

    svg = chart_of(every)

    assert svg.count("url(#pw)") == svg.count("url(#pn)") == svg.count("url(#pu)") == 2
    for word in (
        "Success, plain",
        "Warning, striped",
        "Failed, dark",
        "No result, dotted",
        "Other, crossed",
        "State unknown, upright",
    ):
        assert word in svg


def test_what_did_not_occur_is_not_in_the_legend_but_for_the_usual() -> None:
    svg = chart_of(OutcomeCounts(success=1))

    assert "Failed, dark" in svg
    assert "Other, crossed" not in svg


def test_months_without_data_are_hatched_and_say_so() -> None:
    assert "no data" in chart_of(OutcomeCounts(), no_data=True)
    assert "no data" not in chart_of(*[OutcomeCounts()] * 36, no_data=True)
    assert "url(#pm)" in chart_of(OutcomeCounts(), seen_from=date(2024, 1, 9))


@pytest.mark.parametrize("highest", [0, 1, 5, 6, 7, 99, 101, 9_999, 2_000_000])
def test_the_axis_reaches_over_the_highest_bar_in_whole_steps(highest: int) -> None:
    svg = chart_of(OutcomeCounts(success=highest))

    labels = [part.split("<")[0] for part in svg.split('text-anchor="end"')[1:]]
    values = [int(label.rpartition(">")[2].replace(",", "")) for label in labels]
    assert values[0] == 0
    assert max(highest, 1) <= values[-1] <= max(5, highest * 2)
    assert len({b - a for a, b in itertools.pairwise(values)}) == 1


def covered(month: int, tested: int, measured: int, judgement: Judgement, **values: bool) -> MonthCoverage:
    return MonthCoverage(
        first=date(2024, month, 1),
        at=at("2024-02-01"),
        tested=tested,
        measured=measured,
        inconclusive=0,
        judgement=judgement,
        no_data=values.get("no_data", False),
    )


def panels_of(*coverages: MonthCoverage, months: int = 3) -> str:
    bars = [
        Month(
            first=date(2024, n + 1, 1),
            start_at=at("2024-01-01"),
            end_at=at("2024-02-01"),
            counts=OutcomeCounts(success=7),
        )
        for n in range(months)
    ]
    return trend_chart(Trend(months=tuple(bars), left_out=0, first_data_at=None), coverages)


def test_coverage_stands_in_a_panel_above_with_its_two_figures_beside_each_share() -> None:
    svg = panels_of(
        covered(1, 1, 3, Judgement.NOT_MET),
        covered(2, 999, 1000, Judgement.INCONCLUSIVE),
        covered(3, 1000, 1000, Judgement.MET),
    )

    assert svg.index("Coverage at the end of the month") < svg.index("Restore sessions by result</text>")
    for words in ("33.3", "1 / 3", "99.9", "999 / 1,000", "100.0", "1,000 / 1,000"):
        assert f">{words}</text>" in svg
    for words in ("met, round", "not met, square", "inconclusive, hollow"):
        assert words in svg
    assert "<title>Above: coverage at the end of each month, 1,000 / 1,000 VMs in the last one." in svg


def test_a_month_without_coverage_data_is_hatched_and_not_bridged_by_the_line() -> None:
    svg = panels_of(
        covered(1, 1, 2, Judgement.MET),
        covered(2, 0, 0, Judgement.NOTHING, no_data=True),
        covered(3, 2, 2, Judgement.MET),
    )

    upper = svg.split("<g transform")[0]
    assert upper.count("url(#pm)") == 1
    assert "no data" in upper
    assert 'stroke-width="1.4"/><path' not in upper
    assert ">0.0<" not in upper


def test_where_nothing_is_measured_no_share_is_drawn() -> None:
    svg = panels_of(covered(1, 0, 0, Judgement.NOTHING))

    assert "nothing was measured" in svg
    assert ">0 / 0</text>" in svg
    assert ">–</text>" in svg


def test_without_a_policy_there_is_one_panel() -> None:
    assert "Coverage" not in panels_of()


def test_long_words_for_no_data_take_two_lines() -> None:
    with translation.override("de"):
        svg = chart_of(*[OutcomeCounts()] * 13, no_data=True)

    assert svg.count(">keine</text>") == svg.count(">Daten</text>") == 13


def test_long_figures_of_coverage_take_two_lines() -> None:
    svg = panels_of(covered(1, 12_345, 23_456, Judgement.NOT_MET), months=12)

    assert ">12,345</text>" in svg
    assert ">/ 23,456</text>" in svg
