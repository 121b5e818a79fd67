"""Starts the processes of one installation on one machine, keeps them alive, ends every one of them.

Knows no Django beyond the settings: `run` and `demo` stand behind it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

from django.conf import settings
from django.core.management.base import CommandError

STOP_SECONDS = 15
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Linux ends this process when its parent dies, even by kill -9: no process is left behind."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class Program:
    """One child: restarted when it ends by itself, at most once every `pause` seconds."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    pause: float = 2.0
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0

    def start(self, log: Path) -> None:
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd=settings.BASE_DIR,
                start_new_session=True,  # Ctrl-C reaches the supervisor alone, which ends them in order
                preexec_fn=end_with_parent,
            )
        self.started = time.monotonic()

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


def host_in_url() -> str:
    """BIND as an address writes it: IPv6 in brackets."""
    bare = settings.BIND.strip("[]")
    return f"[{bare}]" if ":" in bare else str(bare)


def origin() -> str:
    """Where people reach the pages: through the TLS proxy where there is one, else where we listen."""
    if settings.TRUSTED_PROXY:
        return f"https://{settings.ALLOWED_HOSTS[0]}"
    return f"http://{host_in_url()}:{settings.PORT}"


def manage(*arguments: str) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), *arguments]


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "restorereports", *arguments]


def _worker(name: str, queue: str, threads: int) -> list[str]:
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
    return _celery("worker", "-n", f"{name}@%h", "-Q", queue, "--pool", "threads", "-c", str(threads), *quiet)


def installation(*, port: int) -> list[Program]:
    """Web, one worker for syncs, one for reports at low priority, one beat: the layout of production."""
    gunicorn = [
        *(sys.executable, "-m", "gunicorn", "restorereports.wsgi", "--bind", f"{host_in_url()}:{port}"),
        *("--workers", "2", "--threads", "4", "--no-control-socket", "--log-level", "warning"),
        *("--forwarded-allow-ips", settings.TRUSTED_PROXY or "127.0.0.1"),
    ]
    schedule = ("-s", settings.CELERY_BEAT_SCHEDULE_FILENAME, "--pidfile=", "--loglevel", "WARNING")
    return [
        Program("web", gunicorn),
        Program("sync-worker", _worker("sync", "sync,wake", 16)),
        Program("report-worker", ["nice", "-n", "10", *_worker("reports", "reports,wake", 2)]),
        Program("beat", _celery("beat", *schedule)),
    ]


def refuse_taken_port(port: int) -> None:
    """One clear sentence, before anything is set up."""
    family = socket.AF_INET6 if ":" in settings.BIND else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.BIND.strip("[]"), port))
        except OSError as failure:
            raise CommandError(
                f"Port {port} on {settings.BIND} cannot be used ({failure.strerror}). "
                "Choose another one: PORT=8123 make demo (or make run)."
            ) from None


class Supervisor:
    """Runs programs until Ctrl-C or SIGTERM; a context manager that leaves none of them behind."""

    def __init__(self, programs: Sequence[Program]) -> None:
        self._programs = list(programs)
        self._stopping = threading.Event()
        self._logs = settings.VAR_DIR / "log"
        self._before: dict[int, object] = {}
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Supervisor:
        self._logs.mkdir(mode=0o700, exist_ok=True)
        self._lock = (settings.VAR_DIR / "supervisor.lock").open("wb")
        try:
            fcntl.flock(
                self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB
            )  # the system lets go of it, whatever happens
        except OSError:
            self._lock.close()
            raise CommandError(
                f"Restore Reports already runs on {settings.VAR_DIR}. End that one first, or set another VAR_DIR."
            ) from None
        for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._before[sign] = signal.signal(sign, self._stop)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._end_all()
        for sign, handler in self._before.items():
            signal.signal(sign, handler)  # type: ignore[arg-type]
        if self._lock:
            self._lock.close()

    def _stop(self, _sign: int, _frame: FrameType | None) -> None:
        self._stopping.set()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def log_of(self, program: Program) -> Path:
        return Path(self._logs) / f"{program.name}.log"

    def start(self, program: Program | None = None) -> None:
        for one in [program] if program else self._programs:
            if one not in self._programs:
                self._programs.append(one)
            if not self.stopping and not one.alive:
                one.start(self.log_of(one))

    def wait_until_listening(self, port: int, program: Program, *, host: str = "127.0.0.1") -> None:
        """Until the program accepts connections; CommandError with its log's name when it ends instead."""
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
                return
            if self.stopping:
                return
            if not program.alive:
                raise CommandError(f"{program.name} did not start; see {self.log_of(program)}")
            time.sleep(0.1)
        raise CommandError(f"{program.name} does not answer on port {port}; see {self.log_of(program)}")

    def watch(self) -> None:
        """Until told to stop: a program that ended by itself is started again."""
        while not self._stopping.wait(0.5):
            for program in self._fallen():
                sys.stderr.write(
                    f"{program.name} ended; starting it again, its log is {self.log_of(program)}\n"
                )
                program.start(self.log_of(program))

    def _fallen(self) -> Iterator[Program]:
        for program in self._programs:
            if not program.alive and time.monotonic() - program.started > program.pause:
                yield program

    def _end_all(self) -> None:
        """SIGTERM to all, a grace time together, then SIGKILL to whole groups (their children too)."""
        running = [program.process for program in self._programs if program.process is not None]
        for process in running:
            if process.poll() is None:
                process.terminate()
        until = time.monotonic() + STOP_SECONDS
        for process in running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, until - time.monotonic()))
        for process in running:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
