from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.management.base import CommandError

from restorereports.emulator.certificates import kept_certificate
from restorereports.emulator.kept import kept_epoch
from restorereports.management.commands.emulate_em import Command, make_accounts, make_server, read_epoch

ROOT = Path(__file__).resolve().parents[2]
SMALL = ["--sessions", "40", "--servers", "2", "--port", "0"]


def options(*words: str) -> dict[str, Any]:
    parser = ArgumentParser()
    Command().add_arguments(parser)
    return vars(parser.parse_args([*SMALL, *words]))


def run(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "emulate_em", *SMALL, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_a_signal_and_ends_with_0(sign: signal.Signals, tmp_path: Path) -> None:
    process = run("--plain-http", "--state-dir", str(tmp_path / "em"))
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(3)]
    address = re.search(r"http://127\.0\.0\.1:\d+/api/", lines[0])
    assert address, (lines, process.communicate(timeout=10))
    logon = requests.post(f"{address[0]}sessionMngr/", auth=("mirror", "mirror"), timeout=10)

    process.send_signal(sign)
    out, err = process.communicate(timeout=15)

    assert logon.status_code == 201
    assert address[0] in logon.headers["Location"]
    assert process.returncode == 0
    assert err == ""
    assert lines[1] == "Account: mirror  Password: mirror  Role: Portal User\n"
    assert lines[2].endswith(" restore sessions, 2 backup servers\n")
    assert out == "The stand-in Enterprise Manager has ended.\n"


def test_the_command_serves_in_this_process_too(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers: dict[int, Any] = {}
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr("threading.Event.wait", _end_once_announced(handlers))

    Command().run_from_argv(["manage.py", "emulate_em", *SMALL, "--state-dir", str(tmp_path)])

    out = capsys.readouterr().out
    assert "Stand-in Enterprise Manager: https://127.0.0.1:" in out
    assert kept_certificate(tmp_path).fingerprint_sha256 in out
    assert out.endswith("The stand-in Enterprise Manager has ended.\n")


def _end_once_announced(handlers: dict[int, Any]) -> Any:
    import threading

    wait = threading.Event.wait

    def ended(event: threading.Event, timeout: float | None = None) -> bool:
        if threading.current_thread() is threading.main_thread() and timeout is None and handlers:
            handlers[signal.SIGTERM](signal.SIGTERM, None)
        return wait(event, timeout)

    return ended


def test_a_taken_port_is_told_in_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = options("--port", str(port), "--plain-http")

        with pytest.raises(
            CommandError, match=rf"^Port {port} on 127\.0\.0\.1 cannot be used: Address already in use\.$"
        ):
            make_server(wanted, make_accounts(wanted))


def test_a_port_that_cannot_be_is_told_as_well() -> None:
    wanted = options("--port", "70000", "--plain-http")

    with pytest.raises(CommandError, match="Port 70000 on 127"):
        make_server(wanted, make_accounts(wanted))


@pytest.mark.parametrize(
    ("word", "value"),
    [("--sessions", "-1"), ("--servers", "0"), ("--live-interval", "-1"), ("--collect-interval", "-1")],
)
def test_numbers_out_of_range_are_refused(word: str, value: str) -> None:
    wanted = options("--plain-http", word, value)

    with pytest.raises(CommandError, match=f"{word} must be at least"):
        make_server(wanted, [])


def test_the_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EM_PASSWORD", "hidden")
    wanted = options(
        "--username", "reader", "--password-env", "EM_PASSWORD", "--role", "File Restore Operator"
    )

    accounts = make_accounts(wanted)

    assert [(found.name, found.password, found.role) for found in accounts] == [
        ("reader", "hidden", "File Restore Operator")
    ]


def test_a_password_variable_that_is_not_set_is_told() -> None:
    with pytest.raises(CommandError, match="EM_NO_PASSWORD is not set"):
        make_accounts(options("--password-env", "EM_NO_PASSWORD"))


def test_a_password_from_the_environment_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("EM_PASSWORD", "hidden")
    wanted = options("--password-env", "EM_PASSWORD", "--plain-http")
    accounts = make_accounts(wanted)
    server = make_server(wanted, accounts)

    Command()._announce(server, accounts[0], password_shown=False)
    server.stop()

    out = capsys.readouterr().out
    assert "hidden" not in out
    assert "Certificate" not in out


def test_the_switches_reach_the_server() -> None:
    wanted = options(
        "--plain-http", "--json-casing", "camel", "--null-policy", "omit", "--bom", "--default-page", "all",
        "--href-host", "em.example.test:9398", "--epoch", "2031-05-06", "--seed", "7", "--collect-interval", "60",
    )  # fmt: skip

    server = make_server(wanted, make_accounts(wanted))
    server.stop()

    switches = server.switches
    assert (switches.json_casing, switches.nulls, switches.bom) == ("camel", "omit", True)
    assert (switches.default_page, switches.href_host) == ("all", "em.example.test:9398")
    assert server.world.epoch == datetime(2031, 5, 6, tzinfo=UTC)


def test_an_epoch_without_zone_is_utc_and_nonsense_is_told() -> None:
    assert read_epoch("2031-05-06T02:00:00+02:00") == datetime(2031, 5, 6, tzinfo=UTC)
    assert read_epoch("2031-05-06T01:00:00") == datetime(2031, 5, 6, 1, tzinfo=UTC)
    with pytest.raises(CommandError, match="--epoch tomorrow is not an ISO date"):
        read_epoch("tomorrow")


def test_certificate_key_and_epoch_outlive_a_restart(tmp_path: Path) -> None:
    directory = tmp_path / "em"
    first = kept_certificate(directory), kept_epoch(directory, now=datetime(2031, 5, 6, 12, tzinfo=UTC))

    second = kept_certificate(directory), kept_epoch(directory, now=datetime(2031, 5, 9, 12, tzinfo=UTC))

    assert first == second
    assert first[1] == datetime(2031, 5, 6, tzinfo=UTC)
    modes = {stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}
    assert (modes, stat.S_IMODE(directory.stat().st_mode)) == ({0o600}, 0o700)


def test_an_unreadable_epoch_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "em-epoch.txt").write_text("long ago")

    found = kept_epoch(tmp_path, now=datetime(2031, 5, 6, 12, tzinfo=UTC))

    assert found == datetime(2031, 5, 6, tzinfo=UTC)
    assert (tmp_path / "em-epoch.txt").read_text() == "2031-05-06T00:00:00+00:00\n"


def test_a_state_directory_that_cannot_be_is_told_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    wanted = options("--state-dir", str(file))

    with pytest.raises(CommandError, match=f"^The state directory {file} cannot be used: File exists.$"):
        make_server(wanted, make_accounts(wanted))


def test_a_damaged_key_is_told_in_one_sentence(tmp_path: Path) -> None:
    kept_certificate(tmp_path)
    (tmp_path / "em-key.pem").write_text("damaged")
    wanted = options("--state-dir", str(tmp_path))

    with pytest.raises(CommandError, match=r"The certificate or key kept in .* is damaged: delete both"):
        make_server(wanted, make_accounts(wanted))
