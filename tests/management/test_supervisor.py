"""Real children: started, restarted when they fall, none left."""

import os
import re
import signal
import sys
import threading
import time

import psutil
import pytest
from django.conf import settings
from django.core.management import CommandError

from restorereports.management.supervisor import Program, Supervisor, installation, origin, refuse_taken_port
from tests.servers import free_port

pytestmark = pytest.mark.processes
SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, "of a stubborn parent", flush=True)
time.sleep(60)
"""


def wait_until(true, seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)


def test_all_children_end_with_the_supervisor() -> None:
    programs = [Program("one", SLEEP), Program("two", SLEEP)]

    with Supervisor(programs) as supervisor:
        supervisor.start()
        pids = [program.process.pid for program in programs]
        assert all(psutil.pid_exists(pid) for pid in pids)

    assert not [pid for pid in pids if psutil.pid_exists(pid)]


def test_a_stubborn_child_and_its_own_child_end_too(monkeypatch) -> None:
    monkeypatch.setattr("restorereports.management.supervisor.STOP_SECONDS", 0.3)
    program = Program("stubborn", [sys.executable, "-c", STUBBORN])

    with Supervisor([program]) as supervisor:
        supervisor.start()
        log = supervisor.log_of(program)
        wait_until(lambda: "of a stubborn parent" in log.read_text())
        child = int(re.search(r"child (\d+)", log.read_text())[1])
        assert psutil.pid_exists(child)

    wait_until(lambda: not psutil.pid_exists(child))
    assert not psutil.pid_exists(program.process.pid)


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_child_that_falls_is_started_again_until_told_to_stop(sign: int) -> None:
    program = Program("falling", SLEEP, pause=0.0)

    def kill_then_stop() -> None:
        first = program.process.pid
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: program.process.pid != first and program.alive)
        os.kill(os.getpid(), sign)

    with Supervisor([program]) as supervisor:
        supervisor.start()
        helper = threading.Thread(target=kill_then_stop)
        helper.start()
        supervisor.watch()
        assert supervisor.stopping
        helper.join()

    assert not program.alive


def test_a_program_that_does_not_come_up_is_named_with_its_log() -> None:
    program = Program("broken", [sys.executable, "-c", "raise SystemExit(3)"])

    with Supervisor([]) as supervisor:
        supervisor.start(program)
        with pytest.raises(CommandError, match=r"broken did not start; see .*broken\.log"):
            supervisor.wait_until_listening(free_port(), program)


def test_a_taken_port_is_one_clear_sentence(monkeypatch) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(CommandError, match=r"Port \d+ on 127.0.0.1 cannot be used .*PORT=8123"):
            refuse_taken_port(taken.getsockname()[1])

    refuse_taken_port(free_port())


def test_the_layout_is_that_of_production() -> None:
    programs = {program.name: program for program in installation(port=8000)}

    assert list(programs) == ["web", "sync-worker", "report-worker", "beat"]
    assert programs["report-worker"].command[:3] == ["nice", "-n", "10"]
    assert f"{settings.BIND}:8000" in programs["web"].command


def test_one_installation_runs_once(tmp_path) -> None:
    with Supervisor([]), pytest.raises(CommandError, match="already runs on"), Supervisor([]):
        pass

    with Supervisor([]):
        pass


@pytest.mark.parametrize(
    ("bind", "proxy", "address"),
    [
        ("127.0.0.1", "", "http://127.0.0.1:8000"),
        ("::1", "", "http://[::1]:8000"),
        ("127.0.0.1", "127.0.0.1", "https://reports.example.test"),
    ],
)
def test_the_address_that_people_use(settings, bind: str, proxy: str, address: str) -> None:
    settings.BIND, settings.PORT, settings.TRUSTED_PROXY = bind, 8000, proxy
    settings.ALLOWED_HOSTS = ["reports.example.test"]

    assert origin() == address
