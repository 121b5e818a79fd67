"""Can a scoped person tell by the clock whether something foreign is there? On a PostgreSQL of its own.

`python -m tests.bench.api_timing [--rows 200000]` grants one of twenty backup servers, and asks the API in turns for
what only others have, for what nobody has, and for something else that nobody has. It prints the medians, the ratio
foreign : nothing, and as noise the ratio nothing : nothing of the same run. A ratio within the noise tells nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta

from tests.bench import pages

REPEATS = 101
GRANTED, FOREIGN = 1, 2  # ids of backup servers
MARK = """
update restorereports_virtualmachine set name = 'foreign-' || id, name_key = encode(sha256(('foreign-' || id)::bytea), 'hex')
  where backup_server_id <> 1;
update restorereports_restoresession set job_type = 'ForeignType', state = 'Foreign'
  where backup_server_id <> 1 and id % 20 = 0;
update restorereports_restoresession set state = 'Stopped', job_type = 'RestoreVm', outcome = 'Success'
  where backup_server_id = 1
"""
QUESTIONS = {
    "a VM by part of its name, many foreign": "vm=foreign-",
    "a VM by part of its name, one foreign": "vm=foreign-4242",
    "a VM by its exact name": "vm_exact=foreign-4242",
    "a type": "job_type=ForeignType",
    "a state": "state=Foreign",
    "a backup server": f"backup_server={FOREIGN}",
    "an Enterprise Manager": "enterprise_manager={manager}",
}
NOTHING = {"vm": "nothing-{n}", "vm_exact": "nothing-{n}", "job_type": "Nothing{n}", "state": "Nothing{n}"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    rows = parser.parse_args().rows

    from tests.servers import postgres

    with postgres() as url:
        os.environ |= {
            "DATABASE_URL": url,
            "VAR_DIR": tempfile.mkdtemp(prefix="rr-bench-"),
            "DJANGO_SETTINGS_MODULE": "restorereports.settings",
            "LOG_LEVEL": "ERROR",
        }
        measure(rows)
    return 0


def measure(rows: int) -> None:
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import setup_test_environment

    setup_test_environment()
    call_command("migrate", verbosity=0)
    pages.prepare()
    pages.fill(0, rows)
    with connection.cursor() as cursor:
        cursor.execute(MARK)
        cursor.execute("vacuum analyze")
    ask = asker()
    print(f"{rows:,} restore sessions, median of {REPEATS} in turns, milliseconds")
    print(f"{'question':<52}{'foreign':>9}{'nothing':>9}{'ratio':>8}{'noise':>8}")
    for name, (foreign, nothing, again) in questions().items():
        compare(name, ask, foreign, nothing, again)


def asker() -> Callable[[str], float]:
    """Asks one address as a person to whom one backup server is granted; answers the milliseconds it took."""
    from django.test import Client
    from django.utils import timezone

    from restorereports.audit import THE_INSTALLATION
    from restorereports.models import ApiToken, Grant, User
    from restorereports.sign_in import tokens

    tokens.REQUESTS_A_MINUTE = 1_000_000  # type: ignore[misc]
    now = timezone.now()
    person = User.objects.create_user("scoped", password="bench", role=User.Role.AUDITOR)
    Grant.objects.create(user=person, backup_server_id=GRANTED)
    _token, text = tokens.make_token(
        person,
        name="bench",
        scopes=ApiToken.Scope.values,
        expires_at=now + timedelta(days=1),
        actor=THE_INSTALLATION,
        at=now,
    )
    client = Client(headers={"Authorization": f"Bearer {text}"})

    def ask(address: str) -> float:
        began = time.perf_counter()
        response = client.get(f"/api/v1/{address}")
        took = time.perf_counter() - began
        found = response.json()
        assert response.status_code == 404 or (not found.get("items") and not found.get("total")), address
        return took * 1000

    return ask


def questions() -> dict[str, tuple[str, str, str]]:
    """Addresses: what is foreign, what is not there, and something else that is not there."""
    from restorereports.models import SYSTEM, BackupServerSource, RestoreSession

    own = BackupServerSource.objects.get(backup_server=GRANTED).enterprise_manager_id
    found = {}
    for what, query in QUESTIONS.items():
        query = query.format(manager=3 - own)
        field, _is, _value = query.partition("=")
        empty = [f"{field}={NOTHING.get(field, '98765432{n}').format(n=n)}" for n in (1, 2)]
        for kind in ("restore-sessions", "restore-sessions/counts"):
            label = "count" if kind.endswith("counts") else "list"
            found[f"{label}, {what}"] = (f"{kind}?{query}", f"{kind}?{empty[0]}", f"{kind}?{empty[1]}")
    hidden = RestoreSession.objects.visible_to(SYSTEM).filter(backup_server=FOREIGN).first()
    names = (
        "virtual-machines?name=foreign-",
        "virtual-machines?name=nothing-1",
        "virtual-machines?name=nothing-2",
    )
    found["VMs by part of their name"] = names
    details = [f"restore-sessions/{pk}" for pk in (hidden.pk, 987654321, 987654322)]
    found["one restore session by its id"] = (details[0], details[1], details[2])
    return found


def compare(name: str, ask: Callable[[str], float], *addresses: str) -> None:
    took: dict[str, list[float]] = {address: [] for address in addresses}
    for turn in range(REPEATS + 5):
        for address in random.sample(addresses, len(addresses)):
            milliseconds = ask(address)
            if turn >= 5:  # the first ones warm the caches
                took[address].append(milliseconds)
    foreign, nothing, again = (statistics.median(took[address]) for address in addresses)
    print(
        f"{name:<52}{foreign:>9.2f}{nothing:>9.2f}{foreign / nothing:>8.3f}{again / nothing:>8.3f}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
