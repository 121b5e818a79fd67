"""add_em, check_em, sync: what they accept, what they print, how they exit."""

import io
from datetime import time

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from restorereports.emulator.accounts import Account
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.management.commands import sync as sync_command
from restorereports.mirror.lock import claim
from restorereports.models import EnterpriseManager, RestoreSession, SyncRun


@pytest.fixture
def server():
    world = World.empty()
    world.add_session(vm_name="payroll-db2")
    with StandInServer(world) as running:
        yield running


@pytest.fixture
def added(db, server, monkeypatch) -> EnterpriseManager:
    monkeypatch.setenv("EM_PASSWORD", "mirror")
    run(
        *("add_em", "em-north", server.url + "/api", "--username", "mirror"),
        *("--password-env", "EM_PASSWORD", "--pin", server.fingerprint_sha256),
    )
    return EnterpriseManager.objects.get()


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_add_check_sync(added, server) -> None:
    assert added.url == server.url

    checked = run("check_em", "em-north")
    synced = run("sync")

    assert checked.count("✓") == 8
    assert server.fingerprint_sha256 in checked
    assert "em-north: done, full, seen 1, new 1, changed 0, unchanged 0" in synced
    assert RestoreSession.objects.count() == 1


def test_the_password_is_asked_for_when_no_variable_is_named(db, server, monkeypatch) -> None:
    monkeypatch.setattr("restorereports.management.commands.add_em.getpass", lambda _prompt: "typed")

    run("add_em", "em", "em.example.test", "--username", "u")

    em = EnterpriseManager.objects.get()
    assert (em.url, em.password(), em.pin_sha256) == ("https://em.example.test:9398", "typed", "")


def test_a_ca_file_is_kept(db, server, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("EM_PASSWORD", "mirror")
    ca = tmp_path / "ca.pem"
    ca.write_text(server.certificate_pem)

    run(
        "add_em",
        "em",
        server.url,
        "--username",
        "mirror",
        "--password-env",
        "EM_PASSWORD",
        "--ca-file",
        str(ca),
    )

    assert EnterpriseManager.objects.get().ca_pem == server.certificate_pem
    assert "done" in run("sync", "em")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["em", "http://em.example.test", "--username", "u", "--password-env", "EM_PASSWORD"], "http"),
        (["em", "https://", "--username", "u", "--password-env", "EM_PASSWORD"], "example"),
        (["em", "em.example.test", "--username", "u", "--password-env", "MISSING"], "no variable MISSING"),
        (["em", "em.example.test", "--username", "u", "--password-env", "EMPTY"], "empty"),
        (
            ["em", "em.example.test", "--username", "u", "--password-env", "EM_PASSWORD", "--pin", "abc"],
            "SHA-256",
        ),
        (
            [
                "em",
                "em.example.test",
                "--username",
                "u",
                "--password-env",
                "EM_PASSWORD",
                "--ca-file",
                "/missing",
            ],
            "CA",
        ),
        (
            [
                "em",
                "em.example.test",
                "--username",
                "u",
                "--password-env",
                "EM_PASSWORD",
                "--ca-file",
                __file__,
            ],
            "CA",
        ),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(db, monkeypatch, arguments: list[str], why: str) -> None:
    monkeypatch.setenv("EM_PASSWORD", "mirror")
    monkeypatch.setenv("EMPTY", "")

    with pytest.raises(CommandError, match=f"(?i){why}"):
        run("add_em", *arguments)

    assert not EnterpriseManager.objects.exists()


def test_a_name_is_given_once(added) -> None:
    with pytest.raises(CommandError, match="exists already"):
        run("add_em", "em-north", "em.example.test", "--username", "u", "--password-env", "EM_PASSWORD")


def test_plain_http_needs_to_be_allowed(db, monkeypatch) -> None:
    monkeypatch.setenv("EM_PASSWORD", "mirror")

    run(
        "add_em",
        "em",
        "http://em.example.test",
        "--username",
        "u",
        "--password-env",
        "EM_PASSWORD",
        "--allow-plain-http",
    )

    assert EnterpriseManager.objects.get().url == "http://em.example.test:9398"


def test_scope_and_time_of_the_full_sync(db, monkeypatch) -> None:
    monkeypatch.setenv("EM_PASSWORD", "mirror")
    rest = ("em.example.test", "--username", "u", "--password-env", "EM_PASSWORD")

    run("add_em", "em", *rest, "--restore-scope", "custom", "--full-sync-at", "02:30")
    run("add_em", "silent", *rest)

    em, silent = EnterpriseManager.objects.order_by("pk")
    assert (em.restore_scope, em.full_sync_at) == ("custom", time(2, 30))
    assert (silent.restore_scope, silent.full_sync_at) == ("", None)


@pytest.mark.parametrize(
    "wrong", [("--restore-scope", "most"), ("--full-sync-at", "2:30"), ("--full-sync-at", "24:00")]
)
def test_a_wrong_scope_or_time_of_day_is_refused(db, monkeypatch, wrong: tuple[str, str]) -> None:
    monkeypatch.setenv("EM_PASSWORD", "mirror")

    with pytest.raises(CommandError, match=f"(?i){wrong[0]}"):
        run("add_em", "em", "em.example.test", "--username", "u", "--password-env", "EM_PASSWORD", *wrong)

    assert not EnterpriseManager.objects.exists()


def test_check_names_cause_and_remedy_and_exits_with_1(added, server, capsys) -> None:
    EnterpriseManager.objects.update(pin_sha256="ab" * 32)
    out = io.StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("check_em", "em-north", stdout=out)

    assert ended.value.code == 1
    assert "✗ TLS" in out.getvalue()
    assert "Cause: " in out.getvalue()
    assert "Remedy: " in out.getvalue()
    assert server.fingerprint_sha256 in out.getvalue()


def test_unknown_names_are_refused_naming_the_known(added) -> None:
    with pytest.raises(CommandError, match="Known: em-north"):
        run("sync", "em-nort")


def test_sync_without_any_em_says_how_to_add_one(db) -> None:
    with pytest.raises(CommandError, match="add_em"):
        run("sync")


def test_one_failing_em_does_not_stop_the_others_but_the_exit_code_tells(added, server) -> None:
    dead = EnterpriseManager(name="a-dead-one", url="https://127.0.0.1:9", username="u")
    dead.set_password("p", at=timezone.now())
    dead.save()
    out = io.StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("sync", stdout=out)

    assert ended.value.code == 1
    assert "a-dead-one: failed" in out.getvalue()
    assert "em-north: done" in out.getvalue()


def test_a_paused_em_is_not_tried_again(added, server) -> None:
    server.accounts[:] = [Account("mirror", "other", "Portal User")]
    out = io.StringIO()
    for _ in range(2):
        with pytest.raises(SystemExit):
            call_command("sync", stdout=out)

    assert "em-north is paused: Log-on refused" in out.getvalue()
    assert sum(request.method == "POST" for request in server.requests) == 1


def test_sync_waits_for_a_killed_run_and_goes_on(added, monkeypatch) -> None:
    stuck = claim(added, full=False, trigger="schedule", at=timezone.now())
    monkeypatch.setattr(
        sync_command.time, "sleep", lambda _s: SyncRun.objects.filter(pk=stuck.pk).update(status="died")
    )

    out = run("sync")

    assert "waiting for it to end" in out
    assert "em-north: done" in out


def test_sync_gives_up_on_a_run_that_lives(added, monkeypatch) -> None:
    claim(added, full=False, trigger="schedule", at=timezone.now())
    monkeypatch.setattr(sync_command, "WAIT_FOR_LOCK_SECONDS", 0)
    out = io.StringIO()

    with pytest.raises(SystemExit):
        call_command("sync", stdout=out)

    assert "being synced by another process" in out.getvalue()


def test_progress_is_a_bar_on_a_terminal_and_lines_elsewhere(added) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    call_command("sync", stdout=terminal)

    assert "page" in terminal.getvalue()
    assert "em-north: page 1 of 1" in run("sync", "--full")
