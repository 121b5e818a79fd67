"""Stands before Django's command of this name, which would add an administrator past the audit trail."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError


class Command(createsuperuser.Command):
    """With its arguments, so that whoever gives them reads the sentence below and not one about arguments."""

    help = "Not used here: manage.py add_user NAME --role administrator adds an administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Administrators are added by manage.py add_user NAME --role administrator.")
