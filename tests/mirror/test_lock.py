"""The lock of a sync: heartbeat, death, takeover; two workers at once."""

import threading
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror import lock
from restorereports.mirror.due import due_enterprise_managers, is_due
from restorereports.mirror.lock import AlreadyRunning, Heartbeat, bury_dead, claim
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, RestoreSession, SyncRun

NOW = timezone.now()
MINUTE = timedelta(minutes=1)


@pytest.fixture
def idle(db) -> EnterpriseManager:
    return EnterpriseManager.objects.create(
        name="em", url="https://127.0.0.1:9", username="mirror", password_token="x"
    )


def wait_until(true, seconds: float = 5) -> None:
    ended = threading.Event()
    for _ in range(int(seconds / 0.02)):
        if true():
            return
        ended.wait(0.02)
    raise AssertionError("it did not happen in time")


@pytest.mark.django_db(transaction=True)
def test_the_heart_beats_while_the_run_waits(idle, monkeypatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    run = claim(idle, full=False, trigger="schedule", at=NOW - MINUTE)

    with Heartbeat(run):
        wait_until(lambda: SyncRun.objects.get(pk=run.pk).heartbeat_at > NOW)

    assert SyncRun.objects.silent(timezone.now()).count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_heart_notices_that_the_run_was_taken_over(idle, monkeypatch) -> None:
    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    run = claim(idle, full=False, trigger="schedule", at=NOW - MINUTE)
    bury_dead(at=timezone.now() + MINUTE)

    with Heartbeat(run) as heart:
        wait_until(lambda: heart.lost)


@pytest.mark.django_db(transaction=True)
def test_a_heart_that_cannot_write_goes_on_beating(idle, monkeypatch) -> None:
    from django.db import DatabaseError

    monkeypatch.setattr(lock, "HEARTBEAT_SECONDS", 0.02)
    run = claim(idle, full=False, trigger="schedule", at=NOW)
    tries: list[int] = []

    def refuse_once(_run: SyncRun) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise DatabaseError("locked")

    monkeypatch.setattr(lock, "still_ours", refuse_once)
    with Heartbeat(run) as heart:
        wait_until(lambda: len(tries) > 1)

    assert not heart.lost


def test_the_lock_of_a_killed_run_is_free_within_a_minute(idle) -> None:
    claim(idle, full=False, trigger="schedule", at=NOW)

    with pytest.raises(AlreadyRunning):
        claim(idle, full=False, trigger="schedule", at=NOW + timedelta(seconds=35))

    again = claim(idle, full=False, trigger="schedule", at=NOW + timedelta(seconds=45))

    assert [run.status for run in SyncRun.objects.all()] == ["running", "died"]
    assert again.status == "running"


def test_due_when_never_synced_when_asked_when_the_interval_is_over_when_the_last_run_died(idle) -> None:
    assert due_enterprise_managers(as_of=NOW) == [idle.pk]

    run = claim(idle, full=False, trigger="schedule", at=NOW)
    assert not is_due(idle.pk, as_of=NOW)

    SyncRun.objects.filter(pk=run.pk).update(status="failed")
    assert not is_due(idle.pk, as_of=NOW + 14 * MINUTE)
    assert is_due(idle.pk, as_of=NOW + 15 * MINUTE)

    EnterpriseManager.objects.update(sync_requested_at=NOW)
    assert is_due(idle.pk, as_of=NOW + MINUTE)
    idle.refresh_from_db()
    claim(idle, full=False, trigger="person", at=NOW + MINUTE)
    assert EnterpriseManager.objects.get().sync_requested_at is None

    assert is_due(idle.pk, as_of=NOW + 2 * MINUTE)  # that run is silent by now: closed as died
    assert SyncRun.objects.first().status == "died"


def test_a_paused_or_switched_off_em_is_not_due(idle) -> None:
    idle.paused_at, idle.paused_because = NOW, "logon_refused"
    idle.save()
    assert due_enterprise_managers(as_of=NOW) == []

    idle.resume()
    idle.is_active = False
    idle.save()
    assert due_enterprise_managers(as_of=NOW) == []


@pytest.mark.django_db(transaction=True)
def test_many_workers_at_once_are_one_sync() -> None:
    world = World.empty()
    for n in range(5):
        world.add_session(vm_name=f"vm-{n}")
    with StandInServer(world) as server:
        em = EnterpriseManager(
            name="em", url=server.url, username="mirror", pin_sha256=server.fingerprint_sha256
        )
        em.set_password("mirror", at=NOW)
        em.save()
        server.faults.slow(0.5, path="/api/query", count=1)
        together = threading.Barrier(4)
        ends: list[str] = []

        def work() -> None:
            together.wait()
            try:
                ends.append(sync(em).status)
            except AlreadyRunning:
                ends.append("busy")
            finally:
                connection.close()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(ends) == ["busy", "busy", "busy", "good"]
    assert RestoreSession.objects.count() == 5


@pytest.mark.django_db(transaction=True)
def test_two_ems_over_the_same_servers_at_once_add_each_row_once() -> None:
    world = World(sessions=600, servers=3, seed=5, collect_interval=0)
    with StandInServer(world) as one, StandInServer(world) as two:
        ems = []
        for name, server in (("em-north", one), ("em-south", two)):
            em = EnterpriseManager(
                name=name, url=server.url, username="mirror", pin_sha256=server.fingerprint_sha256
            )
            em.set_password("mirror", at=NOW)
            em.save()
            ems.append(em)
        together = threading.Barrier(2)
        ends: list[str] = []

        def work(em: EnterpriseManager) -> None:
            together.wait()
            try:
                ends.append(sync(em).status)
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=(em,)) for em in ems]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert ends == ["good", "good"], list(SyncRun.objects.values_list("error", "error_detail"))
    assert RestoreSession.objects.count() == len(world.visible_sessions())
    assert all(
        count == 2
        for count in RestoreSession.objects.annotate(n=Count("sources")).values_list("n", flat=True)
    )
