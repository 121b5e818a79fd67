"""`manage.py backup FILE`: database, evidence files and keys in one archive, while everything runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.utils import timezone

from restorereports.audit import COMMAND_LINE, Action, record
from restorereports.management import archive, database
from restorereports.management.sealed_keys import ask_passphrase
from restorereports.models import AuditEntry


class Command(BaseCommand):
    help = "Writes the database, the PDFs and the keys into one file; a passphrase protects the keys in it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the archive to write; nothing is overwritten")
        parser.add_argument(
            "--passphrase-env", metavar="VAR", help="environment variable that holds the passphrase"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(options["file"])
        if path.exists():
            raise CommandError(f"{path} exists already. Choose another name; nothing was written.")
        if not path.parent.is_dir():
            raise CommandError(f"There is no folder {path.parent} to write {path.name} into.")
        if not database.applied_migrations():
            raise CommandError("There is nothing to back up yet: the database is empty.")
        passphrase = ask_passphrase(options["passphrase_env"], twice=True)
        try:
            manifest = archive.write(path, passphrase=passphrase, at=timezone.now())
        except OSError as failure:
            raise CommandError(
                f"The backup was not made: {failure.filename or path}: {failure.strerror}."
            ) from None
        size = path.stat().st_size
        # a database that is backed up before it is migrated has no trail yet
        if AuditEntry._meta.db_table in connection.introspection.table_names():
            _record(manifest, path.name, size)
        self.stdout.write(
            f"{path}: {database.ENGINES[manifest.engine]} database and {len(manifest.reports):,} PDF reports as of "
            f"{manifest.made_at:%Y-%m-%d %H:%M:%S} UTC, {size:,} bytes"
        )
        self.stdout.write("Keep the passphrase apart from it: without it the archive cannot be restored.")


def _record(manifest: archive.Manifest, file_name: str, size: int) -> None:
    sha256 = hashlib.sha256(manifest.as_json()).hexdigest()
    details = {"made_at": manifest.made_at.isoformat(), "bytes": size, "manifest_sha256": sha256}
    record(Action.BACKED_UP, COMMAND_LINE, name=file_name, details=details)
