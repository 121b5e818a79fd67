"""`manage.py restore FILE`: an installation out of the archive that `manage.py backup` made."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from restorereports.audit import COMMAND_LINE, Action, head, record
from restorereports.management import database
from restorereports.management.archive import Archive, Manifest
from restorereports.management.restoration import (
    Kept,
    installation_stopped,
    put_in_place,
    refuse_missing_key,
    refuse_unfit,
)
from restorereports.management.sealed_keys import Keys, ask_passphrase
from restorereports.models import SYSTEM, Delivery, EnterpriseManager, ReportSchedule, RestoreSession
from restorereports.reports.schedule import due_months, month_started_at


class Command(BaseCommand):
    help = (
        "Replaces database, keys and PDFs by those of an archive; what was there before is kept in backups/."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="an archive made by manage.py backup")
        parser.add_argument(
            "--passphrase-env", metavar="VAR", help="environment variable that holds the passphrase"
        )
        parser.add_argument("--yes", action="store_true", help="do not ask before the database is replaced")

    def handle(self, *args: Any, **options: Any) -> None:
        path, at = Path(options["file"]), timezone.now()
        try:
            with path.open("rb") as file, installation_stopped():
                archive = Archive(file, path.name)
                keys = self._checked(archive, options["passphrase_env"])
                if not options["yes"]:
                    _confirm(archive.manifest)
                before = _trail_before()
                kept = put_in_place(archive, keys, at=at)
                migrated = database.bring_up_to_date(at=at)
                _record(archive.manifest, path.name, before)
        except OSError as failure:
            raise CommandError(
                f"{failure.filename or path}: {failure.strerror}. The database was not replaced."
            ) from None
        for line in (*_what_was_done(archive.manifest, kept, migrated=bool(migrated)), *_what_comes_next(at)):
            self.stdout.write(line)

    def _checked(self, archive: Archive, variable: str | None) -> Keys:
        """Everything that can be refused, before the first write."""
        refuse_unfit(archive)
        keys = archive.keys(ask_passphrase(variable, twice=False))
        refuse_missing_key(keys)
        database.refuse_other_users()
        archive.verify()
        return keys


def _trail_before() -> dict[str, Any] | None:
    """Where the audit trail stood that is about to be replaced; None where there was none, or none that can be read."""
    try:
        return head().as_json()
    except DatabaseError:
        return None


def _record(manifest: Manifest, file_name: str, before: dict[str, Any] | None) -> None:
    """The first new entry of the restored trail names the one that it took the place of."""
    details = {"made_at": manifest.made_at.isoformat(), "version": manifest.version, "trail_before": before}
    record(Action.RESTORED, COMMAND_LINE, name=file_name, details=details)


def _confirm(manifest: Manifest) -> None:
    question = (
        f"This puts the backup of {_utc(manifest.made_at)} in the place of the present "
        f"{database.ENGINES[manifest.engine]} database. Type restore to go on: "
    )
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip() != "restore":
        raise CommandError("Not confirmed (--yes does without asking). Nothing was changed.")


def _what_was_done(manifest: Manifest, kept: Kept, *, migrated: bool) -> Iterator[str]:
    rows = RestoreSession.objects.visible_to(SYSTEM).count()
    yield (
        f"Restored the backup made at {_utc(manifest.made_at)} by version {manifest.version}: "
        f"{rows:,} restore sessions, {len(manifest.reports):,} PDF reports, keys."
    )
    if migrated:
        yield "The database was migrated to this version."
    if kept.database:
        yield f"The database before is kept: {kept.database}"
    if kept.reports:
        yield f"PDF reports that the backup does not know are kept: {kept.reports}"


def _what_comes_next(at: datetime) -> Iterator[str]:
    for enterprise_manager in EnterpriseManager.objects.visible_to(SYSTEM).with_health():
        yield f"{enterprise_manager.name}: {_gap(enterprise_manager, at)}"
    if mails := _deliveries_due(at):
        yield (
            f"{mails} monthly deliveries due since then will be made and mailed again once it runs, "
            "also those that went out after the backup."
        )
    yield "Now read everything that Enterprise Manager still shows: manage.py sync --full"


def _gap(enterprise_manager: EnterpriseManager, at: datetime) -> str:
    """What the next full sync cannot read any more, as far as is known how far back this one answers."""
    last: datetime | None = enterprise_manager.last_good_at  # type: ignore[attr-defined]
    if last is None:
        return "no good sync yet; the next one is full."
    shown_from = at - enterprise_manager.window
    if last >= shown_from:
        return f"last good sync {_utc(last)}; the next full sync closes the time since without a gap."
    return (
        f"last good sync {_utc(last)}; Enterprise Manager is known to answer {enterprise_manager.window.days} days "
        f"back, so restore sessions from then to {_utc(shown_from)} may be lost: the next full sync tells."
    )


def _deliveries_due(at: datetime) -> int:
    """Monthly reports that the restored database takes for unsent: planned ones, and months it does not know."""
    due = Delivery.objects.filter(status__in=Delivery.OPEN, schedule__is_active=True).count()
    for schedule in ReportSchedule.objects.filter(is_active=True):
        planned = {
            month_started_at(start) for start in schedule.deliveries.values_list("period_start_at", flat=True)
        }
        due += sum(period.first not in planned for period in due_months(schedule, at))
    return due


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"
