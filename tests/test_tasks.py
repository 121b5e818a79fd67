"""Tasks: wake-ups that find in the database what is due."""

from datetime import timedelta

import pytest
from celery.signals import worker_shutting_down
from django.conf import settings
from django.utils import timezone

from restorereports import tasks
from restorereports.celery import app
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.lock import AlreadyRunning
from restorereports.models import Alert, EnterpriseManager, Pulse, Report, RestoreSession, SyncRun
from restorereports.models.pulse import silent_since
from tests.factories import make_enterprise_manager, make_run


@pytest.fixture
def sent(monkeypatch) -> list[tuple[str, tuple]]:
    """Wake-ups that would go to the broker."""
    found: list[tuple[str, tuple]] = []
    monkeypatch.setattr(
        app.Task,
        "apply_async",
        lambda task, args=None, *_a, **_k: found.append((task.name, tuple(args or ()))),
    )
    return found


@pytest.fixture
def em(db):
    world = World.empty()
    world.add_session()
    with StandInServer(world) as server:
        em = EnterpriseManager(
            name="em", url=server.url, username="mirror", pin_sha256=server.fingerprint_sha256
        )
        em.set_password("mirror", at=timezone.now())
        em.save()
        yield em


def test_what_is_due_is_woken_synced_and_then_no_longer_due(em, sent) -> None:
    tasks.start_due_syncs()
    assert sent == [("restorereports.tasks.sync_enterprise_manager", (em.pk,))]

    tasks.sync_enterprise_manager(em.pk)
    tasks.sync_enterprise_manager(em.pk)  # the second wake-up finds nothing to do

    assert SyncRun.objects.count() == RestoreSession.objects.count() == 1
    assert SyncRun.objects.get().trigger == "schedule"


def test_a_sync_that_a_person_asked_for_says_so(em) -> None:
    EnterpriseManager.objects.update(sync_requested_at=timezone.now())

    tasks.sync_enterprise_manager(em.pk)

    assert SyncRun.objects.get().trigger == "person"


def test_a_worker_that_comes_second_goes_quietly(em, monkeypatch) -> None:
    def busy(*_args, **_kwargs) -> None:
        raise AlreadyRunning

    monkeypatch.setattr(tasks, "sync", busy)

    tasks.sync_enterprise_manager(em.pk)

    assert not SyncRun.objects.exists()


def test_a_shutdown_of_the_worker_ends_the_sync_at_the_next_page(em, monkeypatch) -> None:
    worker_shutting_down.send(sender="test", sig="TERM", how="Warm", exitcode=0)
    try:
        tasks.sync_enterprise_manager(em.pk)
    finally:
        tasks._shutting_down.clear()

    assert SyncRun.objects.get().status == "stopped"


def test_waiting_reports_and_due_mails_are_woken(db, sent) -> None:
    now = timezone.now()
    scope = {"start": (now - timedelta(days=1)).isoformat(), "end": now.isoformat()}
    report = Report.objects.create(scope=scope, zone="UTC", created_at=now)

    tasks.start_due_reports()

    assert sent == [
        ("restorereports.tasks.render_report", (report.pk,)),
        ("restorereports.tasks.deliver_due_reports", ()),
    ]


def test_a_report_is_rendered_mails_are_looked_for_and_leftovers_swept(db) -> None:
    now = timezone.now()
    scope = {"start": (now - timedelta(days=1)).isoformat(), "end": now.isoformat()}
    report = Report.objects.create(scope=scope, zone="UTC", created_at=now)

    tasks.render_report(report.pk)
    tasks.deliver_due_reports()
    tasks.sweep_expired()

    report.refresh_from_db()
    assert report.status == Report.Status.READY


def test_a_pulse_is_written_once_per_kind_of_worker_and_moves_on(db) -> None:
    before = timezone.now()
    Pulse.objects.create(worker="sync", at=before - timedelta(hours=1))

    for worker in ("sync", "reports", "sync"):
        tasks.pulse(worker)

    assert sorted(Pulse.objects.values_list("worker", flat=True)) == ["reports", "sync"]
    assert all(pulse.at >= before for pulse in Pulse.objects.all())
    assert silent_since(timezone.now()) == {}


def test_each_kind_of_worker_gets_its_pulse_through_its_own_queue() -> None:
    pulses = [
        entry
        for entry in settings.CELERY_BEAT_SCHEDULE.values()
        if entry["task"] == "restorereports.tasks.pulse"
    ]

    assert {entry["args"]: entry["options"]["queue"] for entry in pulses} == {
        (worker,): worker for worker in Pulse.Worker.values
    }
    assert all(entry["schedule"] == 30 for entry in pulses)


def test_alerts_are_raised_and_mailed_by_one_wake_up(db, settings, tmp_path) -> None:
    settings.EMAIL_FILE_PATH = str(tmp_path)
    settings.EMAIL_BACKEND = "restorereports.reports.mailbox.EmlBackend"
    settings.ALERT_RECIPIENTS = ["duty@example.test"]
    make_run(make_enterprise_manager(), started_at=timezone.now() - timedelta(days=4))

    tasks.send_due_alerts()
    tasks.send_due_alerts()

    assert Alert.objects.get().sent_at is not None
    assert len(list(tmp_path.iterdir())) == 1


def test_every_beat_entry_and_route_names_a_task() -> None:
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()} | set(
        settings.CELERY_TASK_ROUTES
    )

    app.loader.import_default_modules()

    assert names <= set(app.tasks)


def test_a_wake_up_expires_before_the_next_one() -> None:
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        assert 0 < entry["options"]["expires"] < entry["schedule"]
