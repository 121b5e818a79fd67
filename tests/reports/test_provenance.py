"""What a report says about its sources: who was read, up to when, and where something may be missing."""

from __future__ import annotations

import zoneinfo
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.models import SYSTEM, RestoreSessionScope
from restorereports.reports import provenance as module
from restorereports.reports.figures import gather
from restorereports.reports.provenance import Provenance, provenance
from tests.factories import make_enterprise_manager, make_run

from .population import AS_OF, JULY, july, make_population

pytestmark = pytest.mark.django_db


def origin(scope: RestoreSessionScope = JULY, as_of: datetime = AS_OF) -> Provenance:
    return provenance(
        scope, as_of=as_of, reader=SYSTEM, rows_per_manager={}, shown_by_several=0, oldest_row_at=None
    )


def test_a_source_is_named_with_address_account_role_and_trust() -> None:
    make_population()

    (source,) = gather(
        scope=JULY, zone=zoneinfo.ZoneInfo("UTC"), as_of=AS_OF, reader=SYSTEM
    ).provenance.sources

    assert (source.name, source.role, source.api_versions) == ("em-north", "Portal User", "v1_7")
    assert source.account == "EXAMPLE\\svc-read"
    assert (source.pin_sha256, source.has_ca, source.plain_http) == ("ab" * 32, False, False)
    assert source.rows == 13


def test_runs_of_the_period_are_counted_by_how_they_ended() -> None:
    make_population()

    runs = origin().runs

    assert (runs.good, runs.failed, runs.total, runs.not_good) == (2, 1, 3, 1)
    assert (runs.seen, runs.new) == (10, 4)


def test_last_and_first_good_sync_around_the_period_s_end() -> None:
    make_population()

    found = origin()

    assert found.sources[0].good_before_end_at == july(15)
    assert found.sources[0].good_after_end_at == AS_OF - timedelta(hours=1)
    assert found.not_read_after_end == ()
    assert found.complete


def test_without_a_good_sync_after_the_end_completeness_is_not_yet_known() -> None:
    make_population()

    found = origin(as_of=july(31))

    assert found.not_read_after_end == ("em-north",)
    assert not found.complete


def test_a_list_that_did_not_reach_back_to_the_start_is_named() -> None:
    late = make_enterprise_manager(name="late", oldest_received_at=july(12))
    make_run(late, started_at=AS_OF - timedelta(hours=1))
    never = make_enterprise_manager(name="never")

    found = origin()

    assert found.not_reaching_back == ("never", "late")
    assert found.never_read == (never.name,)
    assert found.sources[0].name == never.name
    assert found.first_data_at == july(12)


def test_30_days_between_good_syncs_are_no_gap_and_a_minute_more_is_one() -> None:
    manager = make_enterprise_manager(name="em")
    first = july(1)
    make_run(manager, started_at=first)
    second = make_run(manager, started_at=first + timedelta(days=30))
    make_run(manager, started_at=first + timedelta(days=20), status="failed")
    as_of = first + timedelta(days=31)

    assert origin(as_of=as_of).gaps == ()

    second.started_at += timedelta(minutes=1)
    second.save()
    (gap,) = origin(as_of=as_of).gaps
    assert (gap.from_at, gap.to_at) == (first, first + timedelta(minutes=1))


def test_a_gap_that_is_still_growing_and_one_outside_of_the_period() -> None:
    manager = make_enterprise_manager(name="em")
    make_run(manager, started_at=datetime(2025, 1, 1, tzinfo=UTC))
    make_run(manager, started_at=datetime(2025, 6, 1, tzinfo=UTC))
    make_run(manager, started_at=datetime(2025, 6, 30, tzinfo=UTC))

    (gap,) = origin(as_of=datetime(2026, 8, 15, tzinfo=UTC)).gaps

    assert (gap.from_at, gap.to_at) == (datetime(2025, 6, 30, tzinfo=UTC), datetime(2026, 7, 16, tzinfo=UTC))


def test_many_enterprise_managers_are_bounded_with_their_totals_kept(monkeypatch) -> None:
    monkeypatch.setattr(module, "MOST_MANAGERS", 1)
    for name in ("em-a", "em-b", "em-c"):
        make_run(make_enterprise_manager(name=name), started_at=july(3), seen=7)

    found = origin()

    assert (found.total, found.rest, found.runs.total, found.rest_runs.total) == (3, 2, 3, 2)
    assert found.runs.seen == 21


def test_only_enterprise_managers_of_the_scope_are_sources() -> None:
    wanted = make_enterprise_manager(name="wanted")
    make_enterprise_manager(name="other")

    assert [s.name for s in origin(replace(JULY, enterprise_managers=(wanted.pk,))).sources] == ["wanted"]


def test_nothing_set_up_is_not_called_complete() -> None:
    assert not origin().complete


def test_both_ends_are_needed() -> None:
    with pytest.raises(ValueError, match="both its ends"):
        origin(RestoreSessionScope())
