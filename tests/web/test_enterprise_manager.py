"""Enterprise Managers: health, progress, what administrators may do and auditors see."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.models import AuditEntry, EnterpriseManager, SyncRun
from restorereports.web.forms.enterprise_manager import EnterpriseManagerEditForm
from restorereports.web.views import enterprise_manager
from tests.factories import make_backup_server, make_enterprise_manager, make_restore_session, make_run
from tests.web.conftest import NOW

SYNC = ("restorereports.tasks.start_due_syncs", ())


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    return make_enterprise_manager(name="em-north")


@pytest.fixture
def server() -> Iterator[StandInServer]:
    world = World.empty(servers=1)
    world.add_session(vm_name="payroll-db2")
    with StandInServer(world) as running:
        yield running


def _html(page: Client, em: EnterpriseManager) -> str:
    return page.get(f"/enterprise-managers/{em.pk}/").content.decode()


def _pause(em: EnterpriseManager, because: str, offered_pem: str = "") -> None:
    em.paused_at, em.paused_because, em.offered_pem = NOW, because, offered_pem
    em.save()


@pytest.mark.parametrize(
    ("hours", "status", "fields", "state"),
    [
        (1, "good", {}, "Current"),
        (25, "good", {}, "Stale, over 24 h"),
        (1, "failed", {}, "Last sync failed"),
        (1, "running", {}, "First sync running"),
        (1, "good", {"is_active": False}, "Switched off"),
        (None, "", {}, "Never synced"),
    ],
)
def test_the_list_says_how_each_sync_is(
    page: Client, em: EnterpriseManager, hours: int | None, status: str, fields: dict[str, Any], state: str
) -> None:
    EnterpriseManager.objects.update(**fields)
    if hours:
        make_run(em, status=status, started_at=NOW - timedelta(hours=hours), error="Nothing accepts.")

    html = page.get("/enterprise-managers/").content.decode()

    assert f"{state}</span>" in html
    assert ("Nothing accepts." in html) == (status == "failed")


def test_a_second_sync_is_no_first_one(page: Client, em: EnterpriseManager) -> None:
    make_run(em, started_at=NOW - timedelta(minutes=20))
    make_run(em, started_at=NOW, status=SyncRun.Status.RUNNING)

    assert "Syncing" in page.get("/enterprise-managers/").content.decode()


def test_days_left_before_em_forgets(page: Client, em: EnterpriseManager) -> None:
    EnterpriseManager.objects.update(shown_window=timedelta(days=30))
    make_run(em, started_at=NOW - timedelta(days=3, hours=15, minutes=25))
    assert "26 d 08:3" in _html(page, em)
    assert "f-warn" in _html(page, em)

    SyncRun.objects.update(started_at=NOW - timedelta(days=25))
    assert "f-bad" in _html(page, em)

    SyncRun.objects.update(started_at=NOW - timedelta(days=45))
    assert "00:00 h" in _html(page, em)


def test_every_page_says_when_em_has_forgotten_more_than_was_read(
    page: Client, em: EnterpriseManager
) -> None:
    make_run(em, started_at=NOW - timedelta(days=40))

    html = page.get("/").content.decode()

    assert "longer than EM remembers" in html
    assert "may be lost" in html


def test_every_page_warns_of_a_source_that_was_not_read_for_a_day(
    page: Client, em: EnterpriseManager
) -> None:
    make_run(em, started_at=NOW - timedelta(hours=30))
    never = make_enterprise_manager(name="em-new")
    EnterpriseManager.objects.filter(pk=never.pk).update(created_at=NOW - timedelta(days=2))

    html = page.get("/reports/").content.decode()

    assert "has not been read for 1 d 06:0" in html
    assert "has never been read." in html
    assert "2 of 2" in html


@pytest.mark.parametrize(
    ("runs", "words"), [([], "Never synced"), (["good"], "Current"), (["good", "running"], "Syncing")]
)
def test_the_head_says_how_fresh_the_mirror_is(
    page: Client, em: EnterpriseManager, runs: list[str], words: str
) -> None:
    for status in runs:
        make_run(em, status=status, started_at=NOW)

    assert f"<span>{words}</span>" in page.get("/reports/").content.decode()


def test_the_page_has_health_runs_source_and_servers(page: Client, em: EnterpriseManager) -> None:
    server = make_backup_server(em, name="vbr-east", version="12.3.2.3617")
    make_restore_session(server, enterprise_manager=em)
    make_run(em, role="Portal User", api_versions="v1_7", clock_skew_seconds=-95, started_at=NOW, seen=31)
    make_run(em, status="failed", error="No answer in time.", error_detail="ReadTimeout", started_at=NOW)

    html = _html(page, em)

    for text in (
        "EXAMPLE\\svc-read",
        "Portal User",
        "v1_7",
        "EM’s clock is 95 s behind ours",
        "No answer in time.",
        "ReadTimeout",
        "vbr-east",
        "12.3.2.3617",
        "Set 2026-10-14, encrypted, never shown",
        "CAs of this machine",
        "1 restore session",
    ):
        assert text in html
    assert "the password of the account" not in html
    assert em.password_token not in html


def test_clocks_that_agree_or_nearly(page: Client, em: EnterpriseManager) -> None:
    run = make_run(em, role="Portal User", clock_skew_seconds=0.2)
    assert "EM’s clock agrees with ours" in _html(page, em)

    SyncRun.objects.filter(pk=run.pk).update(clock_skew_seconds=12)
    assert "EM’s clock is 12 s ahead of ours" in _html(page, em)


def test_no_page_asks_more_queries_for_more_rows(
    page: Client, em: EnterpriseManager, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(5) as few:
        page.get("/enterprise-managers/")
    for _n in range(3):
        other = make_enterprise_manager()
        for _m in range(3):
            make_run(other, started_at=NOW)
            make_backup_server(other)
    with django_assert_num_queries(len(few)):
        page.get("/enterprise-managers/")


def test_sync_now_is_noted_and_wakes_the_workers(
    admin_page: Client, em: EnterpriseManager, woken: list[Any]
) -> None:
    response = admin_page.post(f"/enterprise-managers/{em.pk}/sync/", follow=True)

    em.refresh_from_db()
    assert em.sync_requested_at
    assert woken == [SYNC]
    html = response.content.decode()
    assert "Waiting for a worker" in html
    assert 'hx-trigger="every 2s"' in html
    assert '<noscript><meta http-equiv="refresh" content="5; url=?waiting=1"></noscript>' in html


def test_sync_now_survives_a_broker_that_is_down(
    admin_page: Client, em: EnterpriseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_options: Any) -> None:
        raise OSError("no broker")

    monkeypatch.setattr("celery.app.task.Task.apply_async", refuse)

    assert admin_page.post(f"/enterprise-managers/{em.pk}/sync/").status_code == 302
    em.refresh_from_db()
    assert em.sync_requested_at


def test_a_paused_or_switched_off_one_is_not_synced(
    admin_page: Client, em: EnterpriseManager, woken: list[Any]
) -> None:
    _pause(em, "logon_refused")

    response = admin_page.post(f"/enterprise-managers/{em.pk}/sync/", follow=True)

    assert "No sync was started" in response.content.decode()
    assert woken == []


def test_progress_of_a_running_sync(page: Client, em: EnterpriseManager) -> None:
    run = make_run(em, status="running", kind="full", started_at=NOW)
    address = f"/enterprise-managers/{em.pk}/progress/"
    assert "Logging on" in page.get(address).content.decode()

    SyncRun.objects.filter(pk=run.pk).update(page=41, pages=96, seen=4100, oldest_at=NOW - timedelta(days=9))
    html = page.get(address).content.decode()

    assert "Page 41 of 96" in html
    assert "4,100 restore sessions so far" in html
    assert '<progress value="41" max="96"' in html
    assert f"{NOW - timedelta(days=9):%Y-%m-%d}" in html

    SyncRun.objects.filter(pk=run.pk).update(status="good")
    ended = page.get(address)
    assert ended["HX-Refresh"] == "true"
    assert "The sync has ended." in ended.content.decode()


def test_a_refused_log_on_is_explained_and_tried_again_by_a_person(
    page: Client, admin_page: Client, em: EnterpriseManager, woken: list[Any]
) -> None:
    make_run(em, started_at=NOW - timedelta(hours=1))
    _pause(em, "logon_refused")

    assert "EM refused the log-on, so the sync is paused" in _html(page, em)
    assert "Try again" not in _html(page, em)
    assert "Try again" in _html(admin_page, em)

    admin_page.post(f"/enterprise-managers/{em.pk}/resume/")

    em.refresh_from_db()
    assert em.paused_at is None
    assert em.sync_requested_at
    assert woken == [SYNC]
    woken.clear()
    admin_page.post(f"/enterprise-managers/{em.pk}/resume/")
    assert woken == []


def test_a_changed_certificate_is_compared_and_pinned(
    page: Client, admin_page: Client, em: EnterpriseManager, server: StandInServer, woken: list[Any]
) -> None:
    old_pem, old = server.certificate_pem, server.fingerprint_sha256
    server.swap_certificate()
    new = server.fingerprint_sha256
    em.trust_certificate(old_pem, old, at=NOW)
    make_run(em, started_at=NOW - timedelta(hours=1))
    _pause(em, "certificate_changed", offered_pem=server.certificate_pem)
    address = f"/enterprise-managers/{em.pk}/pin/"

    html = _html(admin_page, em)
    assert "The certificate changed, so the sync stopped before logging on" in html
    for sha256 in (old, new):
        assert " ".join(sha256.upper()[i : i + 4] for i in range(0, 32, 4)) in html
    assert 'name="word"' in html
    assert 'name="word"' not in _html(page, em)
    assert "An administrator compares" in _html(page, em)

    wrong_word = admin_page.post(address, {"sha256": new, "word": "pn"})
    assert wrong_word.status_code == 422
    assert "Type the word pin." in wrong_word.content.decode()
    other = admin_page.post(address, {"sha256": old, "word": "pin"})
    assert "Yet another certificate is offered now." in other.content.decode()
    em.refresh_from_db()
    assert em.pin_sha256 == old

    response = admin_page.post(address, {"sha256": new, "word": " Pin "}, follow=True)

    em.refresh_from_db()
    assert (em.pin_sha256, em.paused_because, em.offered_pem) == (new, "", "")
    assert woken == [SYNC]
    assert "The new certificate is pinned" in response.content.decode()
    again = admin_page.post(address, {"sha256": new, "word": "pin"}, follow=True)
    assert "no other certificate is on offer" in again.content.decode()


def test_a_changed_certificate_that_was_not_kept(admin_page: Client, em: EnterpriseManager) -> None:
    _pause(em, "certificate_changed", offered_pem="no certificate")

    assert "Test the connection to see the certificate" in _html(admin_page, em)


def test_testing_shows_the_steps_and_lets_an_untrusted_certificate_be_pinned(
    admin_page: Client, server: StandInServer
) -> None:
    em = make_enterprise_manager(name="em-stand-in", url=server.url, username="mirror")
    em.set_password("mirror", at=NOW)
    em.save()

    html = admin_page.post(f"/enterprise-managers/{em.pk}/test/", follow=True).content.decode()
    assert "not tried yet" in html
    assert server.fingerprint_sha256 in html

    admin_page.post(
        f"/enterprise-managers/{em.pk}/pin/", {"sha256": server.fingerprint_sha256, "word": "pin"}
    )
    html = admin_page.post(f"/enterprise-managers/{em.pk}/test/", follow=True).content.decode()
    assert "payroll-db2" in html
    assert html.count("#i-good") >= 8


def _fields(em: EnterpriseManager, **changes: Any) -> dict[str, Any]:
    return {
        "name": em.name,
        "url": em.url,
        "username": em.username,
        "interval_minutes": 30,
        "is_active": "on",
        "password": "",
        "ca_pem": "",
        "restore_scope": "",
        "full_sync_at": "",
    } | changes


def test_editing_keeps_the_password_that_is_not_given(
    admin_page: Client, em: EnterpriseManager, woken: list[Any]
) -> None:
    address = f"/enterprise-managers/{em.pk}/edit/"
    html = admin_page.get(address).content.decode()
    assert "Leave empty to keep it." in html
    assert "the password of the account" not in html

    response = admin_page.post(address, _fields(em, name="em-new-name"))

    assert response.status_code == 302
    em.refresh_from_db()
    assert (em.name, em.interval_minutes, em.password()) == ("em-new-name", 30, "the password of the account")
    assert woken == [SYNC]


def test_everything_saved_stays(admin_page: Client, em: EnterpriseManager) -> None:
    address = f"/enterprise-managers/{em.pk}/edit/"
    admin_page.post(address, _fields(em, restore_scope="custom", full_sync_at="02:30"))

    em.refresh_from_db()
    assert (em.restore_scope, em.full_sync_at) == ("custom", time(2, 30))
    html = admin_page.get(address).content.decode()
    assert '<option value="custom" selected>a part</option>' in html
    assert 'type="time"' in html
    assert 'value="02:30"' in html
    page = _html(admin_page, em)
    assert "daily at 02:30" in page

    admin_page.post(address, _fields(em))
    em.refresh_from_db()
    assert (em.restore_scope, em.full_sync_at) == ("", None)


def test_the_form_says_what_must_be_declared_and_which_zone_counts(
    admin_page: Client, em: EnterpriseManager, settings: Any
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"

    html = admin_page.get(f"/enterprise-managers/{em.pk}/edit/").content.decode()

    assert "EM does not say, so it must be declared" in html
    assert "Time of day in Europe/Berlin" in html
    assert "Empty: spread by itself between 00:00 and 06:00." in html
    for wrong in ({"restore_scope": "most"}, {"full_sync_at": "25:00"}):
        answer = admin_page.post(f"/enterprise-managers/{em.pk}/edit/", _fields(em, **wrong))
        assert 'aria-invalid="true"' in answer.content.decode()


def test_a_kept_password_is_not_sent_elsewhere(admin_page: Client, em: EnterpriseManager) -> None:
    address = f"/enterprise-managers/{em.pk}/edit/"

    for changes in ({"url": "https://evil.example.test:9398"}, {"username": "another"}):
        html = admin_page.post(address, _fields(em, **changes)).content.decode()
        assert "Enter the password again" in html

    admin_page.post(address, _fields(em, url="em-west.example.test", password=" new one "))
    em.refresh_from_db()
    assert em.url == "https://em-west.example.test:9398"
    assert em.password() == " new one "


def test_editing_leaves_a_pin_and_a_pause_that_came_meanwhile(
    admin_page: Client, em: EnterpriseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the form's row and its saving a sync stops, and somebody else pins."""
    meant, meanwhile = _fields(em, name="em-new-name"), {"pin_sha256": "bb" * 32, "pinned_at": NOW}
    meanwhile |= {"paused_at": NOW, "paused_because": "certificate_changed", "offered_pem": "offered"}
    checked = EnterpriseManagerEditForm.full_clean

    def check_slowly(form: EnterpriseManagerEditForm) -> None:
        checked(form)
        EnterpriseManager.objects.filter(pk=em.pk).update(**meanwhile)

    monkeypatch.setattr(EnterpriseManagerEditForm, "full_clean", check_slowly)
    admin_page.post(f"/enterprise-managers/{em.pk}/edit/", meant)

    em.refresh_from_db()
    assert em.name == "em-new-name"
    assert {name: getattr(em, name) for name in meanwhile} == meanwhile
    entry = AuditEntry.objects.get(action="em_changed")
    assert set(entry.details) == {"name", "interval_minutes"}


@pytest.mark.parametrize("act", ["edit", "pin", "resume"])
def test_what_writes_to_the_row_reads_it_locked_in_the_same_transaction(
    admin_page: Client, em: EnterpriseManager, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """What a sync changed after the page's own reading is not taken back."""
    _pause(em, "logon_refused")
    read = enterprise_manager._locked

    def read_late(request: Any, pk: int) -> EnterpriseManager:
        assert connection.in_atomic_block
        EnterpriseManager.objects.filter(pk=pk).update(
            paused_because="certificate_changed", offered_pem="new", pin_sha256="cc" * 32
        )
        return read(request, pk)

    monkeypatch.setattr(enterprise_manager, "_locked", read_late)
    admin_page.post(f"/enterprise-managers/{em.pk}/{act}/", _fields(em, password="fresh"))

    em.refresh_from_db()
    assert (em.paused_because, em.offered_pem, em.pin_sha256) == ("certificate_changed", "new", "cc" * 32)
    assert em.paused_at


def test_a_new_password_ends_the_pause(admin_page: Client, em: EnterpriseManager) -> None:
    _pause(em, "logon_refused")

    admin_page.post(f"/enterprise-managers/{em.pk}/edit/", _fields(em, password="fresh"))

    em.refresh_from_db()
    assert em.paused_at is None


def test_a_ca_takes_the_place_of_the_pin(
    admin_page: Client, em: EnterpriseManager, server: StandInServer
) -> None:
    em.trust_certificate(server.certificate_pem, server.fingerprint_sha256, at=NOW)
    _pause(em, "certificate_changed")
    address = f"/enterprise-managers/{em.pk}/edit/"
    assert admin_page.post(address, _fields(em, ca_pem="nonsense")).status_code == 200

    admin_page.post(address, _fields(em, ca_pem=server.certificate_pem))

    em.refresh_from_db()
    assert (em.pin_sha256, em.paused_because) == ("", "")
    assert "BEGIN CERTIFICATE" in em.ca_pem
    assert "CA certificate given here" in _html(admin_page, em)

    admin_page.post(address, _fields(em, ca_pem=server.certificate_pem + "\n" + server.certificate_pem))
    em.refresh_from_db()
    assert em.ca_pem.count("BEGIN CERTIFICATE") == 2


def test_wrong_addresses_are_refused_with_a_sentence(admin_page: Client, em: EnterpriseManager) -> None:
    for url in ("http://em.example.test", "ftp://x", "a b"):
        page = admin_page.post(f"/enterprise-managers/{em.pk}/edit/", _fields(em, url=url, password="x"))
        assert page.status_code == 200
        assert 'aria-invalid="true"' in page.content.decode()


@pytest.mark.parametrize("act", ["sync", "resume", "pin", "test", "edit"])
def test_auditors_may_not(page: Client, em: EnterpriseManager, woken: list[Any], act: str) -> None:
    response = page.post(f"/enterprise-managers/{em.pk}/{act}/", {"word": "pin"})

    assert response.status_code == 403
    assert "Only administrators" in response.content.decode()
    assert woken == []


def test_auditors_see_no_buttons_that_lead_to_a_refusal(page: Client, em: EnterpriseManager) -> None:
    for html in (_html(page, em), page.get("/enterprise-managers/").content.decode()):
        for act in ("sync", "resume", "pin", "test", "edit", "add"):
            assert f"/{act}/" not in html
    assert page.get("/enterprise-managers/add/").status_code == 403


def test_reading_pages_change_nothing(admin_page: Client, em: EnterpriseManager) -> None:
    for act in ("sync", "resume", "pin", "test"):
        assert admin_page.get(f"/enterprise-managers/{em.pk}/{act}/").status_code == 405
