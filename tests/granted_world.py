"""A small installation in which half of everything is foreign to a person with grants, and bears a mark.

Whatever a scoped person is shown must hold neither the mark nor one of the numbers that only foreign rows make up.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.utils import timezone

from restorereports.models import (
    BackupServer,
    ClassChange,
    ClassRules,
    Delivery,
    EnterpriseManager,
    Exemption,
    Gap,
    GapNote,
    Policy,
    PolicyVersion,
    Report,
    ReportSchedule,
    RestoreSession,
    RestoreSessionNote,
    User,
    VirtualMachine,
)
from restorereports.policies.class_rules import ClassRule, plain_rules
from restorereports.policies.terms import Machine, Rule, Terms, Tier
from restorereports.reports.files import path_of
from restorereports.reports.register import Kind, enter
from tests.factories import (
    make_backup_server,
    make_change,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_outage,
    make_policy,
    make_presence,
    make_reconciliation,
    make_report,
    make_restore_session,
    make_schedule,
    make_user,
)

MARK = "zzforeign"
# What only rows beyond the grant add up to: run counts, EM's own counts, inventories.
FOREIGN_NUMBERS = ("71717", "71,717", "72727", "72,727", "73737", "73,737", "74747", "74,747")
SCOPED_ROLES = (User.Role.VIEWER, User.Role.AUDITOR, User.Role.OPERATOR, User.Role.POLICY_OWNER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Half:
    """One thing of each kind."""

    em: EnterpriseManager
    server: BackupServer
    vm: VirtualMachine
    row: RestoreSession
    gap: Gap
    report: Report
    schedule: ReportSchedule
    delivery: Delivery
    person: User
    exemption: Exemption


@dataclass(frozen=True, kw_only=True, slots=True)
class World:
    """`shared` shows a granted and a foreign backup server; it was not granted as a whole."""

    own: Half
    foreign: Half
    shared: EnterpriseManager
    shared_row: RestoreSession
    shared_foreign_row: RestoreSession
    shared_gap: Gap
    part: BackupServer
    policy: PolicyVersion  # of the whole estate: its rules and its list name what is foreign
    retired: Policy

    def scoped(self, role: str, **values: Any) -> User:
        return make_user(role, self.own.em, self.part, **values)


def leaks_in(text: str) -> list[str]:
    """What a scoped person must not have been shown."""
    folded = text.casefold()
    return [mark for mark in (MARK, *FOREIGN_NUMBERS) if mark in folded]


def make_world() -> World:
    now = timezone.now()
    policy = make_policy(TERMS, name="Restore tests")
    own = _half(policy, "own", now - timedelta(days=2), runs={"seen": 3})
    foreign = _half(policy, "ZZFOREIGN", now - timedelta(days=3), runs={"seen": 71717, "new": 72727})
    retired = make_policy(TERMS, name="An old policy", note="ZZFOREIGN why").policy
    Policy.objects.filter(pk=retired.pk).update(retired_at=now)
    rules = plain_rules((ClassRule(session_class="test", name="ZZFOREIGN-lab*"),))
    ClassRules.objects.create(number=1, rules=rules, note="ZZFOREIGN why", made_at=now)
    shared = make_enterprise_manager(name="shared-em", covered_from_at=now - timedelta(days=60))
    part = make_backup_server(shared, name="part-vbr")
    other = make_backup_server(shared, name="ZZFOREIGN-other-vbr")
    run = make_full_run(shared, started_at=now - timedelta(hours=1), seen=71717, new=72727, changed=74747)
    make_reconciliation(run, listed=73737, held=73737, servers=[[part.pk, 1, 1], [other.pk, 73736, 73736]])
    make_inventory(run, vms=74747, overview_protected=74747, overview_backed_up=74747)
    shared_row = _row(part, shared, "part-files", now - timedelta(days=4))
    shared_foreign_row = _row(other, shared, "ZZFOREIGN-other-files", now - timedelta(days=4))
    make_presence(other, shared, "ZZFOREIGN-other-files", now - timedelta(days=50))
    shared_gap = make_gap(
        shared, now - timedelta(days=20), to_at=now - timedelta(days=19), run=run, detail="ZZFOREIGN sentence"
    )
    GapNote.objects.create(gap=shared_gap, author=foreign.person, at=now, text="ZZFOREIGN words")
    make_gap(shared, now - timedelta(days=15), to_at=now - timedelta(days=14), run=run, backup_server=other)
    make_outage(
        shared, now - timedelta(days=3), run=run, backup_server=other, message="ZZFOREIGN does not answer"
    )
    return World(
        own=own,
        foreign=foreign,
        shared=shared,
        shared_row=shared_row,
        shared_foreign_row=shared_foreign_row,
        shared_gap=shared_gap,
        part=part,
        policy=policy,
        retired=retired,
    )


TERMS = Terms(
    tiers=(
        Tier(
            name="Tier 1",
            window_days=90,
            target=95,
            rto_minutes=60,
            rules=(
                Rule(name="ZZFOREIGN-*"),
                Rule(backup_server="ZZFOREIGN-vbr"),
                Rule(label="ZZFOREIGN label"),
            ),
        ),
        Tier(name="Tier 2", window_days=365, target=80),
    ),
    exclude=(Rule(name="ZZFOREIGN-excluded-*"),),
    other_tier="Tier 2",
    machines=(
        Machine(name="own-files", owner="own owner"),
        Machine(name="ZZFOREIGN-files", owner="ZZFOREIGN owner", label="ZZFOREIGN label"),
        Machine(name="ZZFOREIGN-never-seen", backup_server="ZZFOREIGN-vbr"),
    ),
)


def _half(policy: PolicyVersion, word: str, at: Any, *, runs: dict[str, int]) -> Half:
    now = timezone.now()
    em = make_enterprise_manager(name=f"{word}-em", covered_from_at=now - timedelta(days=60))
    server = make_backup_server(em, name=f"{word}-vbr")
    server.sources.update(covered_from_at=em.covered_from_at)
    person = make_user(User.Role.OPERATOR, em, username=f"{word}-person")
    run = make_full_run(em, started_at=now - timedelta(hours=1), role=f"{word} role", **runs)
    listed = 73737 if word != "own" else 3
    make_reconciliation(run, listed=listed, held=listed, servers=[[server.pk, listed, listed]])
    make_inventory(run, vms=74747 if word != "own" else 1)
    row = _row(server, em, f"{word}-files", at, job_type=f"{word}Restore", state="Stopped")
    _row(server, em, f"{word}-db", at + timedelta(hours=1), result="Failed", failure_message=f"{word} failed")
    _row(server, em, f"{word}-web", at + timedelta(hours=2), state=f"{word}Working", result="None")
    make_change(row, run, fields={"vm_name": [f"{word}-before", f"{word}-files"]})
    make_presence(server, em, f"{word}-files", now - timedelta(days=50))
    exemption = Exemption.objects.create(
        policy=policy.policy,
        virtual_machine=row.virtual_machine,
        reason=f"{word} reason",
        approver=f"{word} approver",
        given_at=now - timedelta(days=1),
        given_by=person,
        expires_at=now + timedelta(days=9),
    )
    RestoreSessionNote.objects.create(
        restore_session=row, author=person, at=now, text=f"{word} note", acknowledges=True
    )
    gap = make_gap(
        em, now - timedelta(days=12), to_at=now - timedelta(days=11), run=run, detail=f"{word} said"
    )
    GapNote.objects.create(gap=gap, author=person, at=now, text=f"{word} words")
    make_outage(em, now - timedelta(days=3), run=run, message=f"{word} does not answer")
    schedule = make_schedule(name=f"{word}-schedule", recipients=f"{word}@example.test")
    schedule.enterprise_managers.add(em)
    report = _report(word, em, server, person, schedule)
    delivery = Delivery.objects.create(
        schedule=schedule,
        period_start_at=now - timedelta(days=60),
        period_end_at=now - timedelta(days=30),
        report=report,
        status=Delivery.Status.GIVEN_UP,
        error=f"{word} mail refused",
    )
    ClassChange.objects.create(restore_session=row, after="test", reason=f"{word} why", at=now, by=person)
    return Half(
        em=em,
        server=server,
        vm=row.virtual_machine,  # type: ignore[arg-type]
        row=row,
        gap=gap,
        report=report,
        schedule=schedule,
        delivery=delivery,
        person=person,
        exemption=exemption,
    )


def _report(word: str, em: EnterpriseManager, server: BackupServer, person: User, schedule: Any) -> Report:
    report = make_report(
        scope={
            "start": "2026-07-01T00:00:00+00:00",
            "end": "2026-08-01T00:00:00+00:00",
            "enterprise_managers": [em.pk],
            "vm": f"{word}-files",
        },
        status=Report.Status.READY,
        requested_by=person,
        schedule=schedule,
        organisation=f"{word} organisation",
        file_name=f"{word}.pdf",
        as_of=timezone.now(),
        covers_everything=False,
        stage=Report.Stage.FINAL,
        finalised_at=timezone.now(),
    )
    report.covers.set([server])
    enter(Kind.ISSUED, report, {"report": str(report), "by": f"{word} issuer"}, at=timezone.now())
    path: Path = path_of(report)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"%PDF {word}".encode())
    return report


def _row(server: BackupServer, em: EnterpriseManager, vm_name: str, at: Any, **values: Any) -> RestoreSession:
    return make_restore_session(server, enterprise_manager=em, vm_name=vm_name, started_at=at, **values)
