"""Several want to sync the same Enterprise Manager at the same moment."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.db.models import Count
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from restorereports import tasks
from restorereports.emulator.server import StandInServer
from restorereports.mirror.due import due_enterprise_managers
from restorereports.mirror.lock import AlreadyRunning
from restorereports.mirror.sync import sync
from restorereports.models import Gap, RestoreSession, SyncRun, User
from tests.factories import make_user
from tests.faults.conftest import SESSIONS, Shown, as_read, make_em


@pytest.mark.django_db(transaction=True)
def test_two_workers_and_a_person_at_once_are_one_run_at_a_time_and_no_row_twice(
    transactional_db: None, server: StandInServer, shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On whichever database the tests run: the real tasks, the real view, the real lock, in four threads."""
    em = make_em(server)
    person = make_user(User.Role.ADMINISTRATOR)
    woken: list[tuple[str, int]] = []

    def wake_up(task, args=(), *_rest, **_options) -> None:
        woken.append((task.name, *args))

    monkeypatch.setattr("celery.app.task.Task.apply_async", wake_up)
    server.faults.slow(0.4, path="type=RestoreSession&format=Entities", count=2)
    together = threading.Barrier(4)
    refused: list[str] = []
    failures: list[BaseException] = []

    def worker() -> None:
        tasks.start_due_syncs()
        tasks.sync_enterprise_manager(em.pk)

    def press_sync_now() -> None:
        client = Client()
        client.force_login(person)
        assert client.post(reverse("enterprisemanager-sync", args=[em.pk])).status_code == 302

    def command() -> None:
        try:
            sync(em, trigger=SyncRun.Trigger.COMMAND)
        except AlreadyRunning as reason:
            refused.append(str(reason))

    def at_once(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                together.wait(10)
                work()
            except BaseException as failure:  # noqa: BLE001 - shown by the test
                failures.append(failure)
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    for thread in [at_once(work) for work in (worker, worker, press_sync_now, command)]:
        thread.join(60)

    assert failures == []
    runs = list(SyncRun.objects.order_by("started_at"))
    assert {run.status for run in runs} == {"good"}, [run.error_detail for run in runs]
    assert all(first.ended_at <= second.started_at for first, second in itertools.pairwise(runs))
    assert len(runs) + len(refused) <= 4
    assert all(reason == "em-north is being synced by another process right now." for reason in refused)
    assert ("restorereports.tasks.start_due_syncs",) in woken  # the person's wake-up
    if due_enterprise_managers(as_of=timezone.now()):  # it was pressed during the run, so it is done after it
        tasks.sync_enterprise_manager(em.pk)
        assert SyncRun.objects.first().trigger == "person"
    assert due_enterprise_managers(as_of=timezone.now()) == []
    assert sum(run.new for run in SyncRun.objects.all()) == SESSIONS
    twice = RestoreSession.objects.values("backup_server", "uid").annotate(n=Count("pk")).filter(n__gt=1)
    assert not twice.exists()
    shown.assert_mirrored(em)
    assert not Gap.objects.exists()
    client = Client()
    client.force_login(person)
    page = as_read(client.get(reverse("enterprisemanager-detail", args=[em.pk])).content.decode())
    assert "Current" in page
