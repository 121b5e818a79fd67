"""`manage.py export_sessions -o out.csv`: restore sessions as CSV, exactly as Enterprise Manager gave them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from restorereports.management import asked
from restorereports.models import SYSTEM, RestoreSessionScope
from restorereports.models.snapshot import snapshot
from restorereports.reports.sessions_csv import lines


class Command(BaseCommand):
    help = "Writes restore sessions as CSV, oldest first; without filters all of them."

    def add_arguments(self, parser: CommandParser) -> None:
        asked.add_period_arguments(parser)
        asked.add_place_arguments(parser)
        vm = parser.add_mutually_exclusive_group()
        vm.add_argument("--vm", default="", metavar="NAME", help="exact name of the VM")
        vm.add_argument("--vm-contains", default="", metavar="TEXT", help="part of the name, case ignored")
        for option, words in (
            ("--result", "Success, Warning, Failed, None, Running, Unknown; may repeat"),
            ("--state", "Starting, Working, Stopping, Stopped; may repeat"),
            ("--type", "RestoreVm, FileLevelRestore; may repeat"),
        ):
            parser.add_argument(option, action="append", default=[], metavar="WORD", help=words)
        parser.add_argument(
            "--spreadsheet-safe",
            action="store_true",
            help="an apostrophe before cells that a spreadsheet would run as a formula",
        )
        parser.add_argument(
            "-o", "--output", required=True, metavar="FILE", help="the CSV to write; - for standard output"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        start, end = asked.bounds(options["start"], options["end"], asked.zone_named(options["zone"]))
        results, outcomes = asked.results_and_outcomes(options["result"])
        scope = RestoreSessionScope(
            start=start,
            end=end,
            enterprise_managers=asked.manager_ids(options["em"]),
            backup_servers=asked.server_ids(options["server"]),
            vm=options["vm_contains"],
            vm_exact=options["vm"],
            results=results,
            outcomes=outcomes,
            states=asked.states(options["state"]),
            job_types=asked.job_types(options["type"]),
        )
        with snapshot():
            text = lines(scope, reader=SYSTEM, spreadsheet_safe=options["spreadsheet_safe"])
            rows = _print(text) if options["output"] == "-" else _save(text, Path(options["output"]))
        self.stderr.write(f"{rows:,} rows")


def _print(text: Iterator[str]) -> int:
    """To standard output; a reader that has enough (head) ends it quietly."""
    try:
        rows = _write(text, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing to flush at exit
        raise SystemExit(0) from None
    return rows


def _save(text: Iterator[str], path: Path) -> int:
    """Whole or not at all: written beside the target, then moved onto it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            rows = _write(text, file)
        draft.replace(path)
    except OSError as failure:
        raise CommandError(f"{path} cannot be written: {failure.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)
    return rows


def _write(text: Iterator[str], file: BinaryIO) -> int:
    rows = -1  # the header is no row
    for line in text:
        file.write(line.encode())
        rows += 1
    return rows
