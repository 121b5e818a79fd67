"""Which person a command means, what that one shall see, and a password that no argument shows."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from typing import Any

from django.core.management.base import CommandError, CommandParser

from restorereports.models import User
from restorereports.sign_in.people import Sees

from .asked import add_place_arguments, manager_ids, server_ids


def add_sees_arguments(parser: CommandParser) -> None:
    parser.add_argument("--everything", action="store_true", help="sees everything, now and later")
    add_place_arguments(parser)


def sees_asked(options: dict[str, Any]) -> Sees:
    """What --everything, --em and --server name; CommandError for names that nobody knows."""
    named = options["em"] or options["server"]
    if options["everything"] and named:
        raise CommandError("Give either --everything, or --em and --server, not both.")
    return Sees(
        everything=options["everything"],
        enterprise_managers=frozenset(manager_ids(options["em"])) if options["em"] else frozenset(),
        backup_servers=frozenset(server_ids(options["server"])),
    )


def person_named(name: str) -> User:
    found: User | None = User.objects.filter(username=User.normalize_username(name)).first()
    if found is None:
        raise CommandError(f"Nobody has the user name {name}. The page People lists all.")
    return found


def password_in(variable: str) -> str:
    if variable not in os.environ:
        raise CommandError(f"The environment has no variable {variable}.")
    return os.environ[variable]


def at_a_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def typed_password() -> str:
    """Asked for twice, unseen."""
    password = getpass("Password: ")
    if getpass("Password again: ") != password:
        raise CommandError("The two passwords are not the same. Nothing was changed.")
    return password
