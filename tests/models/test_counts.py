"""Counts by outcome, bounded counts, shares."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from restorereports.models import (
    SYSTEM,
    BackupServer,
    Outcome,
    RestoreSession,
    RestoreSessionScope,
    User,
)
from restorereports.models.counts import (
    OutcomeCounts,
    by_outcome,
    by_outcome_per,
    count_up_to,
    distinct_values,
    percent,
)

NOON = datetime(2026, 10, 1, 12, tzinfo=UTC)


@pytest.fixture
def rows(db) -> None:
    server = BackupServer.objects.create(uid="u", name="vbr-east", first_seen_at=NOON)
    words = [("Stopped", "Success"), ("Stopped", "Success"), ("Stopped", "Warning"), ("Stopped", "Failed")]
    words += [("Stopped", "None"), ("Stopped", "Exploded"), ("Working", "Success"), ("Idle", "None")]
    for n, (state, result) in enumerate(words):
        RestoreSession.objects.create(
            backup_server=server,
            uid=str(n),
            name=str(n),
            state=state,
            result=result,
            outcome=Outcome.of(state=state, result=result),
            job_type="RestoreVm" if n % 2 else "FileLevelRestore",
            started_at=NOON + timedelta(hours=n),
            first_seen_at=NOON,
        )


def test_counts_by_outcome_add_up(rows) -> None:
    found = by_outcome(RestoreSession.objects.visible_to(SYSTEM))

    assert found == OutcomeCounts(success=2, warning=1, failed=1, no_result=1, other=1, running=2)
    assert (found.completed, found.total) == (6, 8)


def test_a_final_state_unknown_is_in_the_total_and_in_no_rate(rows) -> None:
    RestoreSession.objects.filter(state="Idle").update(outcome=Outcome.UNKNOWN)

    found = by_outcome(RestoreSession.objects.visible_to(SYSTEM))

    assert found == OutcomeCounts(success=2, warning=1, failed=1, no_result=1, other=1, running=1, unknown=1)
    assert (found.completed, found.total) == (6, 8)
    assert (found + found).unknown == 2


def test_counts_kept_before_final_states_unknown_were_counted_still_load() -> None:
    assert OutcomeCounts(success=2, running=1).total == 3


def test_counts_per_key(rows) -> None:
    found = by_outcome_per(RestoreSession.objects.visible_to(SYSTEM), "job_type")

    assert sum((counts for counts in found.values()), OutcomeCounts()).total == 8
    assert found[("RestoreVm",)] == OutcomeCounts(success=1, failed=1, other=1, running=1)


def test_a_count_stops_at_its_limit(rows) -> None:
    everything = RestoreSession.objects.visible_to(SYSTEM)

    assert (count_up_to(everything, 8).value, count_up_to(everything, 8).over) == (8, False)
    assert (count_up_to(everything, 7).value, count_up_to(everything, 7).over) == (7, True)


def test_distinct_values_in_order(rows) -> None:
    everything = RestoreSession.objects.visible_to(SYSTEM)

    assert distinct_values(everything, "state") == ["Idle", "Stopped", "Working"]
    assert distinct_values(everything.none(), "state") == []


def test_the_scope_narrows_by_period_words_and_reader(rows) -> None:
    scope = RestoreSessionScope(
        start=NOON + timedelta(hours=1), end=NOON + timedelta(hours=4), results=("Success", "Failed")
    )

    assert scope.rows(SYSTEM).count() == 2
    assert scope.rows(User(is_active=False)).count() == 0
    assert RestoreSessionScope.from_json(scope.as_json()) == scope
    assert RestoreSessionScope(outcomes=("Running",), states=("Idle",)).rows(SYSTEM).count() == 1
    assert RestoreSessionScope(vm="x").rows(SYSTEM).count() == 0
    assert (
        RestoreSessionScope(vm_exact="x", job_types=("RestoreVm",), backup_servers=(1,)).rows(SYSTEM).count()
        == 0
    )
    assert RestoreSessionScope(enterprise_managers=(1,)).rows(SYSTEM).count() == 0


def test_carried_in_means_started_before_and_ended_inside(rows) -> None:
    RestoreSession.objects.filter(uid="0").update(ended_at=NOON + timedelta(days=1))
    start = NOON + timedelta(hours=12)

    found = RestoreSession.objects.visible_to(SYSTEM).carried_into(start, start + timedelta(days=30))

    assert [session.uid for session in found] == ["0"]


@given(st.integers(0, 10_000), st.integers(1, 10_000))
def test_a_share_is_whole_only_when_all_are_in(part: int, whole: int) -> None:
    part = min(part, whole)

    text = percent(part, whole)

    assert (text == "100.0") == (part == whole)
    assert abs(float(text) - part / whole * 100) <= 0.1


def test_shares_round_half_up_and_nothing_has_none() -> None:
    assert percent(0, 0) is None
    assert percent(1, 2000) == "0.1"
    assert percent(9996, 10000) == "99.9"
    assert percent(2, 3) == "66.7"


def test_times_are_aware(rows) -> None:
    assert timezone.is_aware(RestoreSession.objects.visible_to(SYSTEM).first().started_at)
