"""`manage.py export_sessions -o out.csv`: restore sessions as CSV, exactly as Enterprise Manager gave them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser

from restorereports.audit import COMMAND_LINE, Action, record
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
        written = self._export(scope, options["output"], spreadsheet_safe=options["spreadsheet_safe"])
        self.stderr.write(f"{written.rows:,} rows")

    def _export(self, scope: RestoreSessionScope, output: str, *, spreadsheet_safe: bool) -> _Written:
        """On record before the first byte and, whatever comes between, after the last one."""
        name = "standard output" if output == "-" else Path(output).name
        asked_for = {"format": "csv", "of": "restore sessions", "filter": scope.as_json()}
        begun = record(Action.EXPORT_BEGUN, COMMAND_LINE, name=name, details=asked_for)
        written = _Written()
        try:
            with snapshot():
                text = lines(scope, reader=SYSTEM, spreadsheet_safe=spreadsheet_safe)
                if output == "-":
                    _print(text, written)
                else:
                    _save(text, Path(output), written)
            written.complete = True
        finally:
            facts: dict[str, Any] = {
                "begun_as": begun.number,
                "rows": written.rows,
                "complete": written.complete,
            }
            facts |= {"sha256": written.sha256.hexdigest()}
            record(Action.EXPORT_ENDED, COMMAND_LINE, name=name, details=facts)
        return written


class _Written:
    """What has gone out so far: rows without the header, and the hash of every byte."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.lines = 0
        self.complete = False

    @property
    def rows(self) -> int:
        return max(self.lines - 1, 0)


def _print(text: Iterator[str], written: _Written) -> None:
    """To standard output; a reader that has enough (head) ends it quietly."""
    try:
        _write(text, sys.stdout.buffer, written)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing to flush at exit
        raise SystemExit(0) from None


def _save(text: Iterator[str], path: Path, written: _Written) -> None:
    """Whole or not at all: written beside the target, then moved onto it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with draft.open("wb") as file:
            _write(text, file, written)
        draft.replace(path)
    except OSError as failure:
        raise CommandError(f"{path} cannot be written: {failure.strerror}.") from None
    finally:
        draft.unlink(missing_ok=True)


def _write(text: Iterator[str], file: BinaryIO, written: _Written) -> None:
    for line in text:
        octets = line.encode()
        file.write(octets)
        written.sha256.update(octets)
        written.lines += 1
