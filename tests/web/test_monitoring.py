"""What monitoring asks: is it alive, and how is it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from restorereports.mirror.due import due_enterprise_managers
from restorereports.models import (
    Alert,
    Delivery,
    EnterpriseManager,
    Gap,
    Pulse,
    Reconciliation,
    Report,
    SyncRun,
)
from restorereports.web.context import VERSION
from tests.factories import make_enterprise_manager, make_report, make_run, make_schedule
from tests.test_settings import load

TOKEN = "a-token-of-more-than-20-characters"
HOUR = timedelta(hours=1)
Metrics = dict[tuple[str, str], float]


@pytest.fixture(autouse=True)
def _token(settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


@pytest.fixture
def now() -> datetime:
    return timezone.now()


def scrape(client: Client, **headers: str) -> Any:
    return client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"} | headers)


def metrics(client: Client) -> Metrics:
    """Each value by its name without prefix and by its only label's value, as a scraper reads them."""
    response = scrape(client)
    assert response.status_code == 200
    return {
        (sample.name.removeprefix("restore_reports_"), next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(response.content.decode())
        for sample in family.samples
    }


@pytest.fixture
def database_down() -> Iterator[None]:
    with no_database():
        yield


@contextmanager
def no_database() -> Iterator[None]:
    def cursor(_connection: object) -> None:
        raise OperationalError("could not connect to server: it is secret-host.example.test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseWrapper, "cursor", cursor)
        yield


# --- /healthz ---


@pytest.mark.parametrize("method", ["get", "head"])
def test_healthy_without_a_log_in(client: Client, db: None, method: str) -> None:
    response = getattr(client, method)("/healthz")

    assert response.status_code == 200
    assert response.content == (b"ok" if method == "get" else b"")
    assert response["Content-Type"] == "text/plain"
    assert not response.cookies


def test_health_cannot_be_posted(client: Client, db: None) -> None:
    assert client.post("/healthz").status_code == 405


def test_health_is_asked_with_few_queries(
    client: Client, db: None, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(2):
        client.get("/healthz")


def test_a_database_that_is_away_is_told_in_one_word(
    client: Client, database_down: None, caplog: Any
) -> None:
    response = client.get("/healthz")

    assert (response.status_code, response.content) == (503, b"unavailable")
    assert "secret-host" in caplog.text


def test_a_browser_that_is_logged_in_is_not_told_ok_either(page: Client) -> None:
    page.raise_request_exception = False

    with no_database():
        response = page.get("/healthz")

    assert response.status_code in (500, 503)
    assert b"secret-host" not in response.content


def test_a_database_that_is_not_migrated_is_not_healthy(client: Client, db: None) -> None:
    MigrationRecorder.Migration.objects.filter(app="restorereports").order_by("-name").first().delete()

    assert client.get("/healthz").status_code == 503


def test_behind_a_proxy_health_is_asked_without_tls_and_metrics_are_not(settings: Any, db: None) -> None:
    settings.SECURE_SSL_REDIRECT = True
    client = Client()

    assert client.get("/healthz").status_code == 200
    assert scrape(client).status_code == 301
    assert client.get("/healthz/more").status_code == 301


# --- /metrics: who may ask ---


def test_without_a_token_in_the_settings_there_is_no_page(client: Client, db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = ""

    assert scrape(client).status_code == 404
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer ü€",
    ],
)
def test_a_wrong_or_missing_token_is_refused(client: Client, given: str, database_down: None) -> None:
    response = client.get("/metrics", headers={"authorization": given} if given else {})

    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert b"restore_reports" not in response.content


def test_being_logged_in_is_no_token(admin_page: Client) -> None:
    assert admin_page.get("/metrics").status_code == 401


def test_metrics_are_text_for_prometheus_and_leave_no_cookie(client: Client, db: None) -> None:
    response = scrape(client)

    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert not response.cookies
    assert "no-store" in response["Cache-Control"]
    assert client.head("/metrics", headers={"authorization": f"bearer {TOKEN}"}).status_code == 200


def test_metrics_without_a_database_are_unavailable(client: Client, database_down: None) -> None:
    response = scrape(client)

    assert (response.status_code, response.content) == (503, b"unavailable")


@pytest.mark.parametrize(
    "token", ["short", "nineteen-characters", "with a space in its middle", "ümläute" * 5]
)
def test_a_token_that_is_too_short_or_cannot_be_sent_stops_the_start(tmp_path: Any, token: str) -> None:
    result = load(tmp_path, METRICS_TOKEN=token)

    assert result.returncode != 0
    assert "METRICS_TOKEN must have at least 20 characters" in result.stderr.strip().splitlines()[-1]


# --- /metrics: what it says ---


def test_a_fresh_installation(client: Client, db: None) -> None:
    found = metrics(client)

    assert found == {
        ("queue_age_seconds", ""): 0,
        ("failed_deliveries", ""): 0,
        ("worker_silent", "sync"): 1,
        ("worker_silent", "reports"): 1,
        ("build_info", VERSION): 1,
    }


def test_the_health_of_one_that_is_read(client: Client, db: None, now: datetime) -> None:
    em = make_enterprise_manager(name="em-north", shown_window=timedelta(days=30))
    make_run(em, started_at=now - 2 * HOUR)
    run = make_run(em, started_at=now - HOUR)
    Reconciliation.objects.create(
        run=run, enterprise_manager=em, at=now - HOUR, state=Reconciliation.State.EQUAL, since_at=now - HOUR
    )

    found = metrics(client)

    assert found["last_good_sync_age_seconds", "em-north"] == pytest.approx(3600, abs=30)
    assert {
        name: found[name, "em-north"] for name, label in found if label == "em-north" and "age" not in name
    } == {
        "never_synced": 0,
        "window_seconds": 30 * 86400,
        "sync_paused": 0,
        "sync_switched_off": 0,
        "gaps": 0,
        "gap_growing": 0,
        "reconciled": 1,
    }


def test_one_that_was_never_read_has_no_age_and_nothing_compared(client: Client, db: None) -> None:
    make_enterprise_manager(name="em")

    found = metrics(client)

    assert found["never_synced", "em"] == 1
    assert ("last_good_sync_age_seconds", "em") not in found
    assert ("reconciled", "em") not in found
    assert found["window_seconds", "em"] == 7 * 86400


def test_one_that_is_switched_off_says_so_and_has_no_age(client: Client, db: None, now: datetime) -> None:
    make_run(make_enterprise_manager(name="em", is_active=False), started_at=now - HOUR)

    found = metrics(client)

    assert found["sync_switched_off", "em"] == 1
    assert ("last_good_sync_age_seconds", "em") not in found
    assert found["never_synced", "em"] == 0


def test_a_pause_is_told_and_its_age_goes_on(client: Client, db: None, now: datetime) -> None:
    make_run(make_enterprise_manager(name="em"), started_at=now - 5 * HOUR)
    EnterpriseManager.objects.update(paused_at=now, paused_because="logon_refused")

    found = metrics(client)

    assert found["sync_paused", "em"] == 1
    assert found["last_good_sync_age_seconds", "em"] == pytest.approx(5 * 3600, abs=30)
    assert found["queue_age_seconds", ""] == 0


def test_a_clock_that_was_set_back_shows_as_a_negative_age(client: Client, db: None, now: datetime) -> None:
    make_run(make_enterprise_manager(name="em"), started_at=now + HOUR)

    found = metrics(client)

    assert found["last_good_sync_age_seconds", "em"] == pytest.approx(-3600, abs=30)
    assert found["queue_age_seconds", ""] == 0


def test_gaps_that_lost_something_are_counted_and_a_growing_one_is_told(
    client: Client, db: None, now: datetime
) -> None:
    em, other = make_enterprise_manager(name="em"), make_enterprise_manager(name="other")
    run = make_run(em, started_at=now)
    closed = {"closed_at": now, "closed_run": run}
    for hours, more in (
        (9, {"to_at": now - 8 * HOUR} | closed),
        (7, {"to_at": now - 7 * HOUR} | closed),
        (2, {}),
    ):
        Gap.objects.create(
            enterprise_manager=em,
            from_at=now - hours * HOUR,
            cause=Gap.Cause.NOT_RUN,
            opened_at=now,
            opened_run=run,
            **more,
        )
    make_run(other, started_at=now)

    found = metrics(client)

    assert (found["gaps", "em"], found["gap_growing", "em"]) == (2, 1)
    assert (found["gaps", "other"], found["gap_growing", "other"]) == (0, 0)


@pytest.mark.parametrize("state", ["different", "not_readable", "failed"])
def test_the_latest_comparison_counts(client: Client, db: None, now: datetime, state: str) -> None:
    em = make_enterprise_manager(name="em")
    for each in ("equal", state):
        Reconciliation.objects.create(
            run=make_run(em, started_at=now), enterprise_manager=em, at=now, state=each, since_at=now
        )

    assert metrics(client)["reconciled", "em"] == 0


def due_syncs(now: datetime) -> Iterator[tuple[str, float]]:
    """Makes one Enterprise Manager for each reason to sync; its name and for how many seconds it has waited."""
    never = make_enterprise_manager(name="never")
    EnterpriseManager.objects.filter(pk=never.pk).update(created_at=now - HOUR)
    yield "never", 3600
    asked = make_enterprise_manager(name="asked", sync_requested_at=now - HOUR)
    make_run(asked, started_at=now - timedelta(minutes=5))
    yield "asked", 3600
    late = make_enterprise_manager(name="late", interval_minutes=60)
    make_run(late, started_at=now - 2 * HOUR)
    yield "late", 3600 + 30
    died = make_enterprise_manager(name="died", interval_minutes=1440)
    make_run(died, started_at=now - 2 * HOUR, ended_at=now - HOUR, status=SyncRun.Status.DIED)
    yield "died", 3600
    silent = make_enterprise_manager(name="silent", interval_minutes=1440)
    run = make_run(silent, started_at=now - 2 * HOUR, status=SyncRun.Status.RUNNING)
    SyncRun.objects.filter(pk=run.pk).update(heartbeat_at=now - HOUR)
    yield "silent", 3600 - 40


@pytest.mark.parametrize("which", range(5))
def test_the_queue_is_as_old_as_the_sync_that_waits_longest(
    client: Client, db: None, now: datetime, which: int
) -> None:
    name, seconds = list(due_syncs(now))[which]
    EnterpriseManager.objects.exclude(name=name).update(is_active=False)

    assert metrics(client)["queue_age_seconds", ""] == pytest.approx(seconds, abs=30)
    assert SyncRun.objects.running().count() == 1, "a scrape closed a run"
    assert due_enterprise_managers(as_of=now) == [EnterpriseManager.objects.get(name=name).pk]


def test_nothing_due_is_no_queue(client: Client, db: None, now: datetime) -> None:
    make_run(make_enterprise_manager(interval_minutes=60), started_at=now - timedelta(minutes=5))
    busy = make_enterprise_manager(sync_requested_at=now - HOUR)
    make_run(busy, started_at=now - timedelta(seconds=5), status=SyncRun.Status.RUNNING)

    assert metrics(client)["queue_age_seconds", ""] == 0


@pytest.mark.parametrize(
    ("state", "minutes", "expected"),
    [("waiting", 20, 1200), ("rendering", 25, 900), ("rendering", 5, 0), ("ready", 20, 0)],
)
def test_reports_that_wait_for_a_worker_age_the_queue(
    client: Client, db: None, now: datetime, state: str, minutes: int, expected: float
) -> None:
    at = now - timedelta(minutes=minutes)
    make_report(created_at=at, started_at=at if state != "waiting" else None, status=state)
    make_report(created_at=now - 30 * HOUR, status=Report.Status.FAILED)

    assert metrics(client)["queue_age_seconds", ""] == pytest.approx(expected, abs=30)


def test_mails_that_did_not_go_out_are_counted(client: Client, db: None, now: datetime) -> None:
    schedule, em = make_schedule(), make_enterprise_manager()
    off = make_enterprise_manager(is_active=False)
    for number, status in enumerate(Delivery.Status.values):
        start = now + number * 40 * 24 * HOUR
        Delivery.objects.create(
            schedule=schedule, period_start_at=start, period_end_at=start + HOUR, status=status
        )
    for number, more in enumerate(
        ({"attempts": 1}, {"attempts": 0}, {"attempts": 2, "sent_at": now}, {"attempts": 3, "closed_at": now})
    ):
        Alert.objects.create(
            enterprise_manager=em, level="stale", since_at=now - number * HOUR, created_at=now, **more
        )
    Alert.objects.create(enterprise_manager=off, level="stale", since_at=now, created_at=now, attempts=1)

    assert metrics(client)["failed_deliveries", ""] == 3


def test_a_silent_worker_is_told(client: Client, db: None, now: datetime) -> None:
    Pulse.objects.create(worker="sync", at=now - timedelta(minutes=4))
    Pulse.objects.create(worker="reports", at=now - timedelta(minutes=2))

    found = metrics(client)

    assert (found["worker_silent", "sync"], found["worker_silent", "reports"]) == (1, 0)


@pytest.mark.parametrize(
    "name",
    ['"\n{}', "a\\", 'x"} 1\nrestore_reports_gaps{enterprise_manager="y', "Zürich 🏔 \u202e", "{a='b'}"],
)
def test_a_hostile_name_forges_no_line_and_comes_back_whole(client: Client, db: None, name: str) -> None:
    make_enterprise_manager(name=name)

    found = metrics(client)

    assert {label for metric, label in found if metric == "gaps"} == {name}
    assert {metric for metric, label in found if label == name} == {
        *("never_synced", "window_seconds", "sync_paused", "sync_switched_off", "gaps", "gap_growing"),
    }


def test_the_queries_grow_with_nothing(
    client: Client, db: None, now: datetime, django_assert_max_num_queries: Any
) -> None:
    for number in range(12):
        em = make_enterprise_manager(name=f"em-{number}")
        for _run in range(3):
            make_run(em, started_at=now - HOUR)
        make_report(created_at=now)

    with django_assert_max_num_queries(6):
        response = scrape(client)

    assert response.content.count(b"restore_reports_gaps{") == 12
