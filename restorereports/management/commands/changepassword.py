"""`manage.py changepassword NAME`: in place of Django's, with an entry in the audit trail."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from restorereports.audit import COMMAND_LINE
from restorereports.management.people import at_a_terminal, password_in, person_named, typed_password
from restorereports.sign_in.people import FromIdentityProvider, change_password


class Command(BaseCommand):
    help = "Sets a person's password; whatever the person has open ends. reset_link lets the person set it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--password-env", metavar="VAR", help="environment variable that holds the password"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_named(options["name"])
        if options["password_env"]:
            password = password_in(options["password_env"])
        elif at_a_terminal():
            password = typed_password()
        else:
            raise CommandError("There is no terminal to ask at. Give --password-env VAR, or use reset_link.")
        try:
            change_password(person, password, actor=COMMAND_LINE, how="command line")
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        except FromIdentityProvider as refused:
            raise CommandError(str(refused)) from None
        self.stdout.write(f"The password of {person.username} is changed.")
