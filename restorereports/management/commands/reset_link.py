"""`manage.py reset_link NAME`: a one-time link for whoever forgot the password, or never had one."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from restorereports.audit import COMMAND_LINE
from restorereports.management.people import person_named
from restorereports.management.supervisor import origin
from restorereports.sign_in.links import NoLinkPossible, make_link


class Command(BaseCommand):
    help = (
        "Prints a one-time link that sets a new password; ends whatever the person has open, older links too."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--remove-second-factor",
            action="store_true",
            help="for whoever lost phone and recovery codes",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            path = make_link(
                person_named(options["name"]),
                actor=COMMAND_LINE,
                without_second_factor=options["remove_second_factor"],
            )
        except NoLinkPossible as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write("The password is set behind this link; it works once, for 24 hours:")
        self.stdout.write(f"  {origin()}{path}")
