"""Time passes without syncs, clocks disagree, EM goes back to what it was."""

from __future__ import annotations

from datetime import timedelta

import pytest

from restorereports import tasks
from restorereports.emulator.accounts import Account
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import (
    EnterpriseManager,
    Gap,
    Pulse,
    Reconciliation,
    RestoreSession,
    RestoreSessionChange,
    RestoreSessionSource,
    SyncRun,
)
from tests.faults.conftest import DAY, HOUR, MINUTE, Shown, Time, make_em

QUARTER = 15 * MINUTE
SECOND = timedelta(seconds=1)


def read_at(run: SyncRun):
    """When it read, by the more careful of the two clocks: EM's has whole seconds only."""
    return run.started_at + min(run.clock_skew_seconds, 0) * SECOND


def test_em_that_is_down_longer_than_its_window_leaves_exactly_one_gap(db, time: Time, clock, told) -> None:
    """EM keeps 30 days and is away for 40: what began meanwhile and left is lost, nothing else, and it is said."""
    living = {"sessions": 200, "servers": 3, "vms": 8, "seed": 4, "now": clock, "collect_interval": 0}
    world = World(**living, live_interval=6 * 3600, retention_days=30)
    truth = World(**living, live_interval=6 * 3600, retention_days=9999)
    shown = Shown(world)
    server = StandInServer(world).start()
    em = make_em(server)
    for _ in range(3):  # so that rows are seen to leave at the old end
        last = sync(em, full=True)
        assert last.status == "good", last.error_detail
        shown.look()
        time.go(DAY)
    server.stop()

    failed = []
    for days in (10, 10, 8, 4, 4, 3):
        time.go(days * DAY)
        failed.append(sync(em))
        assert failed[-1].error_kind == "unreachable_connect"
    over = [run for run in failed if run.started_at - read_at(last) > 31 * DAY]
    [growing] = Gap.objects.all()
    assert (growing.from_at, growing.to_at, growing.cause) == (read_at(last), None, "failed")
    assert growing.opened_run in failed
    assert growing.opened_run.pk <= over[0].pk
    assert growing.detail == over[0].error
    page = told(em)
    assert "em-north: restore sessions are being lost." in page
    assert "EM forgets faster than it is read." in page
    assert "Syncs failed" in page

    with StandInServer(world, port=server.port, certificate=server.certificate):
        closing = sync(em)
    assert (closing.status, closing.kind) == ("good", "full"), closing.error_detail
    [gap] = Gap.objects.all()
    oldest = min(record.created_at for record in world.visible_sessions())
    assert (gap.pk, gap.closed_run) == (growing.pk, closing)
    assert gap.from_at == read_at(last)
    assert gap.to_at == oldest
    shown.assert_mirrored(em)
    mirrored = set(RestoreSession.objects.values_list("uid", flat=True))
    lost = [record for record in truth.visible_sessions() if record.uid not in mirrored]
    began = [r for r in lost if r.created_at >= shown_since(shown)]
    assert began, "EM forgot nothing: the test tests nothing"
    assert all(gap.from_at <= record.created_at < gap.to_at for record in began)
    page = told(em)
    assert "restore sessions are being lost" not in page
    assert "Syncs failed" in page
    assert closing.reconciliation.state == Reconciliation.State.EQUAL


def shown_since(shown: Shown):
    return min(record.created_at for record in shown.records.values())


@pytest.mark.parametrize("ahead", [3600, -3600])
@pytest.mark.parametrize("account", ["mirror", "admin"])
def test_an_em_whose_clock_is_an_hour_off_loses_nothing_and_is_told(
    db, time: Time, world: World, server: StandInServer, shown: Shown, told, ahead: int, account: str
) -> None:
    em = make_em(server, username=account)
    server.switches.clock_offset_seconds = ahead
    for minutes in (0, 1, 30, 59, 61, 120, 180, 241):  # on either side of where EM's list of 30 days ends
        for side in (-1, 1):
            world.add_session(created_at=time.now - 30 * DAY + side * minutes * MINUTE)

    first = sync(em)

    assert first.status == "good"
    assert abs(first.clock_skew_seconds - ahead) < 2
    assert (first.reconciliation.state, first.reconciliation.retried) == ("equal", False)
    shown.assert_mirrored(em)
    side = "ahead of ours" if ahead > 0 else "behind ours"
    assert f"EM’s clock is 3,600 s {side}" in told(em)

    for _ in range(4):
        time.go(QUARTER)
        world.add_session(created_at=time.now - MINUTE)
        world.add_session(created_at=time.now - 50 * MINUTE)
        assert sync(em).status == "good"
    shown.assert_mirrored(em)
    full = sync(em, full=True)
    assert (full.reconciliation.state, full.reconciliation.retried) == ("equal", False)
    shown.assert_mirrored(em)
    assert not Gap.objects.exists()


def test_an_em_put_back_to_an_old_backup_loses_no_row_here_and_is_told(
    db, time: Time, clock: ManualClock, told
) -> None:
    world = World(sessions=150, servers=2, vms=8, seed=9, now=clock, collect_interval=900, live_interval=1800)
    shown = Shown(world)
    with StandInServer(world) as server:
        server.accounts[:] = [Account("mirror", "mirror", "Portal Administrator")]
        em = make_em(server)
        assert sync(em).status == "good"
        backup = time.now
        shown.look()
        time.go(8 * HOUR)
        assert sync(em, full=True).reconciliation.state == "equal"
        shown.assert_mirrored(em)
        before = set(shown.now)

        time.go(MINUTE)
        world.restore_backup(backup)
        shown.look()
        vanished = before - shown.now
        assert len(vanished) > 5
        run = sync(em, full=True)

        assert run.status == "good"
        shown.assert_mirrored(em)  # they stay, each marked as gone from EM
        assert run.missing == len(vanished)
        found = run.reconciliation
        assert (found.state, found.retried, found.only_em_count) == ("different", True, 0)
        assert found.only_mirror_count == len(vanished)
        assert set(found.only_mirror) == vanished
        page = told(em)
        assert "em-north is not reconciled. EM’s own list and this mirror differ." in page
        assert "EM’s list lacks restore sessions that it showed before." in page
        assert sorted(vanished)[0] in page
        assert not Gap.objects.exists()

        time.go(QUARTER)  # EM collects, and has them again
        shown.look()
        assert vanished <= shown.now
        again = sync(em, full=True)

    shown.assert_mirrored(em)
    assert again.reconciliation.state == "equal"
    returned = RestoreSessionChange.objects.filter(run=again, fields__has_key="missing_at")
    assert set(returned.values_list("restore_session__uid", flat=True)) == vanished
    assert not RestoreSessionSource.objects.exclude(missing_at=None).exists()
    assert not Gap.objects.exists()
    assert "is not reconciled" not in told(em)


def test_a_beat_that_is_down_for_a_day_is_told_and_its_next_start_catches_up(
    em: EnterpriseManager, world: World, shown: Shown, time: Time, monkeypatch: pytest.MonkeyPatch, told
) -> None:
    def take_up(task, args=(), *_rest, **_options) -> None:
        task.run(*args)

    monkeypatch.setattr("celery.app.task.Task.apply_async", take_up)

    def beat() -> None:
        for worker in Pulse.Worker.values:
            tasks.pulse(worker)
        tasks.start_due_syncs()

    beat()
    shown.look()
    assert "Beat, the workers or the broker is down" not in told(em)
    silent_from = time.now
    time.go(25 * HOUR)
    for hours in range(24):
        world.add_session(created_at=time.now - hours * HOUR)
    assert SyncRun.objects.count() == 1
    page = told(em)
    assert f"work since {silent_from.day} Mar 2026 {silent_from:%H:%M:%S} UTC." in page
    assert "Beat, the workers or the broker is down: no sync, no report and no mail starts." in page
    assert "em-north has not been read for" in page

    beat()

    run = SyncRun.objects.first()
    assert (run.status, run.kind, run.new) == ("good", "full", 24)
    assert run.reconciliation.state == "equal"
    shown.assert_mirrored(em)
    assert not Gap.objects.exists()
    page = told(em)
    assert "Beat, the workers or the broker is down" not in page
    assert "has not been read" not in page
    beat()
    assert SyncRun.objects.count() == 2  # a day of wake-ups is one sync
