"""What a sync costs: `python -m tests.bench.sync [SESSIONS]`, on DATABASE_URL or a SQLite file of its own.

One Enterprise Manager with so many restore sessions, most of them within EM's 30 days. A first sync, a full sync of
the same data, and an incremental one, each in a process of its own. Prints seconds, the peak memory of the process
and what it wrote; the last line compares the two full runs as a ratio. Only 127.0.0.1 is spoken to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.walk.installation import Installation

LIMIT_MB = 250
_MEASURED = """
import re
from django.core.management import call_command
from django.db import connection
call_command("sync", *{arguments!r}, verbosity=0)
print("PEAK", int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024)
"""
_STATE = """
import hashlib, json
from django.apps import apps
from django.db import connection
state = {}
for model in apps.get_app_config("restorereports").get_models():
    digest, n = hashlib.sha256(), 0
    fields = [f.attname for f in model._meta.concrete_fields if f.attname != "payload_zlib"]
    for row in model._base_manager.order_by("pk").values_list(*fields).iterator(chunk_size=5000):
        digest.update(repr(row).encode())
        n += 1
    state[model.__name__] = [n, digest.hexdigest()]
print("STATE" + json.dumps(state))
"""


def measured(installation: Installation, *arguments: str) -> tuple[float, int]:
    """Seconds and peak MB of one `sync` in a process of its own."""
    began = time.monotonic()
    code = _MEASURED.format(arguments=list(arguments))
    said = shell(installation, code)
    return time.monotonic() - began, int(said.rpartition("PEAK")[2])


def state_of(installation: Installation) -> dict[str, tuple[int, str]]:
    return json.loads(shell(installation, _STATE).rpartition("STATE")[2])


def shell(installation: Installation, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\n{code}"],
        env=installation.environment
        | {"DJANGO_SETTINGS_MODULE": "restorereports.settings", "LOG_LEVEL": "WARNING"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout


def main(sessions: int) -> None:
    now = datetime.now(UTC)
    world = World(sessions=sessions, servers=5, now=ManualClock(now), collect_interval=0, late_server=False)
    with tempfile.TemporaryDirectory(prefix="rr-bench-") as folder, StandInServer(world) as server:
        installation = Installation(Path(folder))
        installation.manage("migrate", "-v", "0")
        installation.add_em(server)
        worst = 0
        times = {}
        for name, arguments in (
            ("first", ()),
            ("full again", ("--full",)),
            ("incremental", ()),
        ):
            before = state_of(installation)
            seconds, peak = measured(installation, *arguments)
            after = state_of(installation)
            touched = sorted(table for table in after if after[table] != before[table])
            times[name], worst = seconds, max(worst, peak)
            print(f"{name:12} {seconds:8.1f} s  peak {peak:4} MB  wrote {', '.join(touched)}", flush=True)
        print(
            f"{len(world.visible())} restore sessions in EM; full again / first: {times['full again'] / times['first']:.2f}"
        )
        if worst > LIMIT_MB:
            raise SystemExit(f"the sync took {worst} MB, more than {LIMIT_MB}")


if __name__ == "__main__":
    os.environ.setdefault("LANG", "C.UTF-8")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
