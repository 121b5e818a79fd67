"""`manage.py verify_audit [--expect LENGTH:HASH]`: check the whole audit trail; exit code 1 on any fault."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from restorereports.audit.chain import GENESIS
from restorereports.audit.verification import Findings, verify
from restorereports.management.anchor import chain_state


class Command(BaseCommand):
    help = (
        "Checks each entry of the audit trail, its head, and what the reports say of it. Exit code 1 when anything was "
        "changed, removed, cut or computed anew; each fault with the last entry that is good."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--expect",
            action="append",
            default=[],
            type=chain_state("the trail"),
            metavar="LENGTH:HASH",
            help="what a PDF or its mail prints of the trail; may repeat",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = verify(options["expect"])
        self._tell_state(found)
        for fault in found.faults:
            self.stdout.write(f"FAULT: {fault.what}; last good entry: {fault.last_good or 'none'}")
        if rest := found.total - len(found.faults):
            self.stdout.write(f"FAULT: and {rest:,} more")
        if found.total:
            raise SystemExit(1)
        self.stdout.write("The audit trail is whole: no entry was changed, removed or put in.")

    def _tell_state(self, found: Findings) -> None:
        self.stdout.write(f"Entries: {found.entries:,}")
        length, last = (found.head.length, found.head.hash) if found.head else (0, GENESIS)
        self.stdout.write(f"Head: {length}:{last}")
        self.stdout.write(f"Compared with what was printed: {found.anchors:,} time(s)")
