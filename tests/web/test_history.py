"""What EM said about a restore session and when, and restore sessions whose end nobody knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import EnterpriseManager, Outcome, RestoreSession, User
from tests.factories import (
    START,
    make_change,
    make_enterprise_manager,
    make_full_run,
    make_restore_session,
    make_run,
    make_source,
)
from tests.web.conftest import NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    return make_enterprise_manager(name="em-north")


def _html(page: Client, row: RestoreSession) -> str:
    return " ".join(page.get(f"/restore-sessions/{row.pk}/").content.decode().split())


def test_without_changes_there_is_the_first_sight(page: Client, em: EnterpriseManager) -> None:
    run = make_run(em, kind="full")
    row = make_restore_session(enterprise_manager=em, run=run)

    html = _html(page, row)

    assert f"2026-10-14 20:10:02 · first seen in <bdi>em-north</bdi>, run {run.pk}, full" in html


def test_a_change_is_told_with_time_run_and_words(page: Client, em: EnterpriseManager) -> None:
    User.objects.update(time_zone="Europe/Berlin")
    row = make_restore_session(enterprise_manager=em)
    run = make_run(em, started_at=START + HOUR)
    make_change(
        row,
        run,
        fields={
            "restore_point_name": ["", "2026-10-13 20:00:41"],
            "ended_at": [None, "2026-10-14T20:41:02.017000+00:00"],
            "duration_ms": [None, 1_860_000],
            "result": ["None", "Failed"],
            "outcome": ["Running", "Failed"],
            "state": ["Working", "Stopped"],
            "job_type": ["FileLevelRestore", "RestoreVm"],
            "name": ["<b>", "a\u202eb"],
            "vm_sort": ["a", "b"],
            "brand_new": [1, [2]],
        },
    )

    html = _html(page, row)

    assert "<b>2026-10-14 23:10:02</b>" in html
    assert f"run {run.pk}, incremental" in html
    for label, before, after in (
        ("State", "<bdi>Working</bdi>", "<bdi>Stopped</bdi>"),
        ("Result", "<bdi>None</bdi>", "<bdi>Failed</bdi>"),
        ("Counted as", "Running", "Failed"),
        ("Ended", '<span class="muted">nothing</span>', "2026-10-14 22:41:02"),
        ("Duration", '<span class="muted">nothing</span>', "00:31:00"),
        ("Restore point", '<span class="muted">nothing</span>', "<bdi>2026-10-13 20:00:41</bdi>"),
        ("Type", "<bdi>File-level</bdi>", "<bdi>Whole VM</bdi>"),
        ("Name", "<bdi>&lt;b&gt;</bdi>", '<bdi>a<span class="ctrl">U+202E</span>b</bdi>'),
        ("brand_new", "<bdi>1</bdi>", "<bdi>[2]</bdi>"),
    ):
        assert f"<dt>{label}</dt> <dd> {before} " in html
        assert f"<b>{after}</b>" in html
    assert "vm_sort" not in html
    assert html.index("<dt>State</dt> <dd> <bdi>Working") < html.index("<dt>Duration</dt> <dd> <span")


def test_what_was_not_taken_over_is_explained(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(enterprise_manager=em)
    make_change(row, make_run(em), kept={"state": ["Stopped", "Working"]})

    html = _html(page, row)

    assert "a finished restore session never goes back" in html
    assert "EM said <bdi>Working</bdi>; kept: <b><bdi>Stopped</bdi></b>" in html


def test_a_change_without_columns_shows_the_answer_that_was_replaced(
    page: Client, em: EnterpriseManager
) -> None:
    row = make_restore_session(enterprise_manager=em)
    make_change(row, make_run(em), payload="<Old Attribute='1'/>")
    make_change(row, make_run(em), fields={"state": ["Working", "Stopped"]}, payload="<Hidden/>")

    html = _html(page, row)

    assert "Other details changed; the answer that was replaced" in html
    assert "&lt;Old Attribute=&#x27;1&#x27;/&gt;" in html
    assert "&lt;Hidden/&gt;" not in html


def test_a_return_after_it_was_gone(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(enterprise_manager=em)
    make_change(row, make_run(em), fields={"missing_at": ["2026-10-20T10:00:00+00:00", None]})

    html = _html(page, row)

    assert "EM shows it again; it was gone from EM since 2026-10-20 10:00:00." in html
    assert "Other details changed" not in html


def test_long_values_are_folded_but_whole(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(enterprise_manager=em)
    make_change(row, make_run(em), fields={"failure_message": ["", "x" * 1000]})

    html = _html(page, row)

    assert "1,000 characters" in html
    assert f"<bdi>{'x' * 1000}</bdi></details>" in html


def test_the_newest_fifty_changes_are_shown_and_the_rest_counted(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(enterprise_manager=em)
    run = make_run(em)
    for number in range(53):
        make_change(row, run, fields={"name": [f"before-{number}", f"after-{number}"]})

    html = _html(page, row)

    assert "The newest 50 of 53 changes are shown." in html
    assert html.index("after-52<") < html.index("after-3<")
    assert "after-2<" not in html


def test_last_seen_is_the_last_good_full_sync_while_em_shows_it(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(enterprise_manager=em)
    assert "Last seen</dt> <dd> 2026-10-14 20:10:02" in _html(page, row)

    make_full_run(em, started_at=START + HOUR)
    make_full_run(em, started_at=START + 2 * HOUR, status="failed")
    make_run(em, started_at=START + 3 * HOUR)
    make_full_run(make_enterprise_manager(), started_at=START + 4 * HOUR)

    assert "Last seen</dt> <dd> 2026-10-14 21:10:02" in _html(page, row)


def test_gone_from_one_of_two_enterprise_managers(page: Client, em: EnterpriseManager) -> None:
    other = make_enterprise_manager(name="em-south")
    row = make_restore_session(enterprise_manager=em)
    make_full_run(em, started_at=START + HOUR)
    run = make_full_run(other, started_at=START + 2 * HOUR)
    make_source(row, other, missing_at=START + 2 * HOUR, missing_run=run)

    html = _html(page, row)

    assert "Last seen</dt> <dd> 2026-10-14 21:10:02" in html
    assert f"no longer in EM since 2026-10-14 22:10:02, found by run {run.pk}, full" in html
    assert html.count("first seen in") == 2


def test_the_history_costs_no_query_more_for_more_changes(
    page: Client, em: EnterpriseManager, django_assert_num_queries: Any
) -> None:
    row = make_restore_session(enterprise_manager=em)
    make_change(row, make_run(em))
    with django_assert_num_queries(14):
        page.get(f"/restore-sessions/{row.pk}/")
    for _number in range(40):
        make_change(row, make_run(em), kept={"state": ["Stopped", "Working"]})

    with django_assert_num_queries(14):
        page.get(f"/restore-sessions/{row.pk}/")


@pytest.fixture
def unknown(em: EnterpriseManager) -> RestoreSession:
    return make_restore_session(
        enterprise_manager=em,
        state="Working",
        result="None",
        outcome=Outcome.UNKNOWN,
        ended_at=None,
        started_at=NOW - HOUR,
    )


def test_a_final_state_that_is_unknown_is_said_first(page: Client, unknown: RestoreSession) -> None:
    html = _html(page, unknown)

    assert '<section class="notice doubt" aria-labelledby="h-unknown">' in html
    assert "EM forgot it before it was finished" in html
    assert "still running" not in html
    assert '<use href="#i-doubt"/>' in html


def test_unknown_final_states_can_be_filtered_counted_and_named(
    page: Client, em: EnterpriseManager, unknown: RestoreSession
) -> None:
    make_restore_session(enterprise_manager=em, started_at=NOW)

    response = page.get("/?outcome=Unknown")
    html = response.content.decode()

    assert [row.pk for row in response.context["page"].rows] == [unknown.pk]
    assert response.context["chips"][1].value == "Final state unknown"
    assert 'value="Unknown"' in html
    assert '<span class="result doubt">' in html
    parts = [(part.label, part.count, part.query) for part in page.get("/").context["sum_line"].parts]
    assert ("Final state unknown", 1, "?outcome=Unknown") in parts
    unknown.sources.all().delete()
    RestoreSession.objects.filter(pk=unknown.pk).delete()
    assert "Final state unknown" not in [part.label for part in page.get("/").context["sum_line"].parts]
