"""The history of a restore session: what is recorded, what is folded, what never goes back."""

import zlib
from datetime import timedelta

import pytest
from django.utils import timezone

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import (
    EnterpriseManager,
    Outcome,
    RestoreSession,
    RestoreSessionChange,
    RestoreSessionSource,
    SyncRun,
)
from restorereports.models.append_only import NeverChanged

DAY = timedelta(days=1)


def test_a_change_names_run_and_words_before_and_after(em: EnterpriseManager, world: World) -> None:
    record = world.add_session(vm_name="erp-web13", state="Working", progress=12)
    sync(em)
    ended_at = timezone.now().replace(microsecond=0)

    world.change_session(record.uid, state="Stopped", result="Failed", progress=80, ended_at=ended_at)
    run = sync(em)

    [change] = RestoreSessionChange.objects.all()
    assert (change.run, change.enterprise_manager) == (run, em)
    assert change.fields == {
        "state": ["Working", "Stopped"],
        "result": ["None", "Failed"],
        "progress": [12, 80],
        "ended_at": [None, ended_at.isoformat()],
    }
    assert change.kept == {}
    assert "<State>Working</State>" in change.payload


def test_ticks_of_the_progress_make_no_record(em: EnterpriseManager, world: World) -> None:
    record = world.add_session(state="Working", progress=1)
    sync(em)

    for progress in (20, 40, 60):
        world.change_session(record.uid, progress=progress)
        assert sync(em).changed == 1

    assert RestoreSessionChange.objects.count() == 0
    assert RestoreSession.objects.get().progress == 60


def test_the_progress_alone_is_no_change_at_the_first_sight_of_a_second_em_either(em, world, add_em) -> None:
    record = world.add_session(state="Working", progress=1)
    sync(em)
    world.change_session(record.uid, progress=2)

    with StandInServer(world) as second:
        sync(add_em(second, "em-south"))

    assert RestoreSessionChange.objects.count() == 0
    assert RestoreSession.objects.get().progress == 2


def test_what_a_finished_row_did_not_follow_is_recorded_as_kept(em: EnterpriseManager, world: World) -> None:
    record = world.add_session(result="Success", progress=100)
    sync(em)

    world.change_session(record.uid, state="Working", result="None", progress=3, ended_at=None)
    sync(em)

    [change] = RestoreSessionChange.objects.all()
    assert change.fields["state"] == ["Stopped", "Working"]
    assert change.kept["state"] == ["Stopped", "Working"]
    assert change.kept["result"] == ["Success", "None"]
    assert RestoreSession.objects.get().result == "Success"


def test_words_without_a_column_are_recorded_with_the_xml_before(em: EnterpriseManager, world: World) -> None:
    world.add_session()
    sync(em)
    source = RestoreSessionSource.objects.get()
    older = source.payload.replace("</RestoreSession>", "<Reason>test of March</Reason></RestoreSession>")
    source.payload_zlib, source.payload_digest = zlib.compress(older.encode()), b"older"
    source.save()

    sync(em)

    [change] = RestoreSessionChange.objects.all()
    assert (change.fields, change.kept) == ({}, {})
    assert "test of March" in change.payload


def test_another_name_of_em_in_its_addresses_is_no_change(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    world.add_session()
    sync(em)

    server.switches.href_host = "another-name.example.test:9398"
    run = sync(em)

    assert (run.changed, run.unchanged) == (0, 1)
    assert RestoreSessionChange.objects.count() == 0


def test_a_digest_made_by_an_older_rule_is_renewed_without_a_record(
    em: EnterpriseManager, world: World
) -> None:
    world.add_session()
    sync(em)
    RestoreSessionSource.objects.update(payload_digest=b"made by an older rule")

    first, second = sync(em), sync(em)

    assert (first.changed, second.changed) == (0, 0)
    assert RestoreSessionChange.objects.count() == 0
    assert bytes(RestoreSessionSource.objects.get().payload_digest) != b"made by an older rule"


def test_an_em_that_is_ahead_changes_the_row_and_is_named(
    em: EnterpriseManager, world: World, add_em
) -> None:
    record = world.add_session(state="Working", progress=5)
    sync(em)
    ahead = World.empty(servers=0)
    ahead.add_server("vbr", uid=record.backup_server_uid)
    ahead.add_session(
        uid=record.uid,
        backup_server_uid=record.backup_server_uid,
        created_at=record.created_at,
        vm_name=record.vm_name,
        name=record.name,
    )
    with StandInServer(ahead) as second:
        south = add_em(second, "em-south")
        sync(south)

    [change] = RestoreSessionChange.objects.all()
    assert change.enterprise_manager == south
    assert change.fields["state"] == ["Working", "Stopped"]
    assert change.payload == ""


def test_a_record_is_never_changed_and_never_deleted(em: EnterpriseManager, world: World) -> None:
    record = world.add_session(state="Working")
    sync(em)
    world.change_session(record.uid, state="Stopped", result="Success")
    sync(em)
    change = RestoreSessionChange.objects.get()

    for act in (
        change.save,
        change.delete,
        RestoreSessionChange.objects.all().delete,
        lambda: RestoreSessionChange.objects.update(fields={}),
    ):
        with pytest.raises(NeverChanged):
            act()


def test_a_full_run_marks_only_what_it_did_not_see(em: EnterpriseManager, world: World) -> None:
    kept = world.add_session(vm_name="kept", created_at=timezone.now() - 20 * DAY)
    gone = world.add_session(vm_name="gone", created_at=timezone.now() - 3 * DAY)
    sync(em)

    world.remove_session(gone.uid)
    run = sync(em, full=True)
    again = sync(em, full=True)

    assert (run.missing, again.missing) == (1, 0)
    sources = {source.uid: source for source in RestoreSessionSource.objects.all()}
    assert sources[kept.uid].missing_at is None
    assert sources[gone.uid].missing_run == run
    assert RestoreSession.objects.count() == 2


def test_one_that_left_em_before_it_was_finished_has_an_unknown_final_state(
    em: EnterpriseManager, world: World
) -> None:
    record = world.add_session(state="Working", created_at=timezone.now() - 3 * DAY)
    finished = world.add_session(vm_name="finished", created_at=timezone.now() - 3 * DAY)
    world.add_session(vm_name="here", created_at=timezone.now() - 30 * DAY)
    sync(em)

    world.remove_session(record.uid)
    world.remove_session(finished.uid)
    sync(em, full=True)

    assert RestoreSession.objects.get(uid=record.uid).outcome == Outcome.UNKNOWN
    assert RestoreSession.objects.get(uid=finished.uid).outcome == Outcome.SUCCESS


def test_one_that_comes_back_is_known_again_and_the_absence_stays_on_record(
    em: EnterpriseManager, world: World
) -> None:
    record = world.add_session(state="Working")
    world.add_session(vm_name="older", created_at=timezone.now() - 30 * DAY)
    sync(em)
    world.remove_session(record.uid)
    sync(em, full=True)
    missing_at = RestoreSessionSource.objects.get(uid=record.uid).missing_at
    assert missing_at is not None

    world.add_session(
        uid=record.uid, name=record.name, state="Working", progress=12, created_at=record.created_at
    )
    run = sync(em, full=True)

    row = RestoreSession.objects.get(uid=record.uid)
    assert (run.status, row.outcome) == ("good", Outcome.RUNNING)
    source = RestoreSessionSource.objects.get(uid=record.uid)
    assert (source.missing_at, source.missing_run) == (None, None)
    assert row.changes.get().fields["missing_at"] == [missing_at.isoformat(), None]


def test_what_one_em_forgot_and_another_shows_is_still_running(
    em: EnterpriseManager, world: World, add_em
) -> None:
    record = world.add_session(state="Working")
    other = World.empty(servers=0)
    other.add_server("vbr", uid=record.backup_server_uid)
    other.add_session(
        uid=record.uid,
        backup_server_uid=record.backup_server_uid,
        state="Working",
        created_at=record.created_at,
    )
    sync(em)
    with StandInServer(other) as second:
        sync(add_em(second, "em-south"))
    world.remove_session(record.uid)

    sync(em, full=True)

    assert RestoreSession.objects.get().outcome == Outcome.RUNNING


def test_rows_that_shift_between_two_pages_are_asked_for_before_they_count_as_gone(
    em: EnterpriseManager, world: World, server: StandInServer, monkeypatch
) -> None:
    monkeypatch.setattr("restorereports.mirror.sync.PAGE_SIZE", 10)
    records = [
        world.add_session(vm_name=f"vm-{n}", created_at=timezone.now() - DAY + timedelta(minutes=n))
        for n in range(40)
    ]
    sync(em)
    server.faults.call(
        lambda: [world.remove_session(record.uid) for record in records[:5]], path="format=entities", nth=3
    )

    run = sync(em, full=True)

    shown = {record.uid for record in world.visible_sessions()}
    present = set(RestoreSessionSource.objects.filter(missing_at=None).values_list("uid", flat=True))
    assert run.status == SyncRun.Status.GOOD
    assert shown <= present
