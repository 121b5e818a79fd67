"""One sync: what is written, what is not, and how failures end."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from restorereports.emulator.accounts import Account
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror import receive, unfinished
from restorereports.mirror.lock import AlreadyRunning, Paused, claim
from restorereports.mirror.sync import sync
from restorereports.models import (
    BackupServer,
    EnterpriseManager,
    Inventory,
    Outcome,
    Reconciliation,
    RestoreSession,
    RestoreSessionSource,
    SyncRun,
    VirtualMachine,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def counts(run: SyncRun) -> tuple[int, int, int, int]:
    return run.seen, run.new, run.changed, run.unchanged


def written_tables(queries: CaptureQueriesContext) -> set[str]:
    return {
        query["sql"].split('"')[1]
        for query in queries
        if query["sql"].lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE"))
    }


def test_first_sync_reads_everything_and_says_so(em: EnterpriseManager, world: World) -> None:
    old = world.add_session(created_at=timezone.now() - 80 * DAY, vm_name="archive-01")
    world.add_session(vm_name="payroll-db2", result="Warning", restore_point_name="payroll-db2@…")

    run = sync(em)

    assert (run.status, run.kind, counts(run)) == ("good", "full", (2, 2, 0, 0))
    assert (run.account, run.role, run.api_versions) == ("EMHOST\\mirror", "Portal User", "v1_5, v1_6, v1_7")
    em.refresh_from_db()
    assert em.oldest_received_at == old.created_at
    session = RestoreSession.objects.get(vm_name="payroll-db2")
    assert session.outcome == Outcome.WARNING
    assert session.virtual_machine.name == "payroll-db2"
    assert session.duration_ms == 300_000
    assert session.sources.get().payload.startswith("<RestoreSession")


def test_second_sync_of_the_same_data_writes_no_row_but_the_run(em: EnterpriseManager, world: World) -> None:
    for n in range(40):
        world.add_session(vm_name=f"vm-{n}", created_at=timezone.now() - n * DAY)
    world.add_session(vm_name="slow", state="Working", created_at=timezone.now() - 9 * DAY)
    sync(em)
    em = EnterpriseManager.objects.get()

    with CaptureQueriesContext(connection) as queries:
        incremental = sync(em)
        full = sync(em, full=True)

    assert written_tables(queries) == {row._meta.db_table for row in (SyncRun, Reconciliation, Inventory)}
    assert counts(full) == (41, 0, 0, 41)
    assert incremental.seen == 4  # of two days, and the unfinished one by id
    assert incremental.asked_by_id == 1


def test_changed_and_new_ones_are_told_apart(em: EnterpriseManager, world: World) -> None:
    running = world.add_session(vm_name="erp-web13", state="Working", progress=12)
    world.add_session(vm_name="file-srv19")
    sync(em)
    assert RestoreSession.objects.get(vm_name="erp-web13").ended_at is None

    world.change_session(running.uid, state="Stopped", result="Failed", progress=80, ended_at=timezone.now())
    world.add_session(vm_name="wiki[old]")
    run = sync(em)

    assert counts(run) == (3, 1, 1, 1)
    changed = RestoreSession.objects.get(vm_name="erp-web13")
    assert (changed.state, changed.outcome, changed.progress) == ("Stopped", "Failed", 80)
    assert changed.changed_at is not None
    assert changed.sources.get().changed_run == run


def test_a_finished_restore_session_never_goes_back(em: EnterpriseManager, world: World) -> None:
    record = world.add_session(vm_name="payroll-db2", result="Success")
    sync(em)
    ended_at = RestoreSession.objects.get().ended_at

    world.change_session(record.uid, state="Working", result="None", progress=3, ended_at=None)
    sync(em)

    session = RestoreSession.objects.get()
    assert (session.state, session.result, session.ended_at) == ("Stopped", "Success", ended_at)
    assert "Working" in session.sources.get().payload

    world.change_session(record.uid, state="Stopped", result="None", progress=3, ended_at=None)
    sync(em)

    session = RestoreSession.objects.get()
    assert (session.result, session.outcome, session.ended_at) == ("Success", "Success", ended_at)


def test_a_result_may_still_come_after_the_end(em: EnterpriseManager, world: World) -> None:
    record = world.add_session(
        result="None", created_at=timezone.now() - 5 * DAY, ended_at=timezone.now() - HOUR
    )
    for n in range(3):
        world.add_session(vm_name=f"recent-{n}")
    sync(em)
    assert RestoreSession.objects.get(uid=record.uid).outcome == Outcome.NO_RESULT

    world.change_session(record.uid, result="Success")
    run = sync(em)

    assert run.asked_by_id == 1
    assert RestoreSession.objects.get(uid=record.uid).outcome == Outcome.SUCCESS


def test_a_row_that_leaves_em_stays(em: EnterpriseManager, world: World) -> None:
    gone = world.add_session(vm_name="gone", state="Working", created_at=timezone.now() - 10 * DAY)
    world.add_session(vm_name="here")
    sync(em)

    world.remove_session(gone.uid)
    run = sync(em)
    again = sync(em)

    assert (run.status, run.asked_by_id, again.asked_by_id) == ("good", 1, 0)
    assert RestoreSession.objects.count() == 2
    assert RestoreSessionSource.objects.get(uid=gone.uid).missing_at is not None


def test_a_row_that_comes_back_is_no_longer_missing(em: EnterpriseManager, world: World) -> None:
    record = world.add_session(state="Working", created_at=timezone.now() - 10 * DAY)
    world.add_session()
    sync(em)
    RestoreSessionSource.objects.filter(uid=record.uid).update(missing_at=timezone.now())

    run = sync(em, full=True)

    assert run.changed == 1
    assert RestoreSessionSource.objects.get(uid=record.uid).missing_at is None


def test_unfinished_ones_are_asked_in_turn_and_not_too_many(em, world, server, monkeypatch) -> None:
    monkeypatch.setattr(unfinished, "ASK_BY_ID_LIMIT", 2)
    long_ago = timezone.now() - 10 * DAY
    for n in range(5):
        world.add_session(vm_name=f"stuck-{n}", state="Working", created_at=long_ago + n * HOUR)
    world.add_session(vm_name="recent")
    sync(em)
    asked: list[list[str]] = []

    for _ in range(3):
        server.forget_requests()
        sync(em)
        asked.append([request.path for request in server.requests if "/restoreSessions/" in request.path])

    assert [len(paths) for paths in asked] == [2, 2, 2]
    assert len({path for paths in asked for path in paths}) == 5
    assert asked[2][1] == asked[0][0]


def test_no_request_per_finished_restore_session(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    for n in range(30):
        world.add_session(vm_name=f"vm-{n}", created_at=timezone.now() - n * DAY)

    sync(em)
    server.forget_requests()
    sync(em)

    paths = [request.path for request in server.requests]
    assert not [path for path in paths if "/restoreSessions/" in path]
    assert len(paths) <= 6


def test_overlap_catches_what_a_late_collector_brings(em: EnterpriseManager, world: World) -> None:
    world.add_session(vm_name="first", created_at=timezone.now() - 6 * DAY)
    sync(em)

    world.add_session(vm_name="late", created_at=timezone.now() - 7 * DAY)
    run = sync(em)

    assert run.new == 1  # nothing newer had come, so the window did not move past it


def test_a_clock_that_runs_ahead_moves_no_window_into_the_future(em: EnterpriseManager, world: World) -> None:
    world.add_session(vm_name="ahead", created_at=timezone.now() + 300 * DAY)
    sync(em)

    world.add_session(vm_name="normal", created_at=timezone.now() - HOUR)
    run = sync(em)

    assert run.new == 1


def test_refused_logon_is_tried_once_and_pauses(em: EnterpriseManager, server: StandInServer) -> None:
    server.accounts[:] = [Account("mirror", "another password", "Portal User")]

    run = sync(em)

    em.refresh_from_db()
    assert (run.status, run.error_kind, em.paused_because) == ("failed", "logon_refused", "logon_refused")
    assert sum(request.method == "POST" for request in server.requests) == 1
    em.set_password("another password", at=timezone.now())
    assert em.paused_at is None


def test_changed_certificate_stops_before_anything_is_sent(
    em: EnterpriseManager, server: StandInServer
) -> None:
    offered = server.swap_certificate()

    run = sync(em)

    em.refresh_from_db()
    assert (run.error_kind, em.paused_because) == ("certificate_changed", "certificate_changed")
    assert em.offered_pem.strip() == offered.certificate_pem.strip()
    assert server.requests == []
    em.trust_certificate(offered.certificate_pem, offered.fingerprint_sha256, at=timezone.now())
    em.save()
    assert sync(em).status == "good"


def test_every_failure_closes_the_run_with_a_sentence(em: EnterpriseManager, server: StandInServer) -> None:
    server.stop()

    run = sync(em)

    assert (run.status, run.error_kind) == ("failed", "unreachable_connect")
    assert run.error.endswith("firewalls.")
    assert run.ended_at is not None


def test_an_unreadable_password_is_said_so(em: EnterpriseManager) -> None:
    EnterpriseManager.objects.update(password_token="unreadable")

    run = sync(em)

    assert (run.status, run.error_kind) == ("failed", "credential")


def test_a_fault_of_our_own_closes_the_run_too(em: EnterpriseManager, world: World, monkeypatch) -> None:
    world.add_session()
    monkeypatch.setattr(receive, "store", lambda *_a, **_k: 1 / 0)

    run = sync(em)

    assert (run.status, run.error_kind, run.error_detail) == ("failed", "internal", "ZeroDivisionError")
    assert RestoreSession.objects.count() == 0


def test_stopping_logs_off_and_the_next_sync_goes_on(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    for n in range(3):
        world.add_session(vm_name=f"vm-{n}")

    run = sync(em, should_stop=lambda: len(server.requests) > 3)

    assert run.status == "stopped"
    assert server.requests[-1].method == "DELETE"
    assert sync(em).status == "good"
    assert RestoreSession.objects.count() == 3


def test_one_sync_at_a_time(em: EnterpriseManager) -> None:
    claim(em, full=False, trigger="schedule", at=timezone.now())

    with pytest.raises(AlreadyRunning):
        sync(em)

    assert SyncRun.objects.count() == 1


def test_a_dead_run_is_closed_and_its_lock_free(em: EnterpriseManager, world: World) -> None:
    dead = claim(em, full=False, trigger="schedule", at=timezone.now() - timedelta(seconds=46))
    world.add_session()

    run = sync(em)

    dead.refresh_from_db()
    assert (dead.status, dead.error_kind) == ("died", "died")
    assert (run.status, run.new) == ("good", 1)


def test_a_run_closed_by_somebody_else_writes_nothing_more(em: EnterpriseManager, world: World) -> None:
    world.add_session()

    def close(run: SyncRun) -> None:
        SyncRun.objects.filter(pk=run.pk).update(status=SyncRun.Status.DIED)

    run = sync(em, on_progress=close)

    assert run.status == "died"
    assert EnterpriseManager.objects.get().oldest_received_at is None


def test_one_dead_em_stops_nobody_else(em: EnterpriseManager, world: World, add_em) -> None:
    world.add_session()
    with StandInServer(World.empty()) as other:
        dead = add_em(other, "em-dead")

    assert sync(dead).status == "failed"
    assert sync(em).status == "good"


def test_two_ems_over_one_backup_server_count_each_once(em: EnterpriseManager, world: World, add_em) -> None:
    record = world.add_session(vm_name="shared")
    sync(em)
    with StandInServer(world) as second:
        run = sync(add_em(second, "em-south"))

    assert counts(run) == (1, 1, 0, 0)
    session = RestoreSession.objects.get(uid=record.uid)
    assert [source.enterprise_manager.name for source in session.sources.order_by("pk")] == [
        "em-north",
        "em-south",
    ]
    assert BackupServer.objects.filter(restore_sessions__isnull=False).count() == 1


@pytest.mark.parametrize("role", ["Portal User", "VM Restore Operator"])
def test_servers_of_other_uids_are_one_when_they_show_the_same_sessions(em, world, add_em, role: str) -> None:
    record = world.add_session(vm_name="shared")
    sync(em)
    other_world = World.empty(servers=1)
    alias = other_world.add_server(
        "vbr-alias", uid="urn:veeam:BackupServer:aaaaaaaa-0000-4000-8000-000000000001"
    )
    other_world.add_session(
        uid=record.uid, vm_name="shared", backup_server_uid=alias.uid, created_at=record.created_at
    )
    with StandInServer(other_world) as second:
        second.accounts[:] = [Account("mirror", "mirror", role)]
        run = sync(add_em(second, "em-south"))

    assert run.status == "good"
    assert RestoreSession.objects.count() == 1
    assert RestoreSession.objects.get().sources.count() == 2


def test_two_labels_of_one_server_do_not_take_turns(em, world, add_em) -> None:
    record = world.add_session()
    other_world = World.empty(servers=0)
    other_world.add_server("another label", uid=record.backup_server_uid)
    other_world.add_session(
        uid=record.uid, backup_server_uid=record.backup_server_uid, created_at=record.created_at
    )
    with StandInServer(other_world) as second:
        south = add_em(second, "em-south")
        sync(em)
        sync(south)

        with CaptureQueriesContext(connection) as queries:
            sync(em)
            sync(south)

    assert written_tables(queries) == {SyncRun._meta.db_table}


def test_once_a_day_everything_is_read_again(em: EnterpriseManager, world: World) -> None:
    world.add_session(vm_name="busy server")
    sync(em)
    world.add_session(vm_name="late server", created_at=timezone.now() - 4 * DAY)
    assert sync(em).kind == "incremental"
    SyncRun.objects.filter(kind="full").update(started_at=timezone.now() - timedelta(hours=25))

    run = sync(em)

    assert (run.kind, run.new) == ("full", 1)


def test_a_finished_one_loses_nothing_to_an_em_that_is_behind(em, world, add_em) -> None:
    record = world.add_session(
        result="Failed",
        failure_message="disk full",
        restore_point_name="p@1",
        restore_point_uid="urn:veeam:VmRestorePoint:c3a9f6b2-4e5d-47a8-b0c1-2f8d7e6a5b03",
    )
    sync(em)
    behind = World.empty(servers=0)
    behind.add_server("vbr", uid=record.backup_server_uid)
    same = {"uid": record.uid, "backup_server_uid": record.backup_server_uid, "created_at": record.created_at}
    behind.add_session(**same, state="Working", vm_name=None)
    with StandInServer(behind) as second:
        south = add_em(second, "em-south")
        sync(south)
        behind.change_session(record.uid, state="Stopped", result="Failed", ended_at=None)
        sync(south)

    session = RestoreSession.objects.get()
    assert (session.state, session.failure_message, session.vm_name) == (
        "Stopped",
        "disk full",
        record.vm_name,
    )
    assert (session.restore_point_name, session.ended_at) == ("p@1", record.ended_at)
    assert session.virtual_machine is not None


def test_one_id_that_em_cannot_tell_keeps_no_other_from_being_asked(em, world, server) -> None:
    long_ago = timezone.now() - 10 * DAY
    records = [
        world.add_session(vm_name=f"stuck-{n}", state="Working", created_at=long_ago) for n in range(3)
    ]
    world.add_session()
    sync(em)
    for record in records[1:]:
        world.change_session(record.uid, state="Stopped", result="Success", ended_at=timezone.now())
    server.faults.answer(503, path=f"/restoreSessions/{records[0].guid}", count=None)

    run = sync(em)

    assert (run.status, run.asked_by_id, run.unanswered) == ("good", 3, 1)
    assert RestoreSession.objects.filter(state="Stopped").count() == 3


@pytest.mark.django_db(transaction=True)
def test_new_credentials_are_not_paused_by_the_old_ones(em, server) -> None:
    server.accounts[:] = [Account("mirror", "new", "Portal User")]

    def change_password() -> None:
        changed = EnterpriseManager.objects.get()
        changed.set_password("new", at=timezone.now())
        changed.save()
        connection.close()

    server.faults.call(change_password, path="/sessionMngr")

    assert sync(em).error_kind == "logon_refused"
    assert EnterpriseManager.objects.get().paused_at is None
    assert sync(em).status == "good"


def test_a_paused_em_is_not_spoken_to(em, server) -> None:
    EnterpriseManager.objects.update(paused_at=timezone.now(), paused_because="logon_refused")

    with pytest.raises(Paused, match="Log-on refused"):
        sync(em)

    assert server.requests == []


def test_a_renamed_backup_server_keeps_its_rows(em: EnterpriseManager, world: World) -> None:
    record = world.add_session()
    sync(em)

    world.rename_server(record.backup_server_uid, "vbr-renamed.example.test")
    sync(em)

    assert RestoreSession.objects.get().backup_server.name == "vbr-renamed.example.test"


def test_names_come_from_links_where_servers_may_not_be_listed(
    em: EnterpriseManager, world: World, server: StandInServer
) -> None:
    server.accounts[:] = [Account("mirror", "mirror", "File Restore Operator")]
    record = world.add_session()
    sync(em)

    world.rename_server(record.backup_server_uid, "vbr-renamed.example.test")
    run = sync(em)

    assert run.status == "good"
    assert RestoreSession.objects.get().backup_server.name == "vbr-renamed.example.test"


def test_a_role_that_may_not_query_is_told_what_to_change(
    em: EnterpriseManager, server: StandInServer
) -> None:
    server.accounts[:] = [Account("mirror", "mirror", "SQL Restore Operator")]

    run = sync(em)

    assert (run.status, run.error_kind) == ("failed", "forbidden")
    assert "Portal User" in run.error


def test_same_vm_name_on_two_servers_is_two_vms(em: EnterpriseManager, world: World) -> None:
    one, two = world.backup_servers()
    world.add_session(vm_name="web01", backup_server_uid=one.uid)
    world.add_session(vm_name="web01", backup_server_uid=two.uid)

    sync(em)

    assert VirtualMachine.objects.filter(name="web01").count() == 2


def test_odd_values_survive(em: EnterpriseManager, world: World) -> None:
    world.add_session(vm_name=None, state="Idle", job_type="StartFailover", result="Exploded", progress=None)
    world.add_session(vm_name="ü" * 1000, job_type="x" * 400, result="Odd")
    world.add_session(vm_name="back", ended_text="2001-01-01T00:00:00Z", progress=10**12)
    world.add_session(vm_name="never", ended_text="0001-01-01T00:00:00")

    run = sync(em)

    assert counts(run) == (4, 4, 0, 0)
    idle = RestoreSession.objects.get(state="Idle")
    assert (idle.outcome, idle.vm_name, idle.virtual_machine, idle.progress) == ("Running", "", None, None)
    long = RestoreSession.objects.get(outcome="Other")
    assert (len(long.vm_name), len(long.job_type), long.result) == (1000, 255, "Odd")
    assert "x" * 400 in long.sources.get().payload
    assert RestoreSession.objects.get(vm_name="back").duration_ms < 0
    assert RestoreSession.objects.get(vm_name="never").duration_ms is None
