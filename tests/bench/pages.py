"""How long every page takes over a small and over a large history, on a PostgreSQL of its own.

`python -m tests.bench.pages [--rows 2000000]` fills 20,000 restore sessions (and a tenth as many sync runs), times
each request, fills up to `--rows`, times again and prints both with their ratio. Exit code 1 when a page of the
large history takes a second or more. Times are the median of five requests through Django's test client,
templates included.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
import zlib
from urllib.parse import quote

SMALL = 20_000
REPEATS = 5
LIMIT_SECONDS = 1.0

SERVERS, MACHINES, YEARS = 20, 5000, 3

FILL = """
insert into restorereports_restoresession
  (backup_server_id, virtual_machine_id, uid, name, vm_name, vm_sort, job_type, state, result, outcome, progress,
   started_at, ended_at, duration_ms, restore_point_uid, restore_point_name, restored_object_ref, failure_message,
   first_seen_at, session_class, class_by_hand)
select m.backup_server_id, m.id, 'urn:veeam:RestoreSession:' || gen_random_uuid(),
  m.name || '@' || t.at, m.name, left(lower(m.name), 100),
  case when t.dice < 0.4 then 'FileLevelRestore' when t.dice < 0.9999 then 'RestoreVm' else 'StartFailover' end,
  case when t.outcome = 'Running' then 'Working' else 'Stopped' end,
  case t.outcome when 'Running' then 'None' when 'NoResult' then 'None' when 'Other' then 'Exploded' else t.outcome end,
  t.outcome, 100, t.at,
  case when t.outcome = 'Running' then null else t.at + t.ms * interval '1 millisecond' end,
  case when t.outcome = 'Running' then null else t.ms end,
  '', m.name || '@backup', '', '', t.at,
  case when t.dice between 0.4 and 0.7 then 'test' when t.dice between 0.7 and 0.9 then 'real' else '' end, false
from (
  select n, 1 + (random() * (%(machines)s - 1))::int as machine, random() as dice,
    %(now)s::timestamptz - random() * interval '%(years)s years' as at, (random() * 7200000)::int as ms,
    (array['Success','Warning','Failed','NoResult','Other','Running'])[
      width_bucket(random(), array[0, 0.93, 0.96, 0.995, 0.999, 0.9999]::float8[])] as outcome
  from generate_series(%(first)s, %(last)s) n
) t join restorereports_virtualmachine m on m.object_ref = 'bench-' || t.machine
"""
FILL_SOURCES = """
insert into restorereports_restoresessionsource
  (restore_session_id, enterprise_manager_id, uid, first_seen_at, first_seen_run_id, payload_digest, payload_zlib)
select s.id, 1 + s.backup_server_id %% 2, s.uid, s.first_seen_at, 1, '\\x00', %(payload)s
from restorereports_restoresession s where s.id > %(after)s
"""
FILL_RUNS = """
insert into restorereports_syncrun
  (enterprise_manager_id, kind, trigger, status, started_at, heartbeat_at, ended_at, page, pages, seen, new, changed,
   unchanged, missing, asked_by_id, unanswered, asked_up_to, account, role, api_versions, restore_scope, collector,
   error_kind, error, error_detail)
select 1 + n %% 2, 'incremental', 'schedule', case when n %% 50 = 0 then 'failed' else 'good' end, t.at, t.at, t.at,
  1, 1, 10, 0, 0, 10, 0, 0, 0, 0, 'mirror', 'Portal User', 'v1_7', '', '', '', '', ''
from generate_series(%(first)s, %(last)s) n, lateral (select %(now)s::timestamptz - n * interval '1 second' as at) t
"""

URLS = {
    "list, last 30 days": "/",
    "list, all": "/?period=all",
    "list, all, 250 rows": "/?period=all&rows=250",
    "list, a VM by part of its name": "/?period=all&vm=payroll-db22",
    "list, a VM part that many have": "/?period=all&vm=web",
    "list, a VM by its exact name": "/?period=all&vm_exact=payroll-db22",
    "list, no such VM": "/?period=all&vm=nothing-of-that-name",
    "list, one server": "/?period=all&backup_server=3",
    "list, one Enterprise Manager": "/?period=all&enterprise_manager=1",
    "list, failed": "/?period=all&outcome=Failed",
    "list, running": "/?period=all&outcome=Running",
    "list, a rare type": "/?period=all&job_type=StartFailover",
    "list, a rare type of one server that failed": "/?period=all&job_type=StartFailover&backup_server=3&outcome=Failed",
    "list, working": "/?period=all&state=Working",
    "list, by VM": "/?period=all&sort=vm_name",
    "list, by VM, descending": "/?period=all&sort=-vm_name",
    "list, by result": "/?period=all&sort=outcome",
    "list, by type": "/?period=all&sort=-job_type",
    "list, by duration": "/?period=all&sort=-duration_ms",
    "list, by end": "/?period=all&sort=-ended_at",
    "list, oldest first": "/?period=all&sort=started_at",
    "Enterprise Managers": "/enterprise-managers/",
    "an Enterprise Manager": "/enterprise-managers/1/",
    "reports": "/reports/",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    rows = parser.parse_args().rows

    from tests.servers import postgres

    with postgres() as url:
        os.environ |= {
            "DATABASE_URL": url,
            "VAR_DIR": tempfile.mkdtemp(prefix="rr-bench-"),
            "DJANGO_SETTINGS_MODULE": "restorereports.settings",
            "LOG_LEVEL": "ERROR",
        }
        return measure(rows)


def measure(rows: int) -> int:
    import django

    django.setup()
    from django.core.management import call_command
    from django.test.utils import setup_test_environment

    setup_test_environment()  # responses tell their context: the links to the next page

    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)
    prepare()
    fill(0, SMALL)
    small = time_all()
    began = time.monotonic()
    fill(SMALL, rows)
    print(f"filled {rows:,} rows in {time.monotonic() - began:.0f} s", flush=True)
    large = time_all()
    print(f"{'page':<46}{SMALL:>12,}{rows:>12,}   ratio")
    for name in small:
        print(f"{name:<46}{small[name]:>10.3f} s{large[name]:>10.3f} s{large[name] / small[name]:>7.1f}")
    slow = [name for name, seconds in large.items() if seconds >= LIMIT_SECONDS]
    print(
        f"slowest {max(large.values()):.3f} s; {len(slow)} of {len(large)} pages take {LIMIT_SECONDS:g} s or more"
    )
    return 1 if slow else 0


def prepare() -> None:
    """Two Enterprise Managers, a run, servers and VMs; an administrator."""
    from django.utils import timezone

    from restorereports.models import (
        BackupServer,
        BackupServerSource,
        EnterpriseManager,
        SyncRun,
        User,
        VirtualMachine,
    )
    from restorereports.models.virtual_machine import name_key

    now = timezone.now()
    User.objects.create_user("bench", password="bench", role=User.Role.ADMINISTRATOR)
    ems = []
    for name in ("em-north", "em-south"):
        em = EnterpriseManager(name=name, url="https://127.0.0.1:9", username="mirror")
        em.set_password("x", at=now)
        em.save()
        ems.append(em)
        SyncRun.objects.create(
            enterprise_manager=em, kind="full", status="good", started_at=now, heartbeat_at=now, ended_at=now
        )
    for n in range(SERVERS):
        server = BackupServer.objects.create(
            uid=f"bench-{n}", name=f"vbr-{n:02}.example.test", first_seen_at=now
        )
        BackupServerSource.objects.create(
            enterprise_manager=ems[server.pk % 2],
            backup_server=server,
            uid=server.uid,
            name=server.name,
            first_seen_at=now,
        )
    words = ("payroll-db", "erp-web", "file-srv", "mail-relay", "git", "dns", "wiki", "crm-app")
    VirtualMachine.objects.bulk_create(
        VirtualMachine(
            backup_server_id=1 + n % SERVERS,
            name=(name := f"{words[n % len(words)]}{n}"),
            name_key=name_key(name),
            object_ref=f"bench-{n}",
            first_seen_at=now,
        )
        for n in range(1, MACHINES + 1)
    )


def fill(have: int, want: int) -> None:
    from django.db import connection
    from django.utils import timezone

    values = {"machines": MACHINES, "years": YEARS, "now": timezone.now()}
    with connection.cursor() as cursor:
        cursor.execute("select coalesce(max(id), 0) from restorereports_restoresession")
        after = cursor.fetchone()[0]
        cursor.execute(FILL, values | {"first": have + 1, "last": want})
        payload = zlib.compress(os.urandom(300).hex().encode() + b"<RestoreSession/>" * 20)
        cursor.execute(FILL_SOURCES, {"after": after, "payload": payload})
        cursor.execute(FILL_RUNS, {"first": have // 10 + 1, "last": want // 10, "now": values["now"]})
        cursor.execute("vacuum analyze")


def time_all() -> dict[str, float]:
    from django.test import Client

    from restorereports.models import SYSTEM, RestoreSession, User

    client = Client()
    client.force_login(User.objects.get())
    middle = RestoreSession.objects.visible_to(SYSTEM).order_by("-started_at")[5000:5001].get()
    urls = URLS | {"a restore session": f"/restore-sessions/{middle.pk}/"} | deep_pages(client)
    return {name: time_one(client, url) for name, url in urls.items()}


def deep_pages(client) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """Page 2 of some orders, by the link a person would follow, and the last page of all."""
    found = {}
    for name in ("list, all", "list, by VM", "list, by duration", "list, by result"):
        response = client.get(URLS[name])
        found[f"{name}, next page"] = f"{URLS[name]}&cursor={quote(response.context['page'].older)}"
    return found


def time_one(client, url: str) -> float:  # type: ignore[no-untyped-def]
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        response = client.get(url)
        times.append(time.perf_counter() - began)
        if response.status_code != 200:
            raise RuntimeError(f"{url} answered {response.status_code}")
    return statistics.median(times)


if __name__ == "__main__":
    sys.exit(main())
