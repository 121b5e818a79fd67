"""`manage.py run`: web, workers and beat of one installation on one machine."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.utils import timezone

from restorereports.management.database import bring_up_to_date
from restorereports.management.supervisor import Supervisor, installation, origin, refuse_taken_port
from restorereports.models import User
from restorereports.web.first_run import first_administrator_path


class Command(BaseCommand):
    help = "Runs everything until Ctrl-C; prints a one-time link for the first administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        port = settings.PORT
        refuse_taken_port(port)
        if backup := bring_up_to_date(at=timezone.now()):
            self.stdout.write(f"The database was migrated; its backup is {backup}")
        call_command("collectstatic", interactive=False, verbosity=0)
        address = origin()
        programs = installation(port=port)
        with Supervisor(programs) as supervisor:
            supervisor.start()
            supervisor.wait_until_listening(port, programs[0], host=settings.BIND.strip("[]"))
            self.stdout.write(f"Restore Reports runs at {address}/  (Ctrl-C ends it)")
            if not User.objects.exists():
                self.stdout.write("Make the first administrator with this link; it works once, for 24 hours:")
                self.stdout.write(f"  {address}{first_administrator_path()}")
            self.stdout.write(f"Logs: {settings.VAR_DIR / 'log'}   Mail: {_mail_place()}")
            self.stdout.flush()
            supervisor.watch()
        self.stdout.write("Ended; no process is left.")


def _mail_place() -> str:
    return getattr(settings, "EMAIL_FILE_PATH", "") or "sent by EMAIL_URL"
