"""`python -m tests.faults.driver`: a process of an installation that does what it is told, line by line.

A line on its input is `[function, {arguments}]` as JSON, a line on its output what that function returns.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

NO_LIMIT = 4_294_967_294  # pages, SQLite's own
_DISK = {"limit": NO_LIMIT}


def migrate() -> None:
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def add_em(*, url: str, pin: str) -> int:
    from django.utils import timezone

    from restorereports.models import EnterpriseManager

    em = EnterpriseManager(name="em-north", url=url, username="mirror", pin_sha256=pin)
    em.set_password("mirror", at=timezone.now())
    em.save()
    return em.pk


def sync_now(*, full: bool = False) -> dict[str, Any]:
    """One sync of the one Enterprise Manager, as `manage.py sync` and the workers do it."""
    from restorereports.mirror.sync import sync
    from restorereports.models import EnterpriseManager

    run = sync(EnterpriseManager.objects.get(), full=full)
    compared = getattr(run, "reconciliation", None)
    return {
        **{name: getattr(run, name) for name in ("status", "kind", "new", "error_kind", "error")},
        "error_detail": run.error_detail,
        "compared": compared.state if compared else "",
        "not_compared": compared.error if compared else "",
    }


def start_sync_in_child(*, full: bool) -> int:
    """The id of a new process that syncs; it ends by itself, or is ended."""
    pid = os.fork()
    if not pid:
        try:
            sync_now(full=full)
        finally:
            os._exit(0)
    return pid


def wait_for_child(*, pid: int) -> int:
    """0, or the signal that ended it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def age_heartbeat() -> int:
    """As if the time had passed after which a silent run counts as dead."""
    from datetime import timedelta

    from django.utils import timezone

    from restorereports.models import SyncRun

    return SyncRun.objects.running().update(heartbeat_at=timezone.now() - timedelta(minutes=2))


def rows() -> list[dict[str, str]]:
    from restorereports.models import EnterpriseManager, RestoreSession
    from tests.faults.conftest import mirrored

    em = EnterpriseManager.objects.get()
    return [mirrored(row, em) for row in RestoreSession.objects.select_related("backup_server")]


def sources() -> list[list[Any]]:
    """UID, whether it is marked missing, whether the XML is that of this UID."""
    from restorereports.models import RestoreSessionSource

    found = RestoreSessionSource.objects.select_related("restore_session").order_by("pk")
    return [
        [one.uid, one.missing_at is not None, one.uid in one.payload and one.uid == one.restore_session.uid]
        for one in found
    ]


def gaps() -> int:
    from restorereports.models import Gap

    return Gap.objects.count()


def runs() -> list[list[str]]:
    """Status and sentence of each run, the latest first."""
    from restorereports.models import SyncRun

    return [list(pair) for pair in SyncRun.objects.values_list("status", "error")]


def page() -> str:
    """What an administrator reads on the Enterprise Manager's page."""
    from django.conf import settings
    from django.test import Client
    from django.urls import reverse

    from restorereports.models import EnterpriseManager, User
    from tests.faults.conftest import as_read

    settings.ALLOWED_HOSTS = ["testserver"]
    person, _ = User.objects.get_or_create(username="administrator", defaults={"role": "administrator"})
    client = Client()
    client.force_login(person)
    address = reverse("enterprisemanager-detail", args=[EnterpriseManager.objects.get().pk])
    return as_read(client.get(address).content.decode())


def fill_disk(*, free_pages: int | None) -> int:
    """From now on every connection finds only so many pages of free space; None: as much as it likes."""
    from django.db import connection
    from django.db.backends.signals import connection_created

    with connection.cursor() as cursor:
        used = int(cursor.execute("PRAGMA page_count").fetchone()[0])
    _DISK["limit"] = NO_LIMIT if free_pages is None else used + free_pages
    connection_created.connect(_bound, dispatch_uid="disk")
    return used


def _bound(connection: Any, **_: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA max_page_count = {_DISK['limit']}")


def peak_megabytes() -> float:
    """Of this program alone: what getrusage says begins with the size of the process that started it."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "restorereports.settings")
    import django

    django.setup()
    from django.conf import settings
    from django.db import connections

    from restorereports.em import retries
    from restorereports.mirror import sync as sync_module

    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    sync_module.PAGE_SIZE = int(os.environ["TEST_PAGE_SIZE"])
    sync_module.CLOSE_PAUSE = 1.0
    retries.FIRST_WAIT = 0.02
    for line in sys.stdin:
        name, arguments = json.loads(line)
        connections.close_all()  # as a worker does between two tasks
        found = globals()[name](**arguments)
        print(json.dumps(found, default=str), flush=True)


if __name__ == "__main__":
    main()
