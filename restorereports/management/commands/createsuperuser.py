"""Stands before Django's command of this name, which would add an administrator past the audit trail."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Not used here: manage.py add_user NAME --role administrator adds an administrator."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("ignored", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("Administrators are added by manage.py add_user NAME --role administrator.")
