"""A small population of July 2026 (UTC), counted by hand; the tests' golden figures are of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from restorereports.models import BackupServer, EnterpriseManager, RestoreSession, RestoreSessionScope
from tests.factories import make_backup_server, make_enterprise_manager, make_restore_session, make_run

JULY = RestoreSessionScope(start=datetime(2026, 7, 1, tzinfo=UTC), end=datetime(2026, 8, 1, tzinfo=UTC))
AS_OF = datetime(2026, 8, 1, 6, tzinfo=UTC)


def july(day: int, hour: int = 10, minute: int = 0) -> datetime:
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC)


@dataclass
class Population:
    manager: EnterpriseManager
    a: BackupServer
    b: BackupServer

    def add(self, server: BackupServer, vm_name: str, started_at: datetime, **values: Any) -> RestoreSession:
        minutes = values.pop("minutes", 10)
        if "ended_at" not in values and values.get("state", "Stopped") == "Stopped":
            values["ended_at"] = started_at + timedelta(minutes=minutes)
        return make_restore_session(
            server, enterprise_manager=self.manager, vm_name=vm_name, started_at=started_at, **values
        )


def make_population() -> Population:
    """In July 13: 6 Success, 1 Warning, 2 Failed, 1 without result, 1 Other, 2 in progress.

    Before it, in June, 1 Success that ended in July and 1 Failed.
    """
    manager = make_enterprise_manager(
        name="em-north",
        oldest_received_at=datetime(2026, 5, 10, tzinfo=UTC),
        pin_sha256="ab" * 32,
    )
    people = Population(
        manager, make_backup_server(manager, name="vbr-a"), make_backup_server(manager, name="vbr-b")
    )
    for day in (datetime(2026, 5, 20, tzinfo=UTC), july(1), july(15), AS_OF - timedelta(hours=1)):
        make_run(manager, started_at=day, role="Portal User", api_versions="v1_7", seen=5, new=2)
    make_run(manager, started_at=july(16), status="failed", error="refused")
    a, b = people.a, people.b
    people.add(a, "vm1", july(2), minutes=10)
    people.add(a, "vm1", july(3), minutes=20)
    people.add(a, "vm1", july(5), result="Failed", minutes=30, failure_message="Storage is not reachable")
    people.add(a, "vm1", july(5, 20), minutes=40)
    people.add(a, "vm2", july(6), result="Warning", minutes=50)
    people.add(a, "vm2", july(7), result="None", ended_at=None, duration_ms=None)
    people.add(b, "vm1", july(10), result="Failed", minutes=60)
    people.add(b, "vm1", july(11, 10, 1), minutes=70)
    people.add(b, "vm3", july(12), job_type="FileLevelRestore", minutes=180)
    people.add(b, "vm3", july(13), result="Cancelled", minutes=5)
    people.add(b, "vm3", july(20), state="Working", result="None")
    people.add(b, "vm3", july(31, 22), state="Starting", result="None")
    people.add(b, "", july(31, 23, 59), minutes=15)
    people.add(a, "vm2", datetime(2026, 6, 30, 23, tzinfo=UTC), minutes=120)
    people.add(b, "vm1", datetime(2026, 6, 2, tzinfo=UTC), result="Failed")
    return people
