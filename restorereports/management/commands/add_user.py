"""`manage.py add_user NAME --role auditor`: add a person from the command line."""

import os
from getpass import getpass
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from restorereports.models import User


class Command(BaseCommand):
    help = "Adds a person; asks for the password when no variable is named. changepassword sets a new one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", choices=User.Role.values, default=User.Role.AUDITOR)
        parser.add_argument(
            "--password-env", metavar="VAR", help="environment variable that holds the password"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        variable = options["password_env"]
        if variable and variable not in os.environ:
            raise CommandError(f"The environment has no variable {variable}.")
        password = os.environ[variable] if variable else getpass("Password: ")
        user = User(username=options["name"], role=options["role"])
        try:
            validate_password(password, user)
            user.set_password(password)
            user.full_clean()
        except ValidationError as refused:
            raise CommandError(" ".join(refused.messages)) from None
        user.save()
        self.stdout.write(f"Added {user.username}, {user.get_role_display()}.")
