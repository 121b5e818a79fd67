"""What EM's database can lose: everything since a backup of it, or all that is older than some day."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import Caller, rows
from tests.emulator.conftest import EPOCH

NINE = datetime(2031, 5, 6, 9, tzinfo=UTC)


@pytest.fixture
def morning() -> ManualClock:
    return ManualClock(NINE)


def seen(world: World) -> dict[str, tuple[str | None, str | None]]:
    return {row.uid: (row.state, row.result) for row in world.visible_sessions()}


def test_a_restored_backup_shows_what_was_held_then_until_the_next_collection(morning: ManualClock) -> None:
    world = World(sessions=200, servers=2, epoch=EPOCH, now=morning, live_interval=120)
    then = world.visible_sessions()
    morning.advance(2 * 3600 + 60)
    later = seen(world)

    world.restore_backup(NINE)
    put_back = world.visible_sessions()
    morning.advance(14 * 60)

    assert put_back == then
    assert len(later) > len(then)
    assert set(later) <= set(seen(world))


def test_later_states_go_back_and_come_again_with_the_next_collection(morning: ManualClock) -> None:
    world = World.empty(now=morning)
    kept = world.add_session(state="Working")
    removed = world.add_session()
    morning.advance(3600)
    world.change_session(kept.uid, state="Stopped", result="Success")
    world.remove_session(removed.uid)
    added = world.add_session()
    morning.advance(3600)

    world.restore_backup(NINE + timedelta(minutes=5))

    assert seen(world) == {kept.uid: ("Working", "None"), removed.uid: ("Stopped", "Success")}
    assert world.find_session(added.guid) is None
    world.collect()
    assert seen(world) == {kept.uid: ("Stopped", "Success"), added.uid: ("Stopped", "Success")}


def test_a_world_that_knows_everything_stays_put_back_until_it_is_collected(morning: ManualClock) -> None:
    world = World.empty(now=morning, servers=2)
    east, west = world.backup_servers()
    morning.advance(60)
    rows_ = [world.add_session(backup_server_uid=server.uid) for server in (east, west)]

    world.restore_backup(NINE)
    morning.advance(86_400)
    nothing = seen(world)
    world.collect(west.uid)

    assert nothing == {}
    assert set(seen(world)) == {rows_[1].uid}


def test_a_second_older_backup_wins_over_the_first(morning: ManualClock) -> None:
    world = World.empty(now=morning)
    morning.advance(60)
    first = world.add_session()
    morning.advance(60)
    world.add_session()

    world.restore_backup(NINE + timedelta(seconds=90))
    after_one = set(seen(world))
    world.restore_backup(NINE)
    after_two = set(seen(world))
    world.restore_backup(NINE + timedelta(seconds=90))

    assert (after_one, after_two) == ({first.uid}, set())
    assert seen(world) == {}


def test_the_collections_since_the_backup_are_forgotten(morning: ManualClock) -> None:
    world = World.empty(now=morning, collect_interval=900)
    morning.advance(3600)

    world.restore_backup(NINE + timedelta(minutes=20))
    now_us = world.known_until()
    ticks = world.collection.ticks(0, _us(morning()), limit=5)

    assert set(now_us.values()) == {_us(NINE + timedelta(minutes=15))}
    assert ticks[:2] == [_us(NINE + timedelta(minutes=15)), _us(NINE)]


def test_a_failed_collection_brings_nothing_back(morning: ManualClock) -> None:
    world = World.empty(now=morning, collect_interval=900)
    server = world.backup_servers()[0]
    morning.advance(60)
    row = world.add_session()
    morning.advance(3600)
    world.restore_backup(NINE)
    world.fail_collection(server.uid)
    morning.advance(3600)

    lost = seen(world)
    world.heal_collection(server.uid)
    morning.advance(900)

    assert lost == {}
    assert set(seen(world)) == {row.uid}


def test_lost_history_does_not_come_back(morning: ManualClock) -> None:
    world = World.empty(now=morning)
    old = world.add_session(created_at=NINE - timedelta(days=10))
    new = world.add_session(created_at=NINE - timedelta(days=5))

    world.lose_history(NINE - timedelta(days=7))
    world.collect()
    morning.advance(3600)
    world.lose_history(NINE - timedelta(days=20))

    assert set(seen(world)) == {new.uid}
    assert world.find_session(old.guid) is None
    world.change_session(old.uid, state="Stopped")
    assert set(seen(world)) == {new.uid}


def test_lost_history_takes_drawn_rows_too(morning: ManualClock) -> None:
    world = World(sessions=300, servers=2, epoch=EPOCH, now=morning)
    before = EPOCH - timedelta(days=14)

    world.lose_history(before)

    left = world.visible_sessions()
    assert left
    assert min(row.created_at for row in left) >= before


def test_a_renamed_vm_bears_its_new_name_on_later_restore_points_only(morning: ManualClock) -> None:
    world = World(sessions=0, servers=1, vms=5, epoch=EPOCH, now=morning, collect_interval=0)
    point = next(one for one in world.restore_points() if one.hierarchy_ref and one.vm_display_name)
    assert point.hierarchy_ref is not None
    world.rename_vm(point.hierarchy_ref, "renamed-vm")
    morning.advance(3 * 86_400)

    points = [one for one in world.restore_points() if one.hierarchy_ref == point.hierarchy_ref]

    early = {one.vm_display_name for one in points if one.created_at < NINE}
    late = {one.vm_display_name for one in points if one.created_at >= NINE}
    assert (early, late) == ({point.vm_display_name}, {"renamed-vm"})
    assert all(one.name.startswith("renamed-vm@") for one in points if one.created_at >= NINE)


@pytest.mark.parametrize("path", ["query?type=RestoreSession&format=Entities", "restoreSessions"])
def test_the_first_rows_of_an_answer_may_come_twice(
    world: World, server: StandInServer, caller: Callable[..., Caller], path: str
) -> None:
    for _ in range(4):
        world.add_session()
    em = caller(server)
    name = "Ref" if path == "restoreSessions" else "RestoreSession"
    server.faults.repeat_rows(2, path="/api/")

    twice = [row.get("UID") for row in rows(em.call(path), name)]
    once = [row.get("UID") for row in rows(em.call(path), name)]

    assert twice == once[:2] + once


def test_an_answer_without_rows_repeats_none(server: StandInServer, em: Caller) -> None:
    server.faults.repeat_rows(path="/api/")

    assert rows(em.query()) == []


def _us(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
