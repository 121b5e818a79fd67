"""`manage.py demo`, twice: usable at once, alive, ended by Ctrl-C without a process left, going on afterwards."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import requests

from tests import servers
from tests.walk.installation import Installation
from tests.walk.test_processes import family, log_in, wait_for

pytestmark = pytest.mark.processes


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(
        tmp_path, DATABASE_URL=f"sqlite:///{tmp_path}/demo.sqlite3", PORT=str(servers.free_port())
    )


def start(installation: Installation) -> tuple[subprocess.Popen[bytes], str]:
    """The running demo and what it has printed once everything runs."""
    running = installation.start(*installation.command("demo"), log="demo")
    log = installation.folder / "demo.log"

    def printed() -> str | None:
        assert running.poll() is None, log.read_text()
        return log.read_text() if "Everything runs" in log.read_text() else None

    return running, wait_for(printed, "the demo's start")


def stop(installation: Installation, running: subprocess.Popen[bytes]) -> None:
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 0
    assert family(installation.folder) == []
    log = installation.folder / "demo.log"
    assert "no process is left" in log.read_text()
    log.unlink()


def newest(http: requests.Session, address: str) -> str:
    page = http.get(f"{address}/", timeout=60).text
    return re.findall(r'href="/restore-sessions/(\d+)/"', page)[0]


def test_the_demo_lives_ends_and_goes_on(installation: Installation) -> None:
    address = f"http://127.0.0.1:{installation.environment['PORT']}"

    running, printed = start(installation)
    assert address in printed
    assert str(installation.folder / "mail") in printed
    accounts = json.loads((installation.folder / "demo.json").read_text())["accounts"]
    assert all(password in printed for password in accounts.values())
    http = log_in(address, "auditor", accounts["auditor"])
    shown = f"{address}/enterprise-managers/"
    scoped = log_in(address, "auditor-south", accounts["auditor-south"]).get(shown, timeout=60).text
    assert "em-south" in scoped
    assert "em-north" not in scoped
    assert "em-north" in http.get(shown, timeout=60).text
    first = newest(http, address)
    began = time.monotonic()
    wait_for(lambda: newest(http, address) != first, "a new restore session on the page", seconds=75)
    assert time.monotonic() - began < 75
    mail = wait_for(lambda: list((installation.folder / "mail").glob("*.eml")), "the mail")
    assert b"application/pdf" in mail[0].read_bytes()
    stop(installation, running)

    running, printed = start(installation)
    assert "First sync" not in printed
    assert all(password in printed for password in accounts.values())
    assert (
        log_in(address, "administrator", accounts["administrator"]).get(address, timeout=60).status_code
        == 200
    )
    assert len(list((installation.folder / "mail").glob("*.eml"))) == 1
    stop(installation, running)


def test_data_that_are_not_the_demos_are_refused(installation: Installation) -> None:
    installation.manage("migrate", "-v", "0")
    installation.manage(
        "shell", "-c", "from restorereports.models import User; User.objects.create_user('a')"
    )

    done = subprocess.run(
        installation.command("demo"),
        env=installation.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    assert "not the demo's" in done.stderr
