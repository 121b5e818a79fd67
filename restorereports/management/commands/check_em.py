"""`manage.py check_em NAME`: test the connection step by step."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from restorereports.management.chosen import enterprise_managers
from restorereports.mirror.check import check_enterprise_manager


class Command(BaseCommand):
    help = "Tests the connection to an Enterprise Manager, a tick for each step; exit code 1 when one fails."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")

    def handle(self, *args: Any, **options: Any) -> None:
        [enterprise_manager] = enterprise_managers([options["name"]])
        self.stdout.write(f"{enterprise_manager.name}, {enterprise_manager.url}/api")
        for step in check_enterprise_manager(enterprise_manager):
            self.stdout.write(f"  {'✓' if step.ok else '✗'} {step.label}: {step.finding}".rstrip(": "))
            if step.certificate:
                facts = step.certificate
                self.stdout.write(f"      subject {facts.subject}, issuer {facts.issuer}")
                self.stdout.write(f"      valid to {facts.not_after:%Y-%m-%d}, SHA-256 {facts.sha256}")
            if not step.ok:
                self.stdout.write(f"      Cause: {step.cause}")
                self.stdout.write(f"      Remedy: {step.remedy}")
                raise SystemExit(1)
