"""A population counted by hand: the first quarter of 2028 in Berlin, with every row that is easily counted wrong.

The quarter has the leap day and the night of 26 March, in which the clocks go forward; the longest window also has the
night of 31 October 2027, in which they go back. Each row says what it is there for; the figures at the end are the
hand's. Nothing here is computed by what it tests.
"""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from restorereports.models import (
    BackupServer,
    BackupServerSource,
    EnterpriseManager,
    Exemption,
    PolicyVersion,
    RestoreSession,
    RestoreSessionNote,
    RestoreSessionScope,
    User,
    VirtualMachine,
)
from restorereports.policies.terms import Machine, Rule, Terms, Tier
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_policy,
    make_presence,
    make_reconciliation,
    make_restore_session,
    make_run,
    make_source,
    make_user,
)

ZONE: Final = zoneinfo.ZoneInfo("Europe/Berlin")
START: Final = datetime(2027, 12, 31, 23, tzinfo=UTC)  # 1 January 2028, 00:00 CET
END: Final = datetime(2028, 3, 31, 22, tzinfo=UTC)  # 1 April 2028, 00:00 CEST
AS_OF: Final = datetime(2028, 4, 3, 6, tzinfo=UTC)
WHOLE: Final = RestoreSessionScope(start=START, end=END)
LONG_AGO: Final = datetime(2027, 1, 1, tzinfo=UTC)

TERMS: Final = Terms(
    tiers=(
        Tier(name="Gold", window_days=30, target=90, rto_minutes=60, rules=(Rule(name="GOLD-*"),)),
        Tier(name="Silver", window_days=90, target=50, rto_minutes=240, rules=(Rule(backup_server="vbr-b"),)),
        Tier(name="Bronze", window_days=365, target=40),
    ),
    preset="90",
    controls=("CIS v8.1 11.5",),
    exclude=(Rule(name="tmp-*"),),
    other_tier="Bronze",
    machines=(
        Machine(name="listed-unknown", backup_server="vbr-a", tier="Gold", owner="B. Sample", label="core"),
        Machine(name="gold-03", backup_server="vbr-a", owner="C. Specimen"),
    ),
)


@dataclass
class Golden:
    """What the tests need of it by name."""

    version: PolicyVersion
    em_1: EnterpriseManager
    em_2: EnterpriseManager
    a: BackupServer
    b: BackupServer
    c: BackupServer
    person: User
    rows: dict[str, RestoreSession]

    @property
    def complete_scope(self) -> RestoreSessionScope:
        """The two backup servers of which nothing is missing."""
        return RestoreSessionScope(start=START, end=END, backup_servers=(self.a.pk, self.b.pk))


def at(month: int, day: int, hour: int = 10, minute: int = 0, *, year: int = 2028) -> datetime:
    """UTC."""
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def make_golden() -> Golden:
    em_1, em_2 = (
        make_enterprise_manager(name=name, covered_from_at=LONG_AGO, oldest_received_at=LONG_AGO)
        for name in ("em-1", "em-2")
    )
    a, b = make_backup_server(em_1, name="vbr-a"), make_backup_server(em_1, name="vbr-b")
    c = make_backup_server(em_2, name="vbr-c")
    BackupServerSource.objects.create(
        enterprise_manager=em_2, backup_server=a, uid=a.uid, name=a.name, first_seen_at=LONG_AGO
    )
    BackupServerSource.objects.update(covered_from_at=LONG_AGO)
    for em in (em_1, em_2):
        make_inventory(make_full_run(em, started_at=at(4, 1, year=2027)))
        last = make_full_run(
            em, started_at=AS_OF - timedelta(hours=1), account="svc-read", role="Portal User"
        )
        make_inventory(last, vms=0)
        make_reconciliation(last)
    make_gap(
        em_2, at(3, 10), to_at=at(3, 15), run=make_run(em_2, started_at=at(3, 16))
    )  # only vbr-c lacks it
    made = Golden(make_policy(TERMS), em_1, em_2, a, b, c, make_user("operator"), {})
    _protect(made)
    _restore_gold(made)
    _restore_others(made)
    _exempt(made)
    _acknowledge(made)
    return made


def _protect(g: Golden) -> None:
    for name in (*(f"gold-{n:02}" for n in range(1, 21) if n not in (11, 12, 15, 16)), "tmp-15"):
        make_presence(g.a, g.em_1, name, LONG_AGO)
    make_presence(g.a, g.em_2, "gold-13", LONG_AGO)  # shown by both: one VM
    make_presence(g.a, g.em_1, "gold-11", at(3, 20))  # new
    make_presence(g.a, g.em_1, "gold-12", at(3, 20))  # new, and tested all the same
    make_presence(g.a, g.em_1, "gold-16", LONG_AGO, to_at=at(3, 20))  # not protected any more at the end
    for n in range(1, 5):
        make_presence(g.b, g.em_1, f"s-{n:02}", LONG_AGO)
    for n in range(1, 4):
        make_presence(g.c, g.em_2, f"c-{n:02}", LONG_AGO)


def _add(g: Golden, key: str, server: BackupServer, started_at: datetime, **values: Any) -> RestoreSession:
    """`key` begins with the VM's name; a success of 31 minutes, class test, unless told otherwise."""
    values = {"session_class": "test", "first_seen_at": started_at} | values
    em = g.em_2 if server == g.c else g.em_1
    name = key.partition(" ")[0]
    row = make_restore_session(server, enterprise_manager=em, vm_name=name, started_at=started_at, **values)
    g.rows[key] = row
    return row


def _restore_gold(g: Golden) -> None:
    hour = timedelta(hours=1)
    _add(g, "gold-01", g.a, at(3, 1, 23))  # 2 March 00:00 CET: the window's first moment
    before = at(3, 1, 23) - timedelta(milliseconds=1)  # one millisecond too old, and over its RTO
    _add(g, "gold-02", g.a, before, ended_at=before + timedelta(minutes=61))
    night = at(3, 26, 0, 30)  # 01:30 CET to 03:30 CEST: one hour, exactly its RTO
    _add(g, "gold-03", g.a, night, ended_at=night + hour, session_class="real")
    _add(g, "gold-04", g.a, at(3, 28), state="Working", result="None")
    _add(g, "gold-05", g.a, at(3, 30), result="None")  # no result; its time to be acknowledged is not over
    _add(g, "gold-06", g.a, at(3, 11), session_class="")  # class unset: does not count
    _add(g, "gold-07", g.a, at(3, 12), job_type="FileLevelRestore")
    _add(g, "gold-08", g.a, at(3, 13), result="Warning")  # acknowledged, but the policy wants no Warning
    _add(g, "gold-12", g.a, at(3, 29))
    make_source(_add(g, "gold-13", g.a, at(3, 20)), g.em_2)  # through two Enterprise Managers: one
    _add(g, "gold-14 failed", g.a, at(3, 18, 9), result="Failed")
    _add(g, "gold-14", g.a, at(3, 18, 10), session_class="real")  # the retry makes it good
    _add(g, "tmp-15", g.a, at(3, 5))  # excluded VM: counts as a restore session all the same
    _add(g, "gold-16", g.a, at(3, 10))
    _add(g, "gold-17", g.a, at(3, 21), ended_at=at(3, 20))  # negative duration
    _add(g, "gold-18", g.a, at(3, 22), ended_at=None)  # stopped, and no end
    _add(g, "gold-19", g.a, at(2, 1), result="Cancelled")  # a word that nobody knows
    _add(g, "gold-20", g.a, at(2, 2), state="Weird", result="Success")  # not seen stopped


def _restore_others(g: Golden) -> None:
    _add(g, "s-01", g.b, at(1, 1, 23))  # 2 January 00:00 CET: the window's first moment
    _add(g, "s-02 failed", g.b, START, result="Failed")  # the period's first moment
    _add(g, "s-02", g.b, at(2, 29, 12))  # the leap day
    _add(g, "s-02 after", g.b, END)  # the first moment after it
    carried = START - timedelta(minutes=30)  # 31 December, ends in the period: carried in
    _add(g, "s-03", g.b, carried, ended_at=START + timedelta(hours=1, minutes=30))
    _add(g, "s-04", g.b, at(2, 10), result="Failed")
    _add(g, "c-01", g.c, at(10, 31, 0, 30, year=2027))  # 02:30 CEST, the first of two
    _add(g, "c-03", g.c, at(3, 1, year=2027))  # too old, but a gap lies in the window


def _exempt(g: Golden) -> None:
    for name, ends in (("gold-09", at(6, 1)), ("gold-10", END - timedelta(seconds=1))):
        Exemption.objects.create(
            policy=g.version.policy,
            virtual_machine=VirtualMachine.objects.get(name=name),
            reason="Decommissioned in summer",
            approver="A. Auditor",
            given_at=at(1, 15),
            given_by=g.person,
            expires_at=ends,
        )


def _acknowledge(g: Golden) -> None:
    """In time: gold-08 and gold-14. Late: s-04, after 20 days."""
    for key, days in (("gold-08", 1), ("gold-14 failed", 14), ("s-04", 20)):
        row = g.rows[key]
        when = (row.ended_at or row.started_at) + timedelta(days=days)
        RestoreSessionNote.objects.create(
            restore_session=row, author=g.person, at=when, text=f"Looked at {key}", acknowledges=True
        )


# What the hand counted, at END, of everything.
VERDICTS: Final = {
    "overdue": ["gold-02", "s-03"],
    "never": [
        *("gold-04", "gold-05", "gold-06", "gold-07", "gold-08", "gold-10", "gold-19", "gold-20"),
        *("listed-unknown", "s-04"),
    ],
    "inconclusive": ["c-02", "c-03"],
    "due_soon": ["gold-01", "s-01"],
    "met": ["gold-03", "gold-12", "gold-13", "gold-14", "gold-17", "gold-18", "s-02", "c-01"],
    "new": ["gold-11"],
    "exempt": ["gold-09"],
}
# name: in scope, tested, measured, judgement, first day below the target
TIERS: Final = {
    "Gold": (19, 7, 17, "not_met", None),
    "Silver": (4, 2, 4, "met", "2028-04-02"),
    "Bronze": (3, 1, 3, "inconclusive", None),
}
COUNTS: Final = {
    "success": 14,
    "warning": 1,
    "failed": 3,
    "no_result": 1,
    "other": 1,
    "running": 2,
    "unknown": 0,
}
SUCCESS: Final = (14, 20)
# tier: (within the RTO, measured)
RTO: Final = {"Gold": (6, 7), "Silver": (2, 2), "Bronze": (0, 0)}
FOLLOW_UP: Final = (2, 5, 1)  # in time, of, still waiting
CARRIED_IN: Final = 1
