"""What a report against a policy costs: a month with 10,000 and a year with 1,000,000 restore sessions, in PostgreSQL.

`python -m tests.bench.evidence [--rows 1000000]` fills a database of its own, asks for a report of each as the
application does, and prints seconds by part (figures, frozen files, document), the PDF's pages and size and the peak
memory of a process that made nothing else. The base is the report of an empty month, which both sizes stand beside.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import pages

END = datetime(2026, 10, 1, tzinfo=UTC)  # of the year and of its last month
PERIODS = {
    "an empty month": (datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)),
    "a month": (datetime(2026, 9, 1, tzinfo=UTC), END),
    "a year": (datetime(2025, 10, 1, tzinfo=UTC), END),
}
PRESENCES = """
insert into restorereports_presence
  (virtual_machine_id, enterprise_manager_id, from_at, to_at, restore_points, newest_point_at, newest_point_uid, checked_at)
select id, 1 + backup_server_id % 2, '2023-01-01Z', null, 30, '2026-09-30Z', 'point', '2026-09-30Z'
from restorereports_virtualmachine
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        return make_one(given.one)

    from tests.servers import postgres

    with postgres() as url:
        os.environ |= {
            "DATABASE_URL": url,
            "VAR_DIR": tempfile.mkdtemp(prefix="rr-bench-"),
            "DJANGO_SETTINGS_MODULE": "restorereports.settings",
            "LOG_LEVEL": "ERROR",
        }
        fill(given.rows)
        for name in PERIODS:
            subprocess.run([sys.executable, "-m", "tests.bench.evidence", "--one", name], check=True)
    return 0


def fill(rows: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection

    from restorereports.models import BackupServerSource, EnterpriseManager, SyncRun
    from tests.factories import make_full_run, make_inventory, make_reconciliation

    call_command("migrate", verbosity=0)
    pages.prepare()
    long_ago = datetime(2022, 1, 1, tzinfo=UTC)
    EnterpriseManager.objects.update(covered_from_at=long_ago, oldest_received_at=long_ago)
    BackupServerSource.objects.update(covered_from_at=long_ago)
    SyncRun.objects.all().update(started_at=long_ago)
    for em in EnterpriseManager.objects.all():
        make_inventory(make_full_run(em, started_at=long_ago))
        last = make_full_run(em, started_at=datetime(2026, 10, 1, 3, tzinfo=UTC))
        make_inventory(last)
        make_reconciliation(last)
    began = time.monotonic()
    pages.YEARS = 1
    _sessions(0, rows - rows // 100, END, "365 days")
    _sessions(rows - rows // 100, rows, END, "30 days")
    with connection.cursor() as cursor:
        cursor.execute(PRESENCES)
        cursor.execute("vacuum analyze")
    print(
        f"filled {rows:,} restore sessions of {pages.MACHINES:,} VMs in {time.monotonic() - began:.0f} s",
        flush=True,
    )


def _sessions(have: int, want: int, end: datetime, span: str) -> None:
    """Evenly over the span before `end`."""
    from django.db import connection

    text = pages.FILL.replace("interval '%(years)s years'", f"interval '{span}'")
    with connection.cursor() as cursor:
        cursor.execute(text, {"machines": pages.MACHINES, "now": end, "first": have + 1, "last": want})
        cursor.execute(
            pages.FILL_SOURCES.replace("where s.id > %(after)s", "where s.id > %(after)s and s.id <= %(to)s"),
            {"after": have, "to": want, "payload": b"x"},
        )


def make_one(name: str) -> int:
    """One report in this process, from the request to the file."""
    import django

    django.setup()
    from restorereports.models import Report, RestoreSessionScope, User
    from restorereports.policies.terms import Rule, Terms, Tier
    from restorereports.reports.files import path_of
    from restorereports.reports.render import render_report
    from restorereports.reports.request import request_report
    from tests.factories import make_policy

    terms = Terms(
        tiers=(
            Tier(name="Tier 1", window_days=90, target=95, rto_minutes=60, rules=(Rule(name="payroll*"),)),
            Tier(name="Tier 2", window_days=365, target=80, rto_minutes=240),
        ),
        other_tier="Tier 2",
    )
    start, end = PERIODS[name]
    report = request_report(
        scope=RestoreSessionScope(start=start, end=end),
        zone="Europe/Berlin",
        organisation="Example AG",
        requested_by=User.objects.get(),
        at=datetime(2026, 10, 1, 4, tzinfo=UTC),
        policy_version=make_policy(terms),
    )
    began = time.monotonic()
    render_report(report.pk, as_of=datetime(2026, 10, 1, 4, tzinfo=UTC))
    seconds = time.monotonic() - began
    made = Report.objects.get(pk=report.pk)
    if made.status != Report.Status.READY:
        raise RuntimeError(made.error)
    size = path_of(made).stat().st_size / 1e6
    print(
        f"{name:<16}{made.rows:>10,} rows{seconds:>8.1f} s{made.pages:>5} pages{size:>8.1f} MB PDF"
        f"{_peak_megabytes():>7} MB peak",
        flush=True,
    )
    return 0


def _peak_megabytes() -> int:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


if __name__ == "__main__":
    sys.exit(main())
