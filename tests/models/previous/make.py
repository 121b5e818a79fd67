"""Makes the dumps beside it: an installation as the previous release, commit 3362e8e, leaves it.

Run in a checkout of that commit, with an empty VAR_DIR, once for each engine:

    export VAR_DIR=$(mktemp -d) PYTHONPATH=. && python manage.py build_assets
    python …/tests/models/previous/make.py …/tests/models/previous
    VAR_DIR=$(mktemp -d) python -m tests.servers python …/tests/models/previous/make.py …/tests/models/previous

Nothing in them is secret: every name, password and key is invented here.
"""

from __future__ import annotations

import gzip
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World

CREDENTIALS_KEY = "cHJldmlvdXMtcmVsZWFzZS1vZi10aGUtdGVzdHMtMDA="
SECRET_KEY = "signs nothing but the log-ons of an invented installation of the tests"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PASSWORD = "invented for the tests"


def previous_world() -> World:
    """What both Enterprise Managers show; the same rows whenever it is made."""
    return World(seed=3362, sessions=96, servers=3, epoch=NOW, now=ManualClock(NOW), collect_interval=0)


def change(world: World) -> None:
    """Between the first sync and the second: ugly names, one still running, one with another result."""
    stopped = [record for record in world.visible_sessions() if record.state == "Stopped"]
    world.change_session(stopped[-1].uid, result="Failed" if stopped[-1].result != "Failed" else "Warning")
    for minutes, name in enumerate(["", "Ünï'cödé \\ 日本 💾", "=cmd|'x'!A1", 'a b; -- "c"', "<b>&amp;</b>"]):
        world.add_session(vm_name=name, created_at=NOW - timedelta(minutes=minutes + 5))
    world.add_session(vm_name="runs", state="Working", result="None", progress=40, ended_at=None)


def fill(world: World, server: StandInServer) -> None:
    """Accounts, two Enterprise Managers over one world, runs good and failed, reports by hand and by schedule."""
    from django.utils import timezone

    from restorereports.mirror.sync import sync
    from restorereports.models import EnterpriseManager, ReportSchedule, RestoreSessionScope, User
    from restorereports.reports import mail, render, request, schedule

    admin = User.objects.create_user("admin", password=PASSWORD, role="administrator")
    User.objects.create_user("auditor", password=PASSWORD, role="auditor", time_zone="Asia/Kathmandu")
    managers = []
    for name, password in (("em-north", "mirror"), ("em-south", "wrong")):
        manager = EnterpriseManager(name=name, url=server.url, username="mirror")
        manager.set_password(password, at=timezone.now())
        manager.trust_certificate(server.certificate_pem, server.fingerprint_sha256, at=timezone.now())
        manager.save()
        managers.append(manager)
    kinds = [sync(manager).status for manager in managers]
    assert kinds == ["good", "failed"], kinds  # the refused log-on pauses em-south
    managers[1].refresh_from_db()
    managers[1].set_password("mirror", at=timezone.now())
    managers[1].save()
    assert sync(managers[1]).status == "good"
    change(world)
    assert [sync(manager).status for manager in managers] == ["good", "good"]
    scope = RestoreSessionScope(start=NOW - timedelta(days=14), end=NOW)
    asked = request.request_report(
        scope=scope, zone="UTC", organisation="Example AG", requested_by=admin, at=timezone.now()
    )
    render.render_report(asked.pk, as_of=timezone.now())
    plan = ReportSchedule.objects.create(
        name="Monthly", recipients="auditor@example.test", zone="Europe/Berlin", first_month=date(2026, 10, 1)
    )
    plan.enterprise_managers.add(managers[0])
    schedule.plan_deliveries(as_of=timezone.now())
    mail.deliver_due(as_of=timezone.now())


def dump_sqlite(path: str) -> str:
    with closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump())


def dump_postgresql(url: str) -> str:
    command = ["pg_dump", "--no-owner", "--no-privileges", "--rows-per-insert=50", url]
    dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^\\(un)?restrict .*\n", "", dumped, flags=re.MULTILINE)  # psql's, and we are not psql


def main(folder: Path) -> None:
    os.environ |= {"CREDENTIALS_KEY": CREDENTIALS_KEY, "SECRET_KEY": SECRET_KEY}
    os.environ["DJANGO_SETTINGS_MODULE"] = "restorereports.settings"
    import django
    from django.conf import settings
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    world = previous_world()
    with StandInServer(world) as server:
        fill(world, server)
    connections.close_all()
    if url := os.environ.get("DATABASE_URL"):
        name, text = "postgresql", dump_postgresql(url.replace("postgres://", "postgresql://"))
    else:
        name, text = "sqlite", dump_sqlite(settings.DATABASES["default"]["NAME"])
    target = folder / f"{name}.sql.gz"
    target.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{target.name}: {len(text):,} characters, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
