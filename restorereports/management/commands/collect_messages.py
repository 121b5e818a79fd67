"""`manage.py collect_messages`: brings the German catalogue to the state of the sources, what is new left empty."""

from typing import Any

from django.core.management.base import BaseCommand

from restorereports.management.catalogue import catalogue_of, collect, compile_catalogues


class Command(BaseCommand):
    help = "Puts new messages of reports and their mails into the German catalogue and takes out those no longer said."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        empty = collect("de")
        compile_catalogues()
        self.stdout.write(f"{catalogue_of('de')}: {empty} to translate")
