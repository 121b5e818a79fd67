"""`manage.py add_em`: add an Enterprise Manager from the command line."""

import os
from getpass import getpass
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from restorereports.mirror.address import normalise_url
from restorereports.mirror.certificate import normalise_fingerprint, validate_ca_pem
from restorereports.models import EnterpriseManager


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
        enterprise_manager.save()
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
