"""`manage.py emulate_em`: runs the stand-in Enterprise Manager in the foreground, until SIGTERM or SIGINT."""

from __future__ import annotations

import os
import signal
import ssl
import threading
from argparse import ArgumentParser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from restorereports.emulator.accounts import PORTAL_ADMINISTRATOR, RIGHTS, Account
from restorereports.emulator.certificates import kept_certificate
from restorereports.emulator.clock import utc_now
from restorereports.emulator.kept import kept_epoch
from restorereports.emulator.server import StandInServer
from restorereports.emulator.switches import Switches
from restorereports.emulator.world import World


class Command(BaseCommand):
    help = "Runs a stand-in Enterprise Manager with invented data, until SIGTERM or SIGINT."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        listen = parser.add_argument_group("where it listens")
        listen.add_argument("--bind", default="127.0.0.1", metavar="ADDRESS")
        listen.add_argument("--port", type=int, default=9398)
        listen.add_argument("--plain-http", action="store_true", help="no TLS")
        listen.add_argument("--state-dir", type=Path, metavar="DIR", help="keeps certificate, key and epoch")
        data = parser.add_argument_group("what it shows")
        data.add_argument("--sessions", type=int, default=2500, help="restore sessions before the epoch")
        data.add_argument("--servers", type=int, default=5, help="backup servers")
        data.add_argument("--seed", type=int, default=1)
        data.add_argument("--epoch", metavar="ISO", help="end of the history; default: start of this UTC day")
        data.add_argument("--live-interval", type=float, default=300, metavar="SECONDS", help="0: no growth")
        data.add_argument("--collect-interval", type=float, default=900, metavar="SECONDS", help="0: at once")
        account = parser.add_argument_group("who may log on")
        account.add_argument("--username", default="mirror")
        account.add_argument("--password-env", metavar="VARIABLE", help="default: the password is the name")
        account.add_argument("--role", default="Portal User", choices=list(RIGHTS))
        switches = parser.add_argument_group("how it behaves")
        switches.add_argument("--json-casing", choices=["pascal", "camel"], default="pascal")
        switches.add_argument("--null-policy", choices=["keep", "omit"], default="keep", help="JSON nulls")
        switches.add_argument("--bom", action="store_true", help="byte order mark before every body")
        switches.add_argument("--default-page", choices=["all", "100"], default="100")
        switches.add_argument("--href-host", metavar="HOST[:PORT]", help="host in links; default: as dialled")

    def handle(self, *args: Any, **options: Any) -> None:
        ending = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ending.set())
        accounts = make_accounts(options)
        server = make_server(options, accounts)
        with server:
            self._announce(server, accounts[0], password_shown=not options["password_env"])
            ending.wait()
        self.stdout.write("The stand-in Enterprise Manager has ended.")

    def _announce(self, server: StandInServer, account: Account, *, password_shown: bool) -> None:
        password = account.password if password_shown else "(from the environment)"
        self.stdout.write(f"Stand-in Enterprise Manager: {server.url}/api/ (invented data)")
        self.stdout.write(f"Account: {account.name}  Password: {password}  Role: {account.role}")
        if server.fingerprint_sha256:
            self.stdout.write(f"Certificate SHA-256: {server.fingerprint_sha256}")
        self.stdout.write(
            f"{len(server.world.visible())} restore sessions, {len(server.world.backup_servers())} backup servers"
        )
        self.stdout.flush()


def make_accounts(options: dict[str, Any]) -> list[Account]:
    """The account asked for, and an administrator if the password is the invented one."""
    variable, name = options["password_env"], options["username"]
    if not variable:
        return [Account(name, name, options["role"]), Account("admin", "admin", PORTAL_ADMINISTRATOR)]
    if not os.environ.get(variable):
        raise CommandError(f"The environment variable {variable} is not set: it should hold the password.")
    return [Account(name, os.environ[variable], options["role"])]


def make_server(options: dict[str, Any], accounts: list[Account]) -> StandInServer:
    """The server, bound but not yet serving. CommandError if it cannot listen or keep its files."""
    state_dir: Path | None = options["state_dir"]
    try:
        certificate = kept_certificate(state_dir) if state_dir and not options["plain_http"] else None
        epoch = read_epoch(options["epoch"]) or kept_epoch(state_dir, now=utc_now())
    except OSError as error:
        raise CommandError(f"The state directory {state_dir} cannot be used: {error.strerror}.") from error
    world = make_world(options, epoch=epoch)
    switches = Switches(
        json_casing=options["json_casing"],
        nulls=options["null_policy"],
        bom=options["bom"],
        default_page=options["default_page"],
        href_host=options["href_host"],
    )
    bind, port = options["bind"], options["port"]
    try:
        return StandInServer(
            world,
            accounts=accounts,
            switches=switches,
            tls=not options["plain_http"],
            certificate=certificate,
            host=bind,
            port=port,
        )
    except ssl.SSLError as error:
        raise CommandError(f"The certificate or key kept in {state_dir} is damaged: delete both.") from error
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CommandError(f"Port {port} on {bind} cannot be used: {reason}.") from error


def make_world(options: dict[str, Any], *, epoch: datetime) -> World:
    """The invented data. CommandError for numbers out of range."""
    for name, least in (("sessions", 0), ("servers", 1), ("live_interval", 0), ("collect_interval", 0)):
        if options[name] < least:
            raise CommandError(f"--{name.replace('_', '-')} must be at least {least}.")
    return World(
        seed=options["seed"],
        sessions=options["sessions"],
        servers=options["servers"],
        epoch=epoch,
        live_interval=options["live_interval"],
        collect_interval=options["collect_interval"],
    )


def read_epoch(text: str | None) -> datetime | None:
    """An ISO date or time; without zone it is UTC. CommandError for anything else."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--epoch {text} is not an ISO date.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
