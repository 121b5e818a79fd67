"""`manage.py demo`: the whole product alive against two stand-in Enterprise Managers on this machine."""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from restorereports.audit import COMMAND_LINE
from restorereports.management.database import bring_up_to_date
from restorereports.management.demo_policy import plan_policy
from restorereports.management.progress import Progress
from restorereports.management.supervisor import (
    Program,
    Supervisor,
    installation,
    manage,
    refuse_taken_port,
)
from restorereports.mirror.certificate import certificate_facts
from restorereports.mirror.lock import CannotStart
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Policy, ReportSchedule, SyncRun, User
from restorereports.models.period import month_of
from restorereports.sign_in.people import EVERYTHING, Sees, add_person

# name -> options of its stand-in; the live interval is the mean time between new restore sessions, in seconds.
# One account with the least role that works and quick collections, one that may see EM's own collector, too.
STAND_INS = {
    "em-north": {
        "seed": 1,
        "sessions": 2500,
        "servers": 4,
        "live-interval": 20,
        "collect-interval": 5,
        "role": "Portal User",
    },
    "em-south": {
        "seed": 2,
        "sessions": 900,
        "servers": 2,
        "live-interval": 60,
        "collect-interval": 900,
        "role": "Portal Administrator",
    },
}
# name -> role, and the one Enterprise Manager whose restore sessions this account sees; without one: everything
ACCOUNTS = {
    "administrator": (User.Role.ADMINISTRATOR, ""),
    "auditor": (User.Role.AUDITOR, ""),
    "auditor-south": (User.Role.AUDITOR, "em-south"),
}
SCHEDULE = "Monthly restore report"
WAKE_UP = {"WAKE_UP_SECONDS": "5"}


class Command(BaseCommand):
    help = "Runs the product against stand-in Enterprise Managers with invented data, until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        logging.getLogger("restorereports").setLevel(logging.WARNING)  # this terminal shows progress instead
        port = settings.PORT
        refuse_taken_port(port)
        bring_up_to_date(at=timezone.now())
        state = self._state()
        call_command("collectstatic", interactive=False, verbosity=0)
        programs = installation(port=port)
        for program in programs:
            program.environment = WAKE_UP
        with Supervisor([]) as supervisor:
            for name in STAND_INS:
                self._start_stand_in(supervisor, name, state)
            for name in ACCOUNTS:
                self._add_person(name, state["accounts"][name])
            supervisor.start(programs[0])
            supervisor.wait_until_listening(port, programs[0], host=settings.BIND)
            self._print_doors(f"http://{settings.BIND}:{port}/", state)
            version = plan_policy(at=timezone.now())
            for name in STAND_INS:
                self._first_sync(supervisor, name)
            self._plan_report(version.policy)
            for program in programs[1:]:
                supervisor.start(program)
            if not supervisor.stopping:
                self.stdout.write("Everything runs; new restore sessions keep appearing. Ctrl-C ends it.")
                self.stdout.flush()
            supervisor.watch()
        self.stdout.write("Ended; no process is left. The next make demo goes on with these data.")

    def _state(self) -> dict[str, Any]:
        """Accounts, ports and the stand-ins' beginning, kept so that the next start goes on from here."""
        path = Path(settings.VAR_DIR) / "demo.json"
        if not path.exists():
            if User.objects.exists() or EnterpriseManager.objects.exists():
                raise CommandError(
                    f"{settings.VAR_DIR} holds data that are not the demo's. Use make demo, or set another VAR_DIR."
                )
            _keep(_beginning(), path)
        state: dict[str, Any] = json.loads(path.read_text())
        if lacking := [name for name in ACCOUNTS if name not in state["accounts"]]:  # of an older version
            state["accounts"] |= {name: secrets.token_urlsafe(12) for name in lacking}
            _keep(state, path)
        return state

    def _add_person(self, name: str, password: str) -> None:
        """Once; nobody where the start was broken off before there is what this one may see."""
        role, only = ACCOUNTS[name]
        manager = EnterpriseManager.objects.filter(name=only).first()
        if User.objects.filter(username=name).exists() or (only and manager is None):
            return
        person = User(username=name, role=role, time_zone=settings.TIME_ZONE)
        sees = Sees(enterprise_managers=frozenset([manager.pk])) if manager else EVERYTHING
        add_person(person, sees=sees, password=password, actor=COMMAND_LINE)

    def _start_stand_in(self, supervisor: Supervisor, name: str, state: dict[str, Any]) -> None:
        port = _free_port()
        options = [text for key, value in STAND_INS[name].items() for text in (f"--{key}", str(value))]
        folder = Path(settings.VAR_DIR) / name
        folder.mkdir(mode=0o700, exist_ok=True)
        command = manage(
            *("emulate_em", "--port", str(port), "--state-dir", str(folder), "--epoch", state["epoch"]),
            *options,
            *("--username", "mirror", "--password-env", "STAND_IN_PASSWORD"),
            *("--href-host", f"{name}.example.test:9398"),
        )
        program = Program(name, command, {"STAND_IN_PASSWORD": state["secrets"][name]})
        supervisor.start(program)
        supervisor.wait_until_listening(port, program)
        if not supervisor.stopping:
            self._add(name, port, state["secrets"][name], folder)

    def _add(self, name: str, port: int, password: str, folder: Path) -> None:
        facts = certificate_facts((folder / "em-certificate.pem").read_text())
        now = timezone.now()
        enterprise_manager = EnterpriseManager.objects.filter(name=name).first()
        if enterprise_manager is None:
            enterprise_manager = EnterpriseManager(
                name=name, username="mirror", interval_minutes=1, restore_scope="full"
            )
            enterprise_manager.set_password(password, at=now)
            enterprise_manager.trust_certificate(facts.pem, facts.sha256, at=now)
        enterprise_manager.url = f"https://127.0.0.1:{port}"  # the port of the last start may be taken today
        enterprise_manager.save()

    def _first_sync(self, supervisor: Supervisor, name: str) -> None:
        enterprise_manager = EnterpriseManager.objects.get(name=name)
        if supervisor.stopping or enterprise_manager.runs.filter(status=SyncRun.Status.GOOD).exists():
            return
        with Progress(f"First sync of {name}", self.stdout) as progress:
            try:
                run = sync(
                    enterprise_manager,
                    trigger=SyncRun.Trigger.COMMAND,
                    should_stop=lambda: supervisor.stopping,
                    on_progress=progress.show,
                )
            except CannotStart:
                return  # a run of a demo that was killed; the worker goes on when its lock is free
        self.stdout.write(f"First sync of {name}: {run.new} restore sessions. {run.error}".rstrip())

    def _plan_report(self, policy: Policy) -> None:
        last_month = month_of(timezone.localdate(), settings.TIME_ZONE, back=1)
        ReportSchedule.objects.get_or_create(
            name=SCHEDULE,
            defaults={
                "recipients": "auditor@example.test",
                "organisation": "Example AG",
                "classification": "Internal",
                "policy": policy,
                "zone": settings.TIME_ZONE,
                "hour": 0,
                "first_month": last_month.first,
            },
        )

    def _print_doors(self, address: str, state: dict[str, Any]) -> None:
        lines = [f"Restore Reports runs at {address}"]
        for name, (_role, only) in ACCOUNTS.items():
            sees = f"sees {only} only" if only else "sees everything"
            lines.append(f"  {name:<14} password {state['accounts'][name]}  {sees}")
        lines.append(f"PDF:  {settings.VAR_DIR / 'reports'}")
        lines.append(f"Mail: {os.fspath(getattr(settings, 'EMAIL_FILE_PATH', '')) or 'sent by EMAIL_URL'}")
        lines.append(f"Logs: {settings.VAR_DIR / 'log'}")
        self.stdout.write("\n".join(lines))
        self.stdout.flush()


def _beginning() -> dict[str, Any]:
    return {
        "epoch": timezone.now().isoformat(timespec="seconds"),
        "accounts": {name: secrets.token_urlsafe(12) for name in ACCOUNTS},
        "secrets": {name: secrets.token_urlsafe(12) for name in STAND_INS},
    }


def _keep(state: dict[str, Any], path: Path) -> None:
    draft = path.with_suffix(".part")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(state, indent=1))
    draft.replace(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
