"""What every page says before anything else: stale sources, losses, silent workers, failed alerts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client

from restorereports.models import Alert, EnterpriseManager, Pulse, User
from tests.factories import make_enterprise_manager, make_full_run, make_gap, make_reconciliation, make_run
from tests.web.conftest import NOW

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    em = make_enterprise_manager(name="em-north", shown_window=30 * DAY)
    make_full_run(em, started_at=NOW - MINUTE)
    return em


@pytest.fixture
def alive(db: None) -> None:
    for worker in Pulse.Worker.values:
        Pulse.objects.create(worker=worker, at=NOW - MINUTE)


def _lines(page: Client) -> list[tuple[str, str]]:
    """Tone and bold words of each line."""
    return [(line.tone, str(line.what)) for line in page.get("/reports/").context["freshness"].lines]


def _age(em: EnterpriseManager, age: timedelta) -> None:
    em.runs.update(started_at=NOW - age)


def test_nothing_is_said_when_all_is_well(page: Client, em: EnterpriseManager, alive: None) -> None:
    assert _lines(page) == []
    assert 'class="notice' not in page.get("/reports/").content.decode()


@pytest.mark.parametrize(
    ("age", "tone"),
    [
        (DAY - MINUTE, None),
        (DAY + MINUTE, "warn"),
        (20 * DAY - MINUTE, "warn"),
        (20 * DAY + MINUTE, "bad"),
        (31 * DAY, "bad"),
    ],
)
def test_a_stale_source_is_warned_of_after_a_day_and_critical_at_two_thirds(
    page: Client, em: EnterpriseManager, alive: None, age: timedelta, tone: str | None
) -> None:
    _age(em, age)

    assert [found for found, _words in _lines(page)] == ([tone] if tone else [])


def test_a_short_window_is_critical_sooner(page: Client, em: EnterpriseManager, alive: None) -> None:
    EnterpriseManager.objects.update(shown_window=None)
    _age(em, 5 * DAY)

    assert [tone for tone, _words in _lines(page)] == ["bad"]


def test_a_growing_gap_says_that_restore_sessions_are_being_lost(
    page: Client, em: EnterpriseManager, alive: None
) -> None:
    _age(em, 40 * DAY)
    make_gap(em, NOW - 40 * DAY, run=em.runs.get())

    html = page.get("/reports/").content.decode()

    assert _lines(page) == [("bad", "<bdi>em-north</bdi>: restore sessions are being lost.")], (
        "one line, not two"
    )
    assert f'href="/enterprise-managers/{em.pk}/#gaps"' in html
    assert "Not read for 40 d 00:00" in html


def test_closed_gaps_are_not_news(page: Client, em: EnterpriseManager, alive: None) -> None:
    make_gap(em, NOW - 40 * DAY, to_at=NOW - 39 * DAY, run=em.runs.get())

    assert _lines(page) == []


def test_differences_are_said_until_the_next_comparison_is_equal(
    page: Client, em: EnterpriseManager, alive: None
) -> None:
    make_reconciliation(em.runs.get(), state="different")
    assert _lines(page) == [("warn", "<bdi>em-north</bdi> is not reconciled.")]
    assert f"/enterprise-managers/{em.pk}/#reconciliation" in page.get("/reports/").content.decode()

    make_reconciliation(make_full_run(em, started_at=NOW), state="equal")
    assert _lines(page) == []


def test_an_alert_that_did_not_go_out_is_said_here(page: Client, em: EnterpriseManager, alive: None) -> None:
    values = {"enterprise_manager": em, "created_at": NOW, "attempts": 1, "error": "550 <no>\u202e"}
    alert = Alert.objects.create(level="stale", since_at=NOW - DAY, **values)

    assert _lines(page) == [("warn", "The alert mail about <bdi>em-north</bdi> did not go out.")]
    html = page.get("/reports/").content.decode()
    assert '550 &lt;no&gt;<span class="ctrl">U+202E</span>' in html

    Alert.objects.filter(pk=alert.pk).update(sent_at=NOW)
    assert _lines(page) == []


def test_both_workers_silent_means_that_nothing_works(
    page: Client, em: EnterpriseManager, alive: None
) -> None:
    Pulse.objects.update(at=NOW - timedelta(hours=2))

    html = page.get("/reports/").content.decode()

    assert [tone for tone, _words in _lines(page)] == ["bad"]
    assert "Nothing has taken up work since" in html
    assert "Beat, the workers or the broker is down" in html
    assert "<span>Nothing works</span>" in html


@pytest.mark.parametrize(
    ("worker", "words"), [("sync", "The worker for syncs"), ("reports", "The worker for reports")]
)
def test_one_silent_worker_is_named(
    page: Client, em: EnterpriseManager, alive: None, worker: str, words: str
) -> None:
    Pulse.objects.filter(worker=worker).update(at=NOW - timedelta(hours=2))

    assert [words in found for _tone, found in _lines(page)] == [True]

    Pulse.objects.filter(worker=worker).delete()
    User.objects.update(date_joined=NOW - DAY)
    assert "no sign of life yet" in _lines(page)[0][1]


def test_a_fresh_installation_has_five_minutes_for_its_first_sign_of_life(
    page: Client, em: EnterpriseManager
) -> None:
    assert _lines(page) == []

    with time_machine.travel(NOW + 6 * MINUTE):
        assert [words for _tone, words in _lines(page)] == ["Nothing has taken up work yet."]


def test_without_any_enterprise_manager_no_sign_of_life_is_missed(page: Client) -> None:
    with time_machine.travel(NOW + 6 * MINUTE):
        assert _lines(page) == []

        Pulse.objects.create(worker="sync", at=NOW)
        assert len(_lines(page)) == 1, "but it has come and gone"


def test_many_matters_are_one_notice_the_worst_first_and_the_rest_folded(
    page: Client, em: EnterpriseManager, alive: None
) -> None:
    for number in range(6):
        other = make_enterprise_manager(name=f"em-{number}", shown_window=30 * DAY)
        make_run(other, started_at=NOW - (25 if number == 5 else 2) * DAY)

    html = page.get("/reports/").content.decode()

    assert html.count('class="notice') == 1
    assert '<div class="notice banner bad">' in html
    assert "em-5" in _lines(page)[0][1]
    assert "and 2 more" in " ".join(html.split())


def test_every_page_pays_two_queries_for_it(
    page: Client, em: EnterpriseManager, alive: None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(5):
        page.get("/enterprise-managers/")
    for _number in range(5):
        other = make_enterprise_manager()
        _age(other, 40 * DAY)
        make_gap(other, NOW - 40 * DAY)
        make_reconciliation(make_full_run(other, started_at=NOW - 2 * DAY), state="different")

    with django_assert_num_queries(5):
        page.get("/enterprise-managers/")
