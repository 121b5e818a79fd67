"""The figures of a small population equal what a person counts."""

from __future__ import annotations

import dataclasses
import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.models import SYSTEM, Outcome, RestoreSession, RestoreSessionScope
from restorereports.models.counts import OutcomeCounts, percent
from restorereports.models.snapshot import snapshot
from restorereports.reports import durations, figures, listed, places
from restorereports.reports.cross_foot import CrossFootError, cross_foot
from restorereports.reports.figures import Figures, gather, previous_period
from restorereports.reports.scope_words import filters_of, machine_form
from tests.factories import make_backup_server, make_enterprise_manager, make_source

from .population import AS_OF, JULY, Population, july, make_population, make_troubles

pytestmark = pytest.mark.django_db
UTC_ZONE = zoneinfo.ZoneInfo("UTC")
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


@pytest.fixture
def population() -> Population:
    return make_population()


def figures_of(scope: RestoreSessionScope = JULY, zone: zoneinfo.ZoneInfo = UTC_ZONE) -> Figures:
    with snapshot():
        return gather(scope=scope, zone=zone, as_of=AS_OF, reader=SYSTEM)


def test_totals_and_success_rate(population) -> None:
    found = figures_of()

    assert found.counts == OutcomeCounts(success=6, warning=1, failed=2, no_result=1, other=1, running=2)
    assert (found.counts.completed, found.counts.total) == (11, 13)
    assert percent(found.counts.success, found.counts.completed) == "54.5"
    assert (found.machines_succeeded, found.machines_restored) == (3, 4)


def test_an_empty_period_has_no_rate_and_is_no_failure(population) -> None:
    empty = RestoreSessionScope(start=datetime(2020, 1, 1, tzinfo=UTC), end=datetime(2020, 2, 1, tzinfo=UTC))

    found = figures_of(empty)

    assert found.counts == OutcomeCounts()
    assert percent(found.counts.success, found.counts.completed) is None
    assert found.previous.no_data
    assert found.durations.types == ()


def test_unsuccessful_newest_first_with_the_success_that_followed(population) -> None:
    found = figures_of().unsuccessful

    assert [(line.outcome, line.vm_name, line.started_at.day) for line in found.listing.lines] == [
        ("Other", "vm3", 13),
        ("Failed", "vm1", 10),
        ("NoResult", "vm2", 7),
        ("Warning", "vm2", 6),
        ("Failed", "vm1", 5),
    ]
    assert [line.recovered_at for line in found.listing.lines] == [None, None, None, None, july(5, 20)]
    assert (found.failed_recovered, found.recovered, found.listing.total) == (1, 1, 5)


def test_success_exactly_24_hours_later_still_counts_as_after(population) -> None:
    RestoreSession.objects.filter(started_at=july(11, 10, 1)).update(started_at=july(11, 10))

    assert figures_of().unsuccessful.failed_recovered == 2


def test_in_progress_and_stale_are_listed_and_in_no_rate(population) -> None:
    found = figures_of().unfinished

    assert [(line.state, line.stale) for line in found.listing.lines] == [
        ("Working", True),
        ("Starting", False),
    ]
    assert (found.listing.total, found.running, found.stale, found.unknown, found.earlier) == (2, 2, 1, 0, 0)


def test_a_final_state_unknown_is_counted_apart_in_no_rate_and_without_a_duration(population) -> None:
    RestoreSession.objects.filter(state="Working").update(outcome=Outcome.UNKNOWN, duration_ms=1)

    found = figures_of()

    assert (found.counts.running, found.counts.unknown, found.counts.completed, found.counts.total) == (
        *(1, 1),
        *(11, 13),
    )
    assert (found.unfinished.stale, found.unfinished.unknown, found.unfinished.listing.total) == (0, 1, 2)
    assert [(line.outcome, line.stale) for line in found.unfinished.listing.lines] == [
        ("Unknown", False),
        ("Running", False),
    ]
    assert found.durations.total == 11
    assert found.servers.lines[1].counts.unknown == 1
    assert sum(line.counts.unknown for line in found.virtual_machines.lines) == 1
    assert found.trend.months[-1].counts == found.counts


def test_one_that_enterprise_manager_still_has_to_be_asked_for_is_in_progress(population) -> None:
    """Not to be found in one list does not say that its final state is unknown: the mirror decides that."""
    RestoreSession.objects.get(state="Working").sources.update(missing_at=AS_OF)

    assert figures_of().unfinished.unknown == 0


def test_one_that_started_earlier_and_still_runs_is_told_apart(population) -> None:
    population.add(population.a, "vm9", datetime(2026, 6, 29, tzinfo=UTC), state="Working", result="None")

    found = figures_of()

    assert found.unfinished.earlier == 1
    assert found.counts.running == 2


def test_carried_in_is_listed_and_not_counted(population) -> None:
    found = figures_of().carried_in

    assert [line.vm_name for line in found.listing.lines] == ["vm2"]
    assert found.counts == OutcomeCounts(success=1)


def test_the_period_before(population) -> None:
    found = figures_of().previous

    assert (found.start, found.end) == (datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
    assert found.counts == OutcomeCounts(success=1, failed=1)
    assert not found.no_data


def test_per_backup_server_lists_also_those_without_restore_sessions(population) -> None:
    make_backup_server(population.manager, name="vbr-idle")

    found = figures_of().servers

    assert [(line.name, line.counts.total, line.virtual_machines) for line in found.lines] == [
        ("vbr-a", 6, 2),
        ("vbr-b", 7, 2),
        ("vbr-idle", 0, 0),
    ]
    assert found.lines[0].counts == OutcomeCounts(success=3, warning=1, failed=1, no_result=1)


def test_servers_of_one_name_are_told_apart(population) -> None:
    make_backup_server(population.manager, name="vbr-a")

    assert [line.ambiguous for line in figures_of().servers.lines] == [True, True, False]


def test_servers_beyond_the_bound_are_summed_up(population, monkeypatch) -> None:
    monkeypatch.setattr(places, "MOST_SERVERS", 1)

    found = figures_of().servers

    assert [line.name for line in found.lines] == ["vbr-b"]
    assert (found.rest_total, found.rest.total, found.rest_machines) == (1, 6, 2)


def test_per_vm_worst_first_and_never_merged_by_name(population) -> None:
    found = figures_of().virtual_machines

    assert [(line.name, line.backup_server, line.counts.failed) for line in found.lines] == [
        ("vm1", "vbr-a", 1),
        ("vm1", "vbr-b", 1),
        ("vm2", "vbr-a", 0),
        ("vm3", "vbr-b", 0),
    ]
    assert [line.median_ms for line in found.lines] == [1_500_000, 3_900_000, 3_000_000, 5_550_000]
    assert found.lines[0].last_success_at == july(5, 20)
    assert (found.total, found.unnamed) == (4, OutcomeCounts(success=1))


def test_vms_beyond_the_bound_are_summed_up_by_the_database(population, monkeypatch) -> None:
    monkeypatch.setattr(places, "MOST_VIRTUAL_MACHINES", 1)

    found = figures_of().virtual_machines

    assert (len(found.lines), found.rest_total) == (1, 3)
    assert found.rest == OutcomeCounts(success=2, warning=1, failed=1, no_result=1, other=1, running=2)


def test_durations_keep_mount_times_apart_and_count_the_unusable(population) -> None:
    whole_vm, mounted = figures_of().durations.types

    assert (whole_vm.job_type, whole_vm.measured, whole_vm.unusable) == ("RestoreVm", 9, 1)
    minutes = sorted([10, 20, 30, 40, 50, 60, 70, 5, 15])
    assert whole_vm.median_ms == minutes[4] * 60_000
    assert whole_vm.p95_ms == whole_vm.longest_ms == 70 * 60_000
    assert mounted.is_mount_time
    assert (mounted.values_ms, mounted.median_ms, mounted.p95_ms) == ((180 * 60_000,), None, None)


def test_an_even_number_of_durations_has_the_mean_of_the_middle_two(population) -> None:
    population.add(population.a, "vm2", july(8), minutes=100)

    assert figures_of().durations.types[0].median_ms == 35 * 60_000


@pytest.mark.parametrize(("n", "rank"), [(1, 1), (5, 5), (19, 19), (20, 19), (21, 20), (100, 95), (101, 96)])
def test_nearest_rank(n: int, rank: int) -> None:
    assert durations.nearest_rank(95, n) == rank


def test_types_beyond_the_bound_are_summed_up(population, monkeypatch) -> None:
    monkeypatch.setattr(durations, "MOST_TYPES", 1)
    monkeypatch.setattr(figures, "MOST_TYPES", 1)

    found = figures_of()

    assert [(line.job_type, line.counts.total) for line in found.types] == [("RestoreVm", 12), (None, 1)]
    assert (found.durations.rest_types, found.durations.rest, found.durations.total) == (1, 1, 11)


def test_a_longer_list_says_how_much_it_leaves_out(population, monkeypatch) -> None:
    monkeypatch.setattr(listed, "MOST_UNSUCCESSFUL", 2)

    found = figures_of().unsuccessful.listing

    assert (len(found.lines), found.rest, found.total) == (2, 3, 5)


def test_a_session_that_two_enterprise_managers_show_counts_once(population) -> None:
    south = make_enterprise_manager(name="em-south")
    make_source(RestoreSession.objects.get(started_at=july(2)), south)

    found = figures_of()

    assert found.counts.total == 13
    assert found.provenance.shown_by_several == 1
    assert {source.name: source.rows for source in found.provenance.sources} == {
        "em-north": 13,
        "em-south": 1,
    }


def test_filters_narrow_every_figure_and_are_said_in_words(population) -> None:
    scope = dataclasses.replace(
        JULY,
        enterprise_managers=(population.manager.pk,),
        backup_servers=(population.a.pk,),
        vm="VM",
        outcomes=("Success",),
        results=("Success", ""),
        states=("Stopped",),
        job_types=("RestoreVm",),
    )

    found = figures_of(scope)

    assert found.counts == OutcomeCounts(success=3)
    assert found.trend.months[-1].counts == found.counts
    assert [(f.label, f.values) for f in found.filters] == [
        ("Enterprise Manager", ("em-north",)),
        ("Backup server", ("vbr-a",)),
        ("VM name contains", ("VM",)),
        ("Outcome", ("Success",)),
        ("Result in EM’s word", ("Success", "(empty)")),
        ("State in EM’s word", ("Stopped",)),
        ("Type in EM’s word", ("RestoreVm",)),
    ]
    assert f'"backup_servers": [{population.a.pk}]' in machine_form(scope)


def test_many_filter_values_are_bounded() -> None:
    scope = RestoreSessionScope(vm_exact="x", results=tuple(f"word {n}" for n in range(20)))

    name, results = filters_of(scope, reader=SYSTEM)

    assert (name.values, name.rest) == (("x",), 0)
    assert (len(results.values), results.rest) == (12, 8)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            {"counts": OutcomeCounts(success=7, warning=1, failed=2, no_result=1, other=1, running=2)},
            "backup servers",
        ),
        (
            {
                "counts": OutcomeCounts(
                    success=6, warning=1, failed=2, no_result=1, other=1, running=1, unknown=1
                )
            },
            r"\(running\): 1, .*: 2",
        ),
        ({"machines_restored": 9}, "VMs restored: 9"),
        ({"types": ()}, "the sum over the types"),
    ],
)
def test_figures_that_contradict_each_other_are_not_issued(population, change, names) -> None:
    wrong = dataclasses.replace(figures_of(), **change)

    with pytest.raises(CrossFootError, match=names):
        cross_foot(wrong)


def test_parts_of_the_lists_must_add_up_too(population) -> None:
    right = figures_of()
    listing = dataclasses.replace(right.unsuccessful.listing, total=6)
    wrong = dataclasses.replace(right, unsuccessful=dataclasses.replace(right.unsuccessful, listing=listing))

    with pytest.raises(CrossFootError, match=r"completed without success: 5, .*: 6\.$"):
        cross_foot(wrong)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"held": 12}, "rows held of em-north: 12, the sum over its backup servers: 13"),
        ({"listed": 14}, "rows that em-north lists: 14, "),
        ({"only_em_count": 1}, "lists, without those only there: 12, .*: 13"),
        ({"only_em_count": 1, "only_mirror_count": 1}, "on one side only: 2, none: 0"),
        ({"counted": 16}, "rows that em-north counts: 16, rows mirrored: 15"),
    ],
)
def test_a_comparison_that_does_not_add_up_is_not_issued(population, change, names) -> None:
    right = figures_of()
    (compared,) = right.provenance.compared
    wrong = dataclasses.replace(right.provenance, compared=(dataclasses.replace(compared, **change),))

    with pytest.raises(CrossFootError, match=names):
        cross_foot(dataclasses.replace(right, provenance=wrong))


@pytest.mark.parametrize("distinct", [1, 5])
def test_protected_vms_that_contradict_their_lines_are_not_issued(population, distinct: int) -> None:
    make_troubles(population)
    right = figures_of()
    wrong = dataclasses.replace(
        right.provenance, protected=dataclasses.replace(right.provenance.protected, distinct=distinct)
    )

    with pytest.raises(CrossFootError, match=f"VMs protected at the period’s end: {distinct}"):
        cross_foot(dataclasses.replace(right, provenance=wrong))


def test_the_number_of_queries_does_not_grow_with_the_rows(population, django_assert_max_num_queries) -> None:
    for n in range(30):
        population.add(population.a, f"vm-{n}", july(20, minute=n), result="Failed")

    with django_assert_max_num_queries(70):
        figures_of()


@pytest.mark.parametrize(
    ("start", "end", "zone", "before"),
    [
        ("2026-07-01T00:00Z", "2026-10-01T00:00Z", "UTC", ("2026-04-01T00:00Z", "2026-07-01T00:00Z")),
        ("2024-02-01T00:00Z", "2024-03-01T00:00Z", "UTC", ("2024-01-01T00:00Z", "2024-02-01T00:00Z")),
        ("2026-01-10T00:00Z", "2026-01-17T00:00Z", "UTC", ("2026-01-03T00:00Z", "2026-01-10T00:00Z")),
        ("2026-01-10T12:00Z", "2026-01-11T00:00Z", "UTC", ("2026-01-10T00:00Z", "2026-01-10T12:00Z")),
        # the clocks go forward on 29 March: April in Berlin begins at 22:00 UTC, March at 23:00
        (
            "2026-03-31T22:00Z",
            "2026-04-30T22:00Z",
            "Europe/Berlin",
            ("2026-02-28T23:00Z", "2026-03-31T22:00Z"),
        ),
    ],
)
def test_previous_period(start, end, zone, before) -> None:
    def read(text: str) -> datetime:
        return datetime.fromisoformat(text)

    assert previous_period(read(start), read(end), zoneinfo.ZoneInfo(zone)) == tuple(map(read, before))


def test_a_month_with_a_clock_change_holds_what_started_in_its_lost_and_doubled_hours() -> None:
    population = make_population()
    night = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 CEST, and an hour later 02:30 CET
    population.add(population.a, "vm1", night)
    population.add(population.a, "vm1", night + timedelta(hours=1))
    population.add(population.a, "vm1", datetime(2026, 10, 25, 22, 59, 59, tzinfo=UTC))
    population.add(population.a, "vm1", datetime(2026, 10, 25, 23, tzinfo=UTC))
    day = RestoreSessionScope(
        start=datetime(2026, 10, 25, tzinfo=BERLIN).astimezone(UTC),
        end=datetime(2026, 10, 26, tzinfo=BERLIN).astimezone(UTC),
    )

    assert (day.end - day.start) == timedelta(hours=25)
    assert figures_of(day, BERLIN).counts.total == 3


def test_a_period_without_length_is_empty_and_no_failure(population) -> None:
    found = figures_of(RestoreSessionScope(start=JULY.end, end=JULY.end))

    assert found.counts == OutcomeCounts()
    assert found.carried_in.listing.total == 0


def test_figures_need_both_ends() -> None:
    for wanted in (
        lambda scope: gather(scope=scope, zone=UTC_ZONE, as_of=AS_OF, reader=SYSTEM),
        lambda scope: listed.carried_in(scope, reader=SYSTEM),
    ):
        with pytest.raises(ValueError, match="both ends"):
            wanted(RestoreSessionScope())
