"""What a report says about its sources: who was read, up to when, and where something may be missing."""

from __future__ import annotations

import zoneinfo
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from restorereports.models import SYSTEM, BackupServerSource, GapNote, RestoreSessionScope
from restorereports.models.completeness import Verdict
from restorereports.reports import lacking, reconciled
from restorereports.reports import provenance as module
from restorereports.reports.figures import gather
from restorereports.reports.lacking import Lacking
from restorereports.reports.provenance import Provenance, provenance
from tests.factories import (
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_outage,
    make_presence,
    make_reconciliation,
    make_run,
)

from .population import AS_OF, JULY, july, make_population, make_troubles

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
    assert (source.restore_scope_label, source.sees_a_part) == ("everything", False)


def test_runs_of_the_period_are_counted_by_how_they_ended() -> None:
    make_population()

    runs = origin().runs

    assert (runs.good, runs.failed, runs.total, runs.not_good) == (2, 1, 3, 1)
    assert (runs.seen, runs.new) == (10, 4)


def test_a_period_that_was_read_through_and_closed_is_complete() -> None:
    make_population()

    found = origin()

    assert found.verdict == found.sources[0].completeness.verdict == Verdict.COMPLETE
    assert found.causes == []
    assert found.lacking == Lacking()
    assert found.sources[0].closed_to == found.sources[0].last_good_at == AS_OF - timedelta(hours=1)
    assert found.sources[0].first_good_at == datetime(2026, 5, 20, tzinfo=UTC)


def test_without_a_full_sync_after_the_end_completeness_is_not_yet_known() -> None:
    make_population()

    found = origin(as_of=july(31))

    assert found.verdict == Verdict.NOT_YET_KNOWN
    (lack,) = found.lacking.lacks
    assert (lack.from_at, lack.to_at, lack.verdict) == (july(15), JULY.end, Verdict.NOT_YET_KNOWN)
    assert found.causes == [("No full sync since then", 1)]


def test_what_was_never_read_or_not_far_enough_back_is_named() -> None:
    late = make_enterprise_manager(name="late", oldest_received_at=july(12), covered_from_at=july(12))
    make_full_run(late, started_at=AS_OF - timedelta(hours=1))
    make_enterprise_manager(name="never")

    found = origin()

    assert found.verdict == Verdict.INCOMPLETE
    assert [(one.enterprise_manager, one.cause, one.verdict) for one in found.lacking.lacks] == [
        ("late", "Before what Enterprise Manager showed at the first sync", "incomplete"),
        ("never", "Never read in full", "not_yet_known"),
    ]
    assert [source.completeness.verdict for source in found.sources] == ["incomplete", "not_yet_known"]
    assert found.first_data_at == july(12)


def test_gaps_are_told_in_full_length_with_notes_and_outages_beside_them() -> None:
    make_troubles(make_population())

    found = origin().lacking

    assert (found.lacks_total, found.gaps_total, found.outages_total) == (3, 2, 2)
    gap, away, waits = found.lacks
    assert (gap.from_at, gap.to_at, gap.backup_server, gap.cause) == (july(3), july(9), "", "Syncs failed")
    assert (gap.detail, gap.notes_total, gap.notes_rest) == ("Log-on refused. Check the account.", 2, 0)
    assert [note.text[:12] for note in gap.notes] == ["Its password", "The account "]
    assert {note.author for note in gap.notes} == {"B. Sample"}
    assert (away.backup_server, away.from_at, away.verdict) == ("em-south-2", july(12), "incomplete")
    assert (waits.backup_server, waits.from_at, waits.to_at) == ("em-south-2", july(27), JULY.end)
    assert [(one.backup_server, one.from_at, one.to_at) for one in found.outages] == [
        ("", july(20), july(24)),
        ("em-south-2", july(27), None),
    ]


def test_a_gap_that_reaches_out_of_the_period_keeps_its_own_bounds() -> None:
    population = make_population()
    june = datetime(2026, 6, 20, tzinfo=UTC)
    make_gap(population.manager, june, to_at=july(2))
    make_gap(population.manager, datetime(2026, 5, 20, tzinfo=UTC), to_at=june)

    (lack,) = origin().lacking.lacks

    assert (lack.from_at, lack.to_at) == (june, july(2))


def test_a_gap_that_still_grows_has_no_end() -> None:
    population = make_population()
    run = make_run(population.manager, started_at=AS_OF, status="failed")
    population.manager.shown_window = timedelta(days=10)
    population.manager.save()
    make_gap(population.manager, july(20), run=run)

    (lack,) = origin().lacking.lacks

    assert (lack.from_at, lack.to_at, lack.verdict) == (july(20), None, "incomplete")


def test_a_gap_that_another_enterprise_manager_makes_up_for_is_told_and_costs_nothing() -> None:
    population = make_population()
    other = make_enterprise_manager(name="other", covered_from_at=july(1) - timedelta(days=9))
    for server in (population.a, population.b):
        BackupServerSource.objects.create(
            enterprise_manager=other,
            backup_server=server,
            uid=server.uid,
            name=server.name,
            first_seen_at=july(1),
            covered_from_at=other.covered_from_at,
        )
    make_full_run(other, started_at=AS_OF - timedelta(hours=1))
    make_gap(population.manager, july(3), to_at=july(9))

    found = origin()
    alone = origin(replace(JULY, enterprise_managers=(population.manager.pk,)))

    assert found.verdict == Verdict.COMPLETE
    assert [(one.enterprise_manager, one.verdict) for one in found.lacking.lacks] == [("em-north", None)]
    assert [source.name for source in found.sources] == ["em-north", "other"]
    assert alone.verdict == Verdict.INCOMPLETE


def test_outages_of_a_day_or_less_and_those_outside_of_the_period_are_not_told() -> None:
    population = make_population()
    make_outage(population.manager, july(3), to_at=july(4), closed_run=population.manager.runs.first())
    june = datetime(2026, 6, 2, tzinfo=UTC)
    make_outage(population.manager, june, to_at=june + timedelta(days=9))
    make_outage(population.manager, AS_OF - timedelta(hours=24))

    assert origin().lacking.outages_total == 0


def test_lists_of_gaps_notes_and_outages_are_bounded(monkeypatch) -> None:
    manager = make_troubles(make_population())
    gap = manager.gaps.get(from_at=july(3))
    for number in range(4):
        GapNote.objects.create(gap=gap, author=gap.notes.first().author, at=AS_OF, text=f"note {number}")
    monkeypatch.setattr(lacking, "MOST_LACKS", 1)
    monkeypatch.setattr(lacking, "MOST_OUTAGES", 1)

    found = origin().lacking

    assert (len(found.lacks), found.lacks_total) == (1, 3)
    assert (len(found.outages), found.outages_total) == (1, 2)
    assert [note.text for note in found.lacks[0].notes] == ["note 3", "note 2", "note 1"]
    assert found.lacks[0].notes_rest == 3


def test_the_latest_comparison_of_each_enterprise_manager_is_told_those_that_differ_first() -> None:
    population = make_population()
    make_reconciliation(
        make_full_run(population.manager, started_at=AS_OF + timedelta(hours=1)),
        state="different",
        listed=1,
        only_em_count=1,
    )
    make_troubles(population)
    make_enterprise_manager(name="never")

    found = origin()

    south, never, north = found.compared
    assert (south.enterprise_manager, south.listed, south.held, south.counted) == ("em-south", 120, 110, 500)
    assert [(row.name, row.difference) for row in south.servers] == [
        ("em-south-1", -12),
        ("em-south-2", 2),
        ("", 0),
    ]
    assert (len(south.only_em), south.only_em_count) == (3, 12)
    assert (never.was_compared, never.label) == (False, "")
    assert north.equal
    assert north.at == AS_OF - timedelta(hours=1)
    assert found.reconciled == 1
    assert (found.compared_total.listed, found.compared_total.held) == (133, 123)


def test_backup_servers_of_a_comparison_beyond_the_bound_are_summed_up(monkeypatch) -> None:
    make_troubles(make_population())
    monkeypatch.setattr(reconciled, "MOST_SERVERS", 1)

    south = origin().compared[0]

    assert (len(south.servers), south.rest_servers) == (1, 2)
    assert (south.rest.listed, south.rest.held) == (20, 22)
    assert (south.servers_listed, south.servers_held) == (120, 110)


def test_vms_protected_at_the_end_stand_beside_enterprise_manager_s_figure() -> None:
    population = make_population()
    manager = make_troubles(population)
    refused = make_enterprise_manager(name="refused")
    make_inventory(make_run(refused, started_at=july(2)), state="not_readable")
    make_presence(population.a, manager, "vm1", july(1))  # the same VM through a second Enterprise Manager

    found = origin().protected

    lines = [(one.enterprise_manager, one.vms, one.here, one.overview, one.difference) for one in found.lines]
    assert lines == [
        ("em-north", 2, 2, 2, 0),
        ("em-south", 2, 3, 5, -2),
        ("refused", None, None, None, None),
    ]
    assert found.lines[2].label == "Not readable with this role"
    assert (found.total, found.distinct) == (4, 3)
    assert origin(replace(JULY, backup_servers=(population.b.pk,))).protected.distinct == 0


def test_who_never_had_restore_points_read_has_no_number_of_vms() -> None:
    make_enterprise_manager(name="em")

    assert origin().protected.distinct is None


def test_backup_servers_that_left_are_named() -> None:
    make_troubles(make_population())

    (removed,) = origin().removed

    assert (removed.backup_server, removed.at) == ("em-south-removed", july(18))
    assert origin(as_of=july(10)).removed == ()


def test_only_enterprise_managers_that_show_the_backup_servers_asked_for_are_sources() -> None:
    population = make_population()
    make_troubles(population)
    make_enterprise_manager(name="never")

    found = origin(replace(JULY, backup_servers=(population.a.pk,)))

    assert [source.name for source in found.sources] == ["em-north"]
    assert found.verdict == Verdict.COMPLETE


def test_the_number_of_queries_grows_with_nothing(django_assert_num_queries) -> None:
    population = make_population()
    make_troubles(population)
    with CaptureQueriesContext(connection) as before:
        origin()
    for number in range(3):
        make_troubles(population, name=f"em-{number}")

    with django_assert_num_queries(len(before)):
        origin()
    assert len(before) <= 20


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
    assert origin().verdict == Verdict.NOT_YET_KNOWN


def test_a_period_without_length_lacks_nothing() -> None:
    make_population()

    assert origin(replace(JULY, end=JULY.start)).verdict == Verdict.COMPLETE


def test_both_ends_are_needed() -> None:
    with pytest.raises(ValueError, match="both its ends"):
        origin(RestoreSessionScope())
