"""A small population of July 2026 (UTC), counted by hand; the tests' golden figures are of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from restorereports.models import (
    BackupServer,
    BackupServerSource,
    EnterpriseManager,
    Gap,
    GapNote,
    RestoreSession,
    RestoreSessionScope,
)
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_outage,
    make_presence,
    make_reconciliation,
    make_restore_session,
    make_run,
    make_user,
)

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

    Before it, in June, 1 Success that ended in July and 1 Failed. July is complete and was compared with EM.
    """
    manager = make_enterprise_manager(
        name="em-north",
        oldest_received_at=datetime(2026, 5, 10, tzinfo=UTC),
        covered_from_at=datetime(2026, 5, 10, tzinfo=UTC),
        shown_window=timedelta(days=91, hours=3),
        window_is_cut=True,
        pin_sha256="ab" * 32,
    )
    people = Population(
        manager, make_backup_server(manager, name="vbr-a"), make_backup_server(manager, name="vbr-b")
    )
    for day in (datetime(2026, 5, 20, tzinfo=UTC), july(1), july(15), AS_OF - timedelta(hours=1)):
        last = make_full_run(
            manager,
            started_at=day,
            role="Portal User",
            api_versions="v1_7",
            seen=5,
            new=2,
            restore_scope="full",
        )
    BackupServerSource.objects.update(covered_from_at=manager.covered_from_at)
    servers = [[people.a.pk, 6, 6], [people.b.pk, 7, 7]]
    make_reconciliation(last, listed=13, held=13, counted=15, mirrored=15, servers=servers)
    make_inventory(last, vms=2, overview_backed_up=2, overview_protected=2)
    for name in ("vm1", "vm2"):
        make_presence(people.a, manager, name, datetime(2026, 6, 1, tzinfo=UTC))
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


def make_troubles(people: Population, *, name: str = "em-south") -> EnterpriseManager:
    """A second Enterprise Manager with all that can be wrong: gaps with notes, outages, differences, clocks."""
    start = datetime(2026, 5, 10, tzinfo=UTC)
    manager = make_enterprise_manager(
        name=name, oldest_received_at=start, covered_from_at=start, shown_window=timedelta(days=20)
    )
    servers = [make_backup_server(manager, name=f"{name}-{n}") for n in ("1", "2", "removed")]
    BackupServerSource.objects.filter(enterprise_manager=manager).update(covered_from_at=start)
    BackupServerSource.objects.filter(backup_server=servers[2]).update(removed_at=july(18))
    closing = make_full_run(manager, started_at=AS_OF - timedelta(hours=4))
    make_reconciliation(closing)
    last = make_full_run(
        manager,
        started_at=AS_OF - timedelta(hours=2),
        role="Restore Operator",
        api_versions="v1_6, v1_7",
        restore_scope="custom",
        clock_skew_seconds=-90,
        database_skew_seconds=0.2,
    )
    only_em = [f"urn:veeam:RestoreSession:{n:08}-0000-4000-8000-0000000000aa" for n in range(12)]
    make_reconciliation(
        last,
        state="different",
        retried=True,
        listed=120,
        held=110,
        counted=500,
        mirrored=489,
        servers=[[servers[0].pk, 100, 88], [servers[1].pk, 18, 20], [None, 2, 2]],
        only_em_count=12,
        only_em=only_em,
        only_mirror_count=2,
        only_mirror=only_em[:2],
    )
    make_inventory(last, vms=3, overview_backed_up=5, overview_protected=6)
    make_presence(servers[0], manager, "vm1", july(1))
    make_presence(servers[0], manager, "vm2", july(1), to_at=july(30))
    gap = make_gap(manager, july(3), to_at=july(9), run=closing, detail="Log-on refused. Check the account.")
    author = make_user(first_name="B.", last_name="Sample")
    for text in ("The account was locked.", "Its password was changed on 9 July. " * 9):
        GapNote.objects.create(gap=gap, author=author, at=AS_OF - timedelta(hours=1), text=text)
    make_gap(
        manager, july(12), to_at=july(14), run=closing, cause=Gap.Cause.SERVER_AWAY, backup_server=servers[1]
    )
    make_outage(manager, july(20), to_at=july(24), run=closing, message="Failed to connect to em-south-1")
    make_outage(manager, july(27), run=closing, backup_server=servers[1], message="")
    return manager
