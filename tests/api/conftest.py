"""Two Enterprise Managers: what is granted, and what is foreign and bears a mark that no answer may hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from restorereports.audit import THE_INSTALLATION
from restorereports.models import (
    ApiToken,
    BackupServer,
    EnterpriseManager,
    Report,
    RestoreSession,
    User,
    VirtualMachineAlias,
)
from restorereports.models.virtual_machine import name_key
from restorereports.reports.files import path_of
from restorereports.sign_in.tokens import make_token
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_report,
    make_restore_session,
    make_source,
    make_user,
)

MARK = "FOREIGN-MARK"
NOW = timezone.now().replace(microsecond=250_000)
PDF = b"%PDF-1.7 the report"
READY = {"status": "ready", "as_of": NOW, "rows": 3, "pages": 2, "size": len(PDF), "sha256": "ab" * 32}


@pytest.fixture(autouse=True)
def clock_begins_at_now() -> Any:
    with time_machine.travel(NOW) as clock:
        yield clock


@pytest.fixture(autouse=True)
def _no_collected_files(settings: Any) -> None:
    settings.WHITENOISE_AUTOREFRESH = True
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


class Caller(Client):
    """A program with a token."""

    def __init__(self, text: str) -> None:
        super().__init__(headers={"Authorization": f"Bearer {text}"})
        self.text = text

    def json(self, address: str, **query: Any) -> Any:
        response = self.get(f"/api/v1/{address}", query)
        assert response.status_code == 200, response.content
        return response.json()


def caller(person: User, *scopes: str) -> Caller:
    """With every scope unless some are named."""
    _token, text = make_token(
        person,
        name="a program",
        scopes=scopes or ApiToken.Scope.values,
        expires_at=NOW + timedelta(days=90),
        actor=THE_INSTALLATION,
        at=NOW,
    )
    return Caller(text)


@dataclass(frozen=True)
class World:
    """`shared` is an Enterprise Manager that shows `server` and the foreign `beside`; `foreign` shows the rest."""

    shared: EnterpriseManager
    foreign: EnterpriseManager
    server: BackupServer
    beside: BackupServer
    elsewhere: BackupServer
    own: RestoreSession
    hidden: RestoreSession
    report: Report
    hidden_report: Report


@pytest.fixture
def world(db: None) -> World:
    shared = make_enterprise_manager(name="em-shared", username=f"{MARK}-account", url=f"https://{MARK}.test")
    foreign = make_enterprise_manager(name=f"em-{MARK}")
    server = make_backup_server(shared, name="vbr-own")
    beside = make_backup_server(shared, name=f"vbr-{MARK}-beside")
    elsewhere = make_backup_server(foreign, name=f"vbr-{MARK}-elsewhere", uid=f"urn:{MARK}:server")
    for em in (shared, foreign):
        make_gap(em, NOW - timedelta(days=9), to_at=NOW - timedelta(days=8), detail=f"{MARK}: refused")
    make_gap(shared, NOW - timedelta(days=7), to_at=NOW - timedelta(days=6), backup_server=beside)
    for em in (shared, foreign):
        make_full_run(em, started_at=NOW - timedelta(hours=1))
    for hours in range(7):
        _session(server, shared, hours, f"payroll-{hours}", "FileLevelRestore")
        _session(beside, shared, hours, f"{MARK}-beside-{hours}", f"{MARK}Type")
        hidden = _session(elsewhere, foreign, hours, f"{MARK}-elsewhere-{hours}", f"{MARK}Type")
    for row in (RestoreSession.objects.filter(backup_server=server).first(), hidden):
        VirtualMachineAlias.objects.create(
            virtual_machine=row.virtual_machine,
            name=f"former {row.vm_name}",
            name_key=name_key(f"former {row.vm_name}"),
            until_at=NOW,
        )
    own = RestoreSession.objects.filter(backup_server=server).order_by("-started_at").first()
    return World(
        shared=shared,
        foreign=foreign,
        server=server,
        beside=beside,
        elsewhere=elsewhere,
        own=own,
        hidden=hidden,
        report=_report(server, "own"),
        hidden_report=_report(elsewhere, MARK),
    )


def _session(
    server: BackupServer, em: EnterpriseManager, hours: int, vm: str, job_type: str
) -> RestoreSession:
    row = make_restore_session(
        server,
        vm_name=vm,
        job_type=job_type,
        started_at=NOW - timedelta(hours=hours // 2, minutes=1),  # pairs that share their start
        result="Failed" if hours == 3 else "Success",
        failure_message=f"{vm}: disk full" if hours == 3 else "",
    )
    make_source(row, em)
    return row


def _report(server: BackupServer, organisation: str) -> Report:
    report = make_report(
        covers_everything=False,
        organisation=organisation,
        file_name=f"{organisation}.pdf",
        audit_length=7,
        audit_hash="cd" * 32,
        **READY,
    )
    report.scope |= {"backup_servers": [server.pk], "vm": f"vm of {organisation}"}
    report.save()
    report.covers.add(server)
    path_of(report).parent.mkdir(parents=True, exist_ok=True)
    path_of(report).write_bytes(PDF)
    return report


@pytest.fixture
def all_seeing(world: World) -> Caller:
    return caller(make_user(User.Role.AUDITOR))


@pytest.fixture
def scoped(world: World) -> Caller:
    """Of an auditor to whom one backup server is granted."""
    return caller(make_user(User.Role.AUDITOR, world.server))
