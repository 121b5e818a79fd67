"""`manage.py report --period 2026-Q3 -o out.pdf`: a PDF report, on record like every other."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from restorereports.audit import COMMAND_LINE
from restorereports.management import asked
from restorereports.models import Policy, PolicyVersion, Report, RestoreSessionScope
from restorereports.models.period import PeriodUnreadable, named_period
from restorereports.reports.files import path_of
from restorereports.reports.on_record import record_request
from restorereports.reports.render import render_report
from restorereports.reports.request import request_report

EARLIEST, LATEST = 1969, 3000  # years of the bounds in UTC: a zone may begin its 1970 in 1969
OUT_OF_BOUNDS = "A report's period lies between 1970 and 2999."


class Command(BaseCommand):
    help = "Makes a PDF report of a period and prints its path, pages, rows and SHA-256."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--period", help="2026-Q3 for a quarter, 2026-07 for a month, 2026 for a year")
        asked.add_period_arguments(parser)
        asked.add_place_arguments(parser)
        parser.add_argument("--organisation", default="", help="printed on the cover and in each page's head")
        parser.add_argument(
            "--policy", default="", metavar="P-01", help="judge by the latest version of this policy"
        )
        parser.add_argument("--final", action="store_true", help="issue it at once instead of making a draft")
        parser.add_argument("--language", choices=Report.Language.values, default=Report.Language.ENGLISH)
        parser.add_argument("--paper", choices=Report.Paper.values, default=Report.Paper.A4)
        parser.add_argument(
            "--classification", default="", help="printed in each page's head, such as Internal"
        )
        parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the PDF to write")

    def handle(self, *args: Any, **options: Any) -> None:
        start, end = _period(options)
        scope = RestoreSessionScope(
            start=start,
            end=end,
            enterprise_managers=asked.manager_ids(options["em"]),
            backup_servers=asked.server_ids(options["server"]),
        )
        path = Path(options["output"])
        if not path.parent.is_dir():
            raise CommandError(f"There is no folder {path.parent} to write {path.name} into.")
        version = _policy_version(options["policy"])
        now = timezone.now()
        with transaction.atomic():
            report = request_report(
                scope=scope,
                zone=options["zone"],
                organisation=options["organisation"],
                requested_by=None,
                at=now,
                policy_version=version,
                language=options["language"],
                paper=options["paper"],
                classification=options["classification"][:60],
                stage=Report.Stage.FINAL if options["final"] else Report.Stage.DRAFT,
            )
            record_request(report, COMMAND_LINE)
        render_report(report.pk, as_of=now)
        report.refresh_from_db()
        if report.status != Report.Status.READY:
            raise CommandError(
                f"{report}: {report.error or 'another worker is at it; look for it on the reports page'}"
            )
        _copy(report, path)
        self.stdout.write(f"{path}: {report}, {report.pages} pages, {report.rows:,} rows")
        self.stdout.write(f"SHA-256 {report.sha256}")
        self.stdout.write(f"Audit trail {report.audit_length}:{report.audit_hash}")


def _policy_version(text: str) -> PolicyVersion | None:
    """By its number, written P-01, or its name."""
    if not text:
        return None
    policies = {str(policy): policy for policy in Policy.objects.filter(retired_at=None)}
    named = {policy.name: policy for policy in policies.values()}
    policy = policies.get(text.upper()) or named.get(text)
    if policy is None:
        known = ", ".join(f"{number} ({policy.name})" for number, policy in policies.items())
        raise CommandError(f"There is no policy {text}. There are: {known or 'none'}.")
    return policy.latest


def _period(options: dict[str, Any]) -> tuple[datetime, datetime]:
    zone = asked.zone_named(options["zone"])
    if options["period"] and (options["start"] or options["end"]):
        raise CommandError("Give either --period or --from and --to, not both.")
    if options["period"]:
        start, end = _named(options["period"], zone.key)
    else:
        first, last = asked.bounds(options["start"], options["end"], zone)
        if first is None or last is None:
            raise CommandError("A report needs --period, or both --from and --to.")
        start, end = first, last
    if start.year < EARLIEST or end.year > LATEST:
        raise CommandError(OUT_OF_BOUNDS)
    return start, end


def _named(text: str, zone: str) -> tuple[datetime, datetime]:
    try:
        period = named_period(text, zone)
        return period.start_at, period.end_at
    except PeriodUnreadable as failure:
        raise CommandError(str(failure)) from None
    except OverflowError:
        raise CommandError(OUT_OF_BOUNDS) from None


def _copy(report: Report, path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_bytes(path_of(report).read_bytes())
        draft.replace(path)
    except OSError as failure:
        raise CommandError(f"{path} cannot be written: {failure.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)
