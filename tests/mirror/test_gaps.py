"""Gaps: opened and closed by runs, never edited, by the window that EM was seen to answer."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from typing import Any

import pytest
import time_machine

from restorereports.emulator.accounts import PORTAL_ADMINISTRATOR, Account
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import (
    BackupServer,
    BackupServerSource,
    EnterpriseManager,
    Gap,
    GapNote,
    RestoreSession,
    SyncRun,
)
from restorereports.models.append_only import NeverChanged
from restorereports.models.completeness import Cause, Verdict, completeness
from tests.factories import make_user

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


class Time:
    """One clock for the mirror and the stand-in EM."""

    def __init__(self, traveller: Any, clock: ManualClock) -> None:
        self._traveller, self._clock, self.now = traveller, clock, START

    def go(self, length: timedelta) -> datetime:
        self.now += length
        self._traveller.move_to(self.now)
        self._clock.set(self.now)
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def world(clock: ManualClock) -> World:
    return World.empty(servers=2, now=clock)


@pytest.fixture
def time(clock: ManualClock) -> Iterator[Time]:
    with time_machine.travel(START, tick=False) as traveller:
        yield Time(traveller, clock)


def gaps() -> list[tuple[datetime, datetime | None, str]]:
    return [(gap.from_at, gap.to_at, gap.cause) for gap in Gap.objects.order_by("pk")]


def ran_at() -> datetime:
    """When the latest run read, by the more careful of the two clocks."""
    run = SyncRun.objects.first()
    assert run is not None
    return run.started_at + timedelta(seconds=min(run.clock_skew_seconds or 0, 0))


def verdict(start: datetime, end: datetime) -> tuple[str, list[Cause]]:
    found = completeness(BackupServer.objects.order_by("pk")[0], start, end)
    return found.verdict, [interval.cause for interval in found.intervals]


def test_syncs_closer_than_the_window_leave_no_gap(time: Time, em: EnterpriseManager, world: World) -> None:
    world.add_session(created_at=START - 20 * DAY)
    sync(em)
    first = ran_at()

    time.go(19 * DAY)
    sync(em)

    assert gaps() == []
    assert verdict(first - 19 * DAY, ran_at()) == (Verdict.COMPLETE, [])


def test_an_outage_longer_than_the_window_is_a_gap_with_its_ends(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    record = world.add_session(created_at=START - 20 * DAY)
    sync(em)
    last = ran_at()

    time.go(40 * DAY)
    world.remove_session(record.uid)
    world.add_session(vm_name="new", created_at=time.now - 2 * DAY)
    sync(em)

    end = ran_at() - timedelta(days=19)  # EM was seen to answer 20 days, and purges by the day
    [(from_at, to_at, cause)] = gaps()
    assert (from_at, cause) == (last, "not_run")
    assert abs(to_at - end) < timedelta(seconds=5)
    assert verdict(START - DAY, time.now - DAY)[0] == Verdict.INCOMPLETE
    assert verdict(time.now - 10 * DAY, time.now - DAY)[0] == Verdict.COMPLETE
    gap = Gap.objects.get()
    assert gap.opened_run == gap.closed_run == SyncRun.objects.first()


def test_rows_from_before_the_outage_prove_that_nothing_was_lost(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    world.add_session(created_at=START - HOUR)
    sync(em)

    time.go(40 * DAY)
    sync(em)

    assert gaps() == []
    assert em.gaps.count() == 0
    assert EnterpriseManager.objects.get().window > 40 * DAY


def test_em_purges_by_the_day_and_may_answer_a_day_less_than_it_was_seen_to(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    world.retention_days = 9
    world.add_session(created_at=START - 9 * DAY - 11 * HOUR)  # EM keeps it until midnight
    sync(em)
    time.go(10 * DAY + 6 * HOUR)
    lost = world.add_session(vm_name="never read")

    time.go(9 * DAY + 6 * HOUR + MINUTE)  # a minute after midnight
    sync(em)

    assert not RestoreSession.objects.filter(uid=lost.uid).exists()
    [(from_at, to_at, _)] = gaps()
    assert to_at is not None
    assert from_at < lost.created_at < to_at


def test_a_gap_grows_while_syncs_fail_and_is_closed_once(
    time: Time, em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    world.add_session(created_at=START - 20 * DAY)
    sync(em)
    last = ran_at()
    down = server.faults.answer(503, count=None)

    time.go(19 * DAY)
    sync(em)
    assert gaps() == []
    time.go(2 * DAY)
    sync(em)
    time.go(DAY)
    sync(em)

    [gap] = Gap.objects.all()
    assert (gap.from_at, gap.to_at, gap.cause, gap.is_growing) == (last, None, "failed", True)
    assert "503" in gap.detail or gap.detail
    assert verdict(START - DAY, START)[0] == Verdict.COMPLETE
    assert verdict(START + DAY, START + 2 * DAY)[0] == Verdict.INCOMPLETE

    down.count = 0
    for record in world.visible_sessions():
        world.remove_session(record.uid)
    run = sync(em, full=True)

    gap.refresh_from_db()
    assert (gap.closed_run, gap.is_growing) == (run, False)
    assert abs(gap.to_at - (ran_at() - 19 * DAY)) < timedelta(seconds=5)
    assert gap.length is not None
    time.go(DAY)
    sync(em)
    assert Gap.objects.count() == 1


def test_a_growing_gap_in_which_nothing_was_lost_is_closed_without_length(
    time: Time, em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    world.add_session(created_at=START - 9 * DAY)
    sync(em)
    down = server.faults.answer(503, count=None)
    time.go(30 * DAY)
    sync(em)
    assert Gap.objects.get().is_growing

    down.count = 0
    sync(em)

    gap = Gap.objects.get()
    assert gap.was_recovered
    assert verdict(START - DAY, time.now - HOUR) == (Verdict.COMPLETE, [])


def test_an_em_that_lost_its_history_leaves_a_gap_back_to_the_last_full_run(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    for day in range(20):
        world.add_session(vm_name=f"vm-{day}", created_at=START - day * DAY - HOUR)
    sync(em)
    full = ran_at()
    time.go(HOUR)
    sync(em)

    time.go(20 * HOUR)
    for record in world.visible_sessions():
        world.remove_session(record.uid)
    world.add_session(vm_name="after", created_at=time.now - HOUR)
    sync(em, full=True)

    [(from_at, to_at, cause)] = gaps()
    assert (from_at, cause) == (full, "history_lost")
    assert abs(to_at - (time.now - HOUR)) < timedelta(seconds=5)
    time.go(DAY)
    sync(em, full=True)
    assert Gap.objects.count() == 1


def test_a_removed_backup_server_keeps_its_rows_and_what_was_not_read_before_is_a_gap(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    first, second = world.backup_servers()
    world.add_session(backup_server_uid=first.uid, created_at=START - 20 * DAY)
    world.add_session(backup_server_uid=second.uid, created_at=START - 10 * DAY, vm_name="away")
    sync(em)
    last = ran_at()

    time.go(HOUR)
    lost = world.add_session(backup_server_uid=second.uid, vm_name="never read")
    time.go(23 * HOUR)
    world.remove_server(second.uid)
    run = sync(em, full=True)

    away = BackupServerSource.objects.get(uid=second.uid)
    assert run.missing == 1
    [gap] = Gap.objects.all()
    assert (gap.backup_server, gap.cause) == (away.backup_server, "server_away")
    assert (gap.from_at, gap.to_at) == (last, away.removed_at)
    assert away.backup_server.restore_sessions.count() == 1
    time.go(3 * DAY)
    sync(em, full=True)
    assert Gap.objects.count() == 1
    assert not completeness(away.backup_server, lost.created_at, lost.created_at + HOUR).complete
    assert completeness(away.backup_server, START - DAY, last).complete
    assert completeness(away.backup_server, away.removed_at, time.now - HOUR).complete


def test_a_gap_begins_where_em_had_collected_when_it_was_last_read(time: Time, add_em) -> None:
    clock = ManualClock(START + 10 * MINUTE)
    world = World.empty(now=clock, epoch=START, collect_interval=900)
    with StandInServer(world, accounts=[Account("mirror", "mirror", PORTAL_ADMINISTRATOR)]) as server:
        em = add_em(server)
        time.go(10 * MINUTE)
        world.add_session(vm_name="not yet collected", created_at=START + 5 * MINUTE)
        sync(em)
        world.retention_days = 9
        clock.set(time.go(40 * DAY))
        sync(em)

    assert RestoreSession.objects.count() == 0
    [(from_at, _, cause)] = gaps()
    assert (from_at, cause) == (START, "not_run")


def test_a_backup_server_that_was_away_for_too_long_has_a_gap_of_its_own(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    first, second = world.backup_servers()
    world.add_session(backup_server_uid=first.uid, created_at=START - 8 * DAY)
    forgotten = world.add_session(backup_server_uid=second.uid, created_at=START - 2 * DAY, vm_name="away")
    sync(em)
    time.go(DAY)
    world.remove_server(second.uid)
    sync(em, full=True)
    away = BackupServerSource.objects.get(uid=second.uid)

    for record in world.visible_sessions():
        world.remove_session(record.uid)
    time.go(30 * DAY)
    world.add_server("back", uid=second.uid)
    world.remove_session(forgotten.uid)
    world.add_session(backup_server_uid=first.uid, created_at=time.now - HOUR, vm_name="new")
    sync(em, full=True)

    before, gap = Gap.objects.filter(backup_server=away.backup_server).order_by("pk")
    assert before.to_at == gap.from_at == away.removed_at
    assert gap.cause == "server_away"
    away.refresh_from_db()
    assert away.removed_at is None


def test_before_the_first_sync_nothing_is_known_and_the_future_is_not_yet(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    world.add_session(created_at=START - 20 * DAY)
    sync(em)

    assert verdict(START - 30 * DAY, START - DAY) == (Verdict.INCOMPLETE, [Cause.BEFORE_FIRST])
    assert verdict(START - DAY, START + DAY) == (Verdict.NOT_YET_KNOWN, [Cause.NOT_CLOSED])
    time.go(HOUR)
    assert sync(em).kind == "incremental"
    assert verdict(START - DAY, START + HOUR / 2)[0] == Verdict.NOT_YET_KNOWN


def test_a_clock_set_back_reorders_nothing_and_stops_nothing(
    time: Time, em: EnterpriseManager, world: World
) -> None:
    world.add_session(created_at=START - 20 * DAY)
    sync(em)
    first = SyncRun.objects.get()

    time.go(-3 * HOUR)
    world.add_session(vm_name="while the clock was back", created_at=time.now - timedelta(minutes=1))
    second = sync(em)
    time.go(4 * HOUR)
    third = sync(em)

    assert list(em.runs.values_list("pk", flat=True)) == [third.pk, second.pk, first.pk]
    assert {run.status for run in (first, second, third)} == {"good"}
    assert second.kind == "full"
    assert gaps() == []


def test_a_gap_is_explained_but_never_edited(time: Time, em: EnterpriseManager, world: World) -> None:
    run = sync(em)
    gap = Gap.objects.create(
        enterprise_manager=em, from_at=START, cause="failed", opened_at=START, opened_run=run
    )
    note = GapNote.objects.create(gap=gap, author=make_user(), at=START, text="The account was locked.")

    for act in (gap.save, gap.delete, note.save, note.delete):
        with pytest.raises(NeverChanged):
            act()


@pytest.mark.parametrize("hours", [2, 23])
def test_the_daily_full_sync_keeps_its_time(time: Time, em: EnterpriseManager, hours: int) -> None:
    em.full_sync_at = clock_time(3)
    em.save()
    sync(em)  # at noon
    time.go((hours - 1) * HOUR)

    kind = sync(em).kind

    assert kind == ("full" if hours == 23 else "incremental")


def test_full_syncs_are_spread_over_the_night(add_em: Callable[..., EnterpriseManager], server) -> None:
    moments = {add_em(server, f"em-{n}").full_sync_before(START).time() for n in range(10)}

    assert len(moments) == 10
    assert all(moment.hour < 6 for moment in moments)


@pytest.mark.parametrize(
    "spared",
    [
        {"created_at": datetime(1985, 1, 1, tzinfo=UTC)},
        {"created_at": START - 200 * DAY, "state": "Working"},
    ],
    ids=["of a clock that was wrong", "never ended"],
)
def test_an_old_row_that_em_spares_hides_no_gap(
    time: Time, em: EnterpriseManager, world: World, spared: dict[str, Any]
) -> None:
    world.add_session(vm_name="spared", **spared)
    ordinary = world.add_session(created_at=START - 20 * DAY)
    sync(em)
    last = ran_at()

    time.go(60 * DAY)
    world.remove_session(ordinary.uid)
    world.add_session(vm_name="new", created_at=time.now - 2 * DAY)
    sync(em)

    [(from_at, _, _)] = gaps()
    assert from_at == last
    assert verdict(START + DAY, START + 2 * DAY)[0] == Verdict.INCOMPLETE


def test_an_em_that_collects_nothing_for_long_is_told_of_each_day_once(time: Time, add_em) -> None:
    clock = ManualClock(START)
    world = World.empty(now=clock, epoch=START, collect_interval=900)
    with StandInServer(world, accounts=[Account("mirror", "mirror", PORTAL_ADMINISTRATOR)]) as server:
        em = add_em(server)
        sync(em)
        world.fail_collection(world.backup_servers()[0].uid)
        for _ in range(4):
            clock.set(time.go(5 * DAY))
            sync(em, full=True)

    found = sorted(gaps())
    assert found
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(found))


def test_an_empty_list_of_servers_whose_rows_were_just_shown_removes_none(
    time: Time, em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    for one in world.backup_servers():
        world.add_session(backup_server_uid=one.uid, created_at=START - HOUR)
    sync(em)
    time.go(HOUR)
    empty = b'<BackupServers xmlns="http://www.veeam.com/ent/v1.0"/>'
    server.faults.body(empty, path="/api/backupServers", count=None)

    run = sync(em)

    assert run.status == "good"
    assert not BackupServerSource.objects.exclude(removed_at=None).exists()
    assert gaps() == []


@pytest.mark.parametrize(
    "path",
    [
        "type=VmRestorePoint",
        "/api/restoreSessions",
        "/systemSessions",
        "vms_overview",
        "type=Job",
        "/backupServers",
    ],
)
def test_a_side_question_that_is_never_answered_fails_no_sync(
    time: Time, em: EnterpriseManager, world: World, server: StandInServer, path: str
) -> None:
    world.add_session(created_at=START - HOUR)
    server.faults.reset(path=path, count=None)

    assert sync(em, full=True).status == "good"
