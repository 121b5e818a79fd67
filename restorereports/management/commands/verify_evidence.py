"""`manage.py verify_evidence [--expect LENGTH:HASH]`: check register and final reports; exit code 1 on any fault."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from restorereports.audit.chain import GENESIS
from restorereports.management.anchor import chain_state
from restorereports.reports.verification import Evidence, verify


class Command(BaseCommand):
    help = (
        "Checks each entry of the register of evidence and its head, and of each final report the file, its frozen "
        "figures and rows, its manifest and its row. Exit code 1 when anything was changed, removed, cut or computed "
        "anew; each fault is named with the report or the entry."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--expect",
            action="append",
            default=[],
            type=chain_state("the register"),
            metavar="LENGTH:HASH",
            help="what a PDF or its mail prints of the register; may repeat",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = verify(options["expect"])
        self._tell_state(found)
        for fault in found.chain:
            self.stdout.write(f"FAULT: register: {fault.what}; last good entry: {fault.last_good or 'none'}")
        for one in found.found:
            self.stdout.write(f"FAULT: {one.report}: {one.what}")
        if rest := found.total - len(found.chain) - len(found.found):
            self.stdout.write(f"FAULT: and {rest:,} more")
        if found.total:
            raise SystemExit(1)
        self.stdout.write("The evidence is whole: the register, and every final report that it issued.")

    def _tell_state(self, found: Evidence) -> None:
        self.stdout.write(f"Entries: {found.entries:,}")
        length, last = (found.head.length, found.head.hash) if found.head else (0, GENESIS)
        self.stdout.write(f"Head: {length}:{last}")
        self.stdout.write(f"Compared with what was printed: {found.anchors:,} time(s)")
        self.stdout.write(f"Final reports: {found.reports:,}, of which deleted on record: {found.deleted:,}")
