from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.emulator.clock import ManualClock, utc_now
from restorereports.emulator.history import Fate, History
from restorereports.emulator.selection import Shuffled
from restorereports.emulator.stamps import to_us
from restorereports.emulator.world import World
from tests.emulator.conftest import EPOCH


def at(hour: int, minute: int = 0, *, day: int = 6) -> ManualClock:
    return ManualClock(datetime(2031, 5, day, hour, minute, tzinfo=UTC))


def drawn(clock: ManualClock, **options: object) -> World:
    return World(**{"sessions": 300, "servers": 3, "epoch": EPOCH, "now": clock, **options})  # type: ignore[arg-type]


def test_the_same_seed_and_epoch_show_the_same_rows_after_a_restart() -> None:
    before = drawn(at(12), live_interval=300).visible_sessions()

    after = drawn(at(12), live_interval=300).visible_sessions()

    assert before == after
    assert len(before) > 300


def test_a_world_reached_step_by_step_is_the_same_as_one_started_late() -> None:
    clock = at(1)
    patient = drawn(clock, live_interval=240)
    for _ in range(22):
        patient.visible_sessions()
        clock.advance(1800)

    fresh = drawn(at(12), live_interval=240)

    assert patient.visible_sessions() == fresh.visible_sessions()


def test_another_seed_is_another_history() -> None:
    one, other = drawn(at(12)), drawn(at(12), seed=2)

    shared = {row.uid for row in one.visible_sessions()} & {row.uid for row in other.visible_sessions()}

    assert not shared


def test_the_history_grows_with_the_clock_and_running_rows_finish() -> None:
    clock = at(9)
    world = drawn(clock, live_interval=120, collect_interval=0)
    before = {row.uid: row for row in world.visible_sessions()}
    running = [row for row in before.values() if row.state == "Working" and row.created_at >= EPOCH]

    clock.advance(6 * 3600)

    after = {row.uid: row for row in world.visible_sessions()}
    assert len(after) - len(before) == pytest.approx(180, abs=2)
    assert running
    finished = [after[row.uid] for row in running if after[row.uid].state == "Stopped"]
    assert len(finished) > len(running) // 2
    assert all(row.result != "None" or row.ended_at is not None for row in finished)


def test_rows_come_in_order_of_creation() -> None:
    rows = drawn(at(12), live_interval=60, collect_interval=0).visible_sessions()

    assert [row.created_at for row in rows] == sorted(row.created_at for row in rows)


def test_office_hours_are_busier_than_nights_and_one_week_is_bad() -> None:
    rows = drawn(at(0, 1), sessions=2500).visible_sessions()

    hours = Counter(row.created_at.hour for row in rows)
    weeks = Counter((EPOCH - row.created_at).days // 7 for row in rows if row.result == "Failed")
    assert hours[9] > 5 * hours[2]
    assert weeks.most_common(1)[0][1] > 3 * weeks.most_common(2)[1][1]


def test_a_world_without_a_clock_uses_the_real_one() -> None:
    world = World(sessions=30, servers=1)

    assert world.epoch == utc_now().replace(hour=0, minute=0, second=0, microsecond=0)
    assert 25 <= len(world.visible_sessions()) <= 30


def test_a_row_of_the_history_is_found_by_its_guid() -> None:
    world = drawn(at(12), live_interval=600)

    found = [world.find_session(row.guid) for row in world.visible_sessions()]

    assert found == world.visible_sessions()


@pytest.mark.parametrize("guid", ["", "no-guid", "0" * 36, "00000000-0000-4000-8000-00000000zzzz"])
def test_a_foreign_guid_finds_nothing(guid: str) -> None:
    assert drawn(at(12)).find_session(guid) is None


def test_a_row_that_has_not_begun_or_is_purged_is_not_found() -> None:
    clock = at(12)
    world = drawn(clock, live_interval=600, collect_interval=0, retention_days=7)
    clock.advance(3600)
    later = world.visible_sessions()[-1]
    oldest = world.visible_sessions()[0]

    clock.advance(-3600)
    unborn = world.find_session(later.guid)
    clock.advance(30 * 86_400)
    purged = world.find_session(oldest.guid)

    assert unborn is None
    assert purged is None


def test_retention_purges_at_midnight() -> None:
    clock = at(23, 59)
    world = drawn(clock, collect_interval=0)
    before = world.visible_sessions()

    clock.advance(120)

    gone = {row.uid for row in before} - {row.uid for row in world.visible_sessions()}
    assert gone
    limit = datetime(2031, 5, 7, tzinfo=UTC) - timedelta(days=91)
    assert gone == {row.uid for row in before if row.created_at < limit}


def test_an_empty_world_has_a_server_and_nothing_else(world: World) -> None:
    assert [server.name for server in world.backup_servers()] == ["vbr-east.example.test"]
    assert world.visible_sessions() == []
    assert list(world.restore_points()) == []


def test_an_added_row_is_seen_with_sensible_defaults(world: World, clock: ManualClock) -> None:
    row = world.add_session(vm_name="erp-web13")

    assert world.visible_sessions() == [row]
    assert row.name == "FLR_[erp-web13]@2031-05-06 12:00:00"
    assert (row.state, row.result, row.progress) == ("Stopped", "Success", 100)
    assert row.created_at == clock()
    assert row.ended_text == "2031-05-06T12:05:00Z"
    assert row.backup_server_guid == world.backup_servers()[0].guid


def test_a_text_takes_its_datetime_along_and_the_other_way_round(world: World) -> None:
    row = world.add_session(created_text="2031-05-06T07:08:09.1234567Z", ended_text="0001-01-01T00:00:00")

    moved = world.change_session(row.uid, created_at=datetime(2031, 5, 6, 8, tzinfo=UTC), ended_at=None)
    again = world.change_session(row.guid, created_text="2031-05-06T09:00:00.5Z")

    assert row.created_at == datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    assert row.ended_at is None
    assert (moved.created_text, moved.ended_text) == ("2031-05-06T08:00:00Z", None)
    assert again.created_at == datetime(2031, 5, 6, 9, 0, 0, 500_000, tzinfo=UTC)


def test_a_running_row_has_no_end(world: World) -> None:
    row = world.add_session(state="Working")

    assert (row.result, row.ended_at, row.ended_text) == ("None", None, None)


def test_rows_are_changed_and_removed(world: World) -> None:
    row = world.add_session(state="Working")

    world.change_session(row.uid, state="Stopped", result="Warning", ended_at=row.created_at)
    changed = world.visible_sessions()
    world.remove_session(row.uid)

    assert [(found.state, found.result) for found in changed] == [("Stopped", "Warning")]
    assert world.visible_sessions() == []
    assert world.find_session(row.guid) is None
    with pytest.raises(KeyError):
        world.change_session(row.uid, state="Working")
    with pytest.raises(KeyError):
        world.remove_session("urn:veeam:RestoreSession:nothing")


def test_a_row_of_the_history_can_be_changed_and_removed() -> None:
    world = drawn(at(12), collect_interval=0)
    first, second = world.visible_sessions()[:2]

    world.change_session(first.uid, result="Failed", failure_message="By hand")
    world.remove_session(second.uid)

    rows = world.visible_sessions()
    assert len(rows) == 299
    assert rows[0].failure_message == "By hand"
    assert world.find_session(first.guid) == rows[0]
    assert world.find_session(second.guid) is None


def test_a_change_is_seen_at_the_next_collection_only() -> None:
    clock = at(12)
    world = drawn(clock, late_server=False)
    row = next(row for row in world.visible_sessions() if row.state == "Stopped")
    clock.advance(60)

    world.change_session(row.uid, result="Failed")
    added = world.add_session()
    before = world.find_session(row.guid)
    unseen = world.find_session(added.guid)
    clock.advance(900)

    assert before == row
    assert unseen is None
    assert world.find_session(row.guid).result == "Failed"  # type: ignore[union-attr]
    assert world.find_session(added.guid) == added


def test_a_running_row_stays_as_the_last_collection_saw_it() -> None:
    clock = at(12, 1)
    world = World.empty(now=clock, collect_interval=900, epoch=EPOCH)
    row = world.add_session(state="Working", progress=5)
    clock.advance(900)
    world.change_session(row.uid, state="Stopped", result="Success", ended_at=clock())

    between = world.visible_sessions()
    world.collect()
    after = world.visible_sessions()

    assert [(found.state, found.progress) for found in between] == [("Working", 5)]
    assert [found.state for found in after] == ["Stopped"]


def test_a_server_that_cannot_be_collected_keeps_its_old_rows() -> None:
    clock = at(12, 1)
    world = World.empty(now=clock, servers=2, collect_interval=900, epoch=EPOCH)
    east, west = world.backup_servers()
    world.fail_collection(east.uid)
    world.add_session(backup_server_uid=east.uid, vm_name="on-east")
    world.add_session(backup_server_uid=west.guid, vm_name="on-west")

    clock.advance(86_400)
    failing = [row.vm_name for row in world.visible_sessions()]
    stale = world.collected_at(east.uid)
    world.collect(east.uid)
    still = len(world.visible_sessions())
    world.heal_collection(east.uid)
    clock.advance(1800)
    healed = [row.vm_name for row in world.visible_sessions()]

    assert failing == ["on-west"]
    assert stale == datetime(2031, 5, 6, 12, 0, tzinfo=UTC)
    assert still == 1
    assert sorted(filter(None, healed)) == ["on-east", "on-west"]


def test_an_outage_may_end_by_itself() -> None:
    clock = at(12, 1)
    world = World.empty(now=clock, collect_interval=0)
    server = world.backup_servers()[0]
    world.fail_collection(server.uid, seconds=600)
    clock.advance(60)
    world.add_session()

    during = world.visible_sessions()
    clock.advance(600)

    assert during == []
    assert len(world.visible_sessions()) == 1


def test_the_last_of_three_servers_is_collected_late() -> None:
    world = drawn(at(12, 20))

    ages = [(world.now() - world.collected_at(server.uid)) for server in world.backup_servers()]

    assert ages[0] == ages[1] == timedelta(minutes=5)
    assert ages[2] == timedelta(minutes=20)
    assert drawn(at(13, 50)).collected_at(world.backup_servers()[2].uid) == at(12)()


def test_a_renamed_server_shows_its_new_name_at_once() -> None:
    world = drawn(at(12), collect_interval=0)
    server = world.backup_servers()[0]
    mine = world.add_session(backup_server_uid=server.uid)
    other = world.add_session(backup_server_uid=world.backup_servers()[1].uid)
    world.remove_session(other.uid)
    world.visible_sessions()

    world.rename_server(server.uid, "vbr-new.example.test")

    names = {
        row.backup_server_name for row in world.visible_sessions() if row.backup_server_uid == server.uid
    }
    assert names == {"vbr-new.example.test"}
    assert world.find_session(mine.guid).backup_server_name == "vbr-new.example.test"  # type: ignore[union-attr]


def test_a_removed_server_takes_its_rows_along() -> None:
    world = drawn(at(12), collect_interval=0)
    server = world.backup_servers()[0]
    mine = world.add_session(backup_server_uid=server.uid)
    drawn_row = next(row for row in world.visible_sessions() if row.backup_server_uid == server.uid)

    world.remove_server(server.guid)

    assert server.uid not in {row.backup_server_uid for row in world.visible_sessions()}
    assert server.uid not in {point.backup_server_uid for point in world.restore_points()}
    assert world.find_session(mine.guid) is None
    assert world.find_session(drawn_row.guid) is None
    with pytest.raises(KeyError):
        world.rename_server(server.uid, "again.example.test")


def test_without_servers_there_is_nothing() -> None:
    world = drawn(at(12))

    for server in world.backup_servers():
        world.remove_server(server.uid)

    assert world.visible_sessions() == []


def test_an_added_server_is_collected_right_away(world: World, clock: ManualClock) -> None:
    server = world.add_server("vbr-branch.example.test", version="12.0.0.1420")

    row = world.add_session(backup_server_uid=server.uid)

    assert server.version == "12.0.0.1420"
    assert world.collected_at(server.uid) == clock()
    assert row.backup_server_name == "vbr-branch.example.test"


def test_restore_points_are_nightly_and_follow_the_collection() -> None:
    clock = at(12)
    world = drawn(clock, collect_interval=0)
    before = list(world.restore_points())

    clock.advance(86_400)

    after = {point.uid for point in world.restore_points()}
    newest = max(point.created_at for point in before)
    assert len(before) > 10 * 40
    assert newest < clock() - timedelta(days=1)
    assert len(after - {point.uid for point in before}) > 40


def test_related_restore_points_are_those_of_the_vm() -> None:
    world = drawn(at(12), collect_interval=0)
    points = {point.uid: point for point in world.restore_points()}

    related = [
        (row, points[row.restore_point_uid])
        for row in world.visible_sessions()
        if row.restore_point_uid in points
    ]

    assert related
    assert all(point.name == row.restore_point_name for row, point in related)
    assert all(point.created_at < row.created_at for row, point in related)


def test_restore_points_can_be_added_and_removed(world: World) -> None:
    point = world.add_restore_point(vm_name="payroll-db2")

    seen = list(world.restore_points())
    names, count = world.vm_names(), world.protected_vms()
    world.remove_restore_point(point.uid)

    assert seen == [point]
    assert (names, count) == (["payroll-db2"], 1)
    assert list(world.restore_points()) == []


def test_a_snapshot_builds_only_the_rows_that_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    world = drawn(at(12), sessions=20_000)
    built: list[int] = []
    fate = History.fate

    def count(self: History, number: int) -> Fate:
        built.append(number)
        return fate(self, number)

    monkeypatch.setattr(History, "fate", count)

    rows = world.visible()
    begin = rows.first_from(to_us(EPOCH - timedelta(days=30)))
    page = rows[begin : begin + 50]

    assert len(rows) > 19_000
    assert page[0].created_at >= EPOCH - timedelta(days=30)
    assert len(built) == 50


def test_a_row_read_after_the_clock_is_turned_back_is_the_row_of_then() -> None:
    clock = at(12)
    world = drawn(clock, collect_interval=0, live_interval=300)
    running = next(
        row for row in world.visible_sessions() if row.state == "Working" and row.created_at > EPOCH
    )
    clock.advance(86_400)
    final = world.find_session(running.guid)

    clock.advance(-86_400)

    assert final is not None
    assert final.state != "Working"
    assert world.find_session(running.guid) == running


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100, 251])
def test_a_shuffled_sequence_has_every_number_once(count: int) -> None:
    found = list(Shuffled(range(count)))

    assert sorted(found) == list(range(count))


def test_a_clock_can_be_set(clock: ManualClock) -> None:
    clock.set(datetime(2031, 6, 1, 2, tzinfo=UTC))

    assert clock() == datetime(2031, 6, 1, 2, tzinfo=UTC)
