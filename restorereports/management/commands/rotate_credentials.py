"""`manage.py rotate_credentials`: encrypt every stored password anew with the first key of CREDENTIALS_KEY."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from restorereports.audit import COMMAND_LINE, Action, record
from restorereports.models import EnterpriseManager, credential


class Command(BaseCommand):
    help = "After putting a new key first in CREDENTIALS_KEY: re-encrypts all passwords, then the old key can go."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        rotated = 0
        for enterprise_manager in EnterpriseManager.objects.select_for_update(no_key=True):
            try:
                enterprise_manager.password_token = credential.rotate(enterprise_manager.password_token)
            except credential.CredentialUnreadable as failure:
                raise CommandError(f"{enterprise_manager.name}: {failure} Nothing was changed.") from None
            enterprise_manager.save(update_fields=["password_token"])
            rotated += 1
        record(Action.KEYS_ROTATED, COMMAND_LINE, details={"passwords": rotated})
        self.stdout.write(f"{rotated} password(s) are now under the first key.")
