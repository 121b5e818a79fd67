"""`manage.py change_user NAME`: role, grants and activity of a person from the command line."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from restorereports.audit import COMMAND_LINE
from restorereports.management.people import add_sees_arguments, person_named, sees_asked
from restorereports.models import LastAdministrator, User
from restorereports.sign_in.people import NOTHING, FromIdentityProvider, Sees, change_person, sees_of


class Command(BaseCommand):
    help = (
        "Changes a person's role, grants or activity. Grants that are named take the place of those before."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--role", choices=User.Role.values)
        add_sees_arguments(parser)
        parser.add_argument("--nothing", action="store_true", help="take all grants away")
        activity = parser.add_mutually_exclusive_group()
        activity.add_argument("--activate", action="store_const", dest="is_active", const=True)
        activity.add_argument("--deactivate", action="store_const", dest="is_active", const=False)

    def handle(self, *args: Any, **options: Any) -> None:
        person = person_named(options["name"])
        sees = self._sees(options)
        if options["role"] is None and options["is_active"] is None and sees is None:
            raise CommandError(
                "Say what to change: --role, --activate or --deactivate, --everything, --em, --server, --nothing."
            )
        if sees and not sees.nothing and (options["role"] or person.role) == User.Role.ADMINISTRATOR:
            raise CommandError("Administrators see everything: leave out --everything, --em and --server.")
        try:
            changed = change_person(
                person, actor=COMMAND_LINE, role=options["role"], is_active=options["is_active"], sees=sees
            )
        except (LastAdministrator, FromIdentityProvider) as refused:
            raise CommandError(str(refused)) from None
        state = "active" if changed.is_active else "switched off"
        self.stdout.write(f"{changed.username}: {changed.get_role_display()}, {state}.")
        if changed.role != User.Role.ADMINISTRATOR and sees_of(changed).nothing:
            self.stdout.write("Sees nothing: nothing is granted. --everything, --em and --server grant.")

    def _sees(self, options: dict[str, Any]) -> Sees | None:
        """None: as it is."""
        sees = sees_asked(options)
        if options["nothing"] and not sees.nothing:
            raise CommandError("--nothing does not go with --everything, --em and --server.")
        return NOTHING if options["nothing"] else None if sees.nothing else sees
