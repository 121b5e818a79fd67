"""`manage.py add_user NAME --role auditor --everything`: add a person from the command line."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from restorereports.audit import COMMAND_LINE
from restorereports.management.people import (
    add_sees_arguments,
    at_a_terminal,
    password_in,
    sees_asked,
    typed_password,
)
from restorereports.management.supervisor import origin
from restorereports.models import User
from restorereports.sign_in.links import make_link
from restorereports.sign_in.people import Sees, add_person


class Command(BaseCommand):
    help = (
        "Adds a person. The password comes from a variable or is asked for at a terminal; without either a one-time "
        "link is printed, behind which the person sets it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", choices=User.Role.values, default=User.Role.AUDITOR)
        parser.add_argument("--full-name", default="", metavar="NAME")
        parser.add_argument("--email", default="", metavar="ADDRESS")
        add_sees_arguments(parser)
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--password-env", metavar="VAR", help="environment variable that holds the password")
        way.add_argument("--link", action="store_true", help="print a one-time link, ask for no password")

    def handle(self, *args: Any, **options: Any) -> None:
        sees = self._sees(options)
        person = User(
            username=options["name"],
            role=options["role"],
            first_name=options["full_name"],
            email=options["email"],
        )
        password = self._password(options)
        try:
            with transaction.atomic():
                add_person(person, sees=sees, password=password, actor=COMMAND_LINE)
                path = make_link(person, actor=COMMAND_LINE) if password is None else ""
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        self.stdout.write(f"Added {person.username}, {person.get_role_display()}.")
        if path:
            self.stdout.write("The password is set behind this link; it works once, for 24 hours:")
            self.stdout.write(f"  {origin()}{path}")

    def _sees(self, options: dict[str, Any]) -> Sees:
        sees = sees_asked(options)
        is_administrator = options["role"] == User.Role.ADMINISTRATOR
        if is_administrator and not sees.nothing:
            raise CommandError("Administrators see everything: leave out --everything, --em and --server.")
        if sees.nothing and not is_administrator:
            raise CommandError(
                "Nobody but administrators sees anything without a grant. Say what this person may see: "
                "--everything, or --em NAME, or --server NAME (each may repeat)."
            )
        return sees

    def _password(self, options: dict[str, Any]) -> str | None:
        """None: a link."""
        if options["password_env"]:
            return password_in(options["password_env"])
        return typed_password() if at_a_terminal() and not options["link"] else None
