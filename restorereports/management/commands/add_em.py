"""`manage.py add_em`: add an Enterprise Manager from the command line."""

import argparse
import os
import re
from datetime import time
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from restorereports.audit import COMMAND_LINE
from restorereports.mirror.address import normalise_url
from restorereports.mirror.certificate import normalise_fingerprint, validate_ca_pem
from restorereports.mirror.on_record import record_added
from restorereports.models import EnterpriseManager


def _time_of_day(text: str) -> time:
    """`02:30`; anything else is refused."""
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no time of day; write it like 02:30")
    return time.fromisoformat(text)


class Command(BaseCommand):
    help = "Adds an Enterprise Manager; asks for the password when no variable is named. check_em tests it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("url", help="with or without /api; port 9398 when none is given")
        parser.add_argument("--username", required=True)
        parser.add_argument(
            "--password-env", metavar="VAR", help="environment variable that holds the password"
        )
        trust = parser.add_mutually_exclusive_group()
        trust.add_argument("--ca-file", metavar="PEM", help="CA certificates that signed EM's certificate")
        trust.add_argument("--pin", metavar="SHA256", help="fingerprint of EM's certificate")
        parser.add_argument("--allow-plain-http", action="store_true")
        scopes = [scope for scope in EnterpriseManager.RestoreScope.values if scope]
        parser.add_argument(
            "--restore-scope",
            choices=scopes,
            default="",
            help="what the account may restore: full or custom; EM does not say, so it must be declared",
        )
        parser.add_argument(
            "--full-sync-at",
            metavar="HH:MM",
            type=_time_of_day,
            help="daily full sync at, in TIME_ZONE; without it spread by itself between 00:00 and 06:00",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if EnterpriseManager.objects.filter(name=options["name"]).exists():
            raise CommandError(
                f"An Enterprise Manager named {options['name']} exists already. Choose another name."
            )
        enterprise_manager = EnterpriseManager(
            name=options["name"],
            username=options["username"],
            ca_pem=self._ca_pem(options["ca_file"]),
            allow_plain_http=options["allow_plain_http"],
            restore_scope=options["restore_scope"],
            full_sync_at=options["full_sync_at"],
        )
        try:
            enterprise_manager.url = normalise_url(
                options["url"], allow_plain_http=options["allow_plain_http"]
            )
            if options["pin"]:
                enterprise_manager.pin_sha256 = normalise_fingerprint(options["pin"])
                enterprise_manager.pinned_at = timezone.now()
            enterprise_manager.set_password(self._password(options["password_env"]), at=timezone.now())
            enterprise_manager.full_clean()
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        with transaction.atomic():
            enterprise_manager.save()
            record_added(enterprise_manager, COMMAND_LINE)
        self.stdout.write(f"Added {enterprise_manager.name} at {enterprise_manager.url}/api.")
        self.stdout.write(f"Test it: manage.py check_em {enterprise_manager.name}")

    def _password(self, variable: str | None) -> str:
        if variable is None:
            password = getpass("Password of the account: ")
        elif variable in os.environ:
            password = os.environ[variable]
        else:
            raise CommandError(f"The environment has no variable {variable}.")
        if not password:
            raise CommandError("The password is empty.")
        return password

    def _ca_pem(self, path: str | None) -> str:
        if path is None:
            return ""
        try:
            pem = Path(path).read_text(encoding="ascii")
            validate_ca_pem(pem)
        except (OSError, UnicodeDecodeError) as failure:
            raise CommandError(f"The CA file cannot be read: {failure}") from None
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        return pem
