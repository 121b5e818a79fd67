"""The machine list of a policy as CSV: read with the reason for each bad line, written so that it reads back alike."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .terms import MOST_MACHINES, Machine

COLUMNS: Final = ("name", "backup_server", "tier", "owner", "label")
LARGEST_FILE: Final = 8_000_000  # bytes
MOST_FAULTS: Final = 20  # lines named in a refusal
_LONGEST: Final = {"name": 1000, "backup_server": 255, "tier": 60, "owner": 200, "label": 100}
_APOSTROPHE_BEFORE: Final = ("=", "+", "-", "@", "\t", "\r")


class MachinesRefused(ValueError):
    """The list was not taken; `faults` are (line, sentence), the first of them, lines counted from 1 as editors do."""

    def __init__(self, faults: Sequence[tuple[int, str]], *, more: int = 0) -> None:
        self.faults = tuple(faults)
        self.more = more
        super().__init__(" ".join(self.sentences()))

    def sentences(self) -> list[str]:
        said = [
            _("Line %(line)d: %(why)s") % {"line": line, "why": why} if line else why
            for line, why in self.faults
        ]
        if self.more:
            said.append(
                ngettext("%(n)d more line is wrong.", "%(n)d more lines are wrong.", self.more)
                % {"n": self.more}
            )
        return said


def read_machines(content: bytes, tiers: Iterable[str]) -> tuple[Machine, ...]:
    """The machines of a CSV in UTF-8 with a header; MachinesRefused names every line that cannot be taken."""
    rows = _rows(content)
    header = next(rows, None)
    if header is None:
        raise MachinesRefused([(0, _("The file is empty; its first line names the columns."))])
    columns = _columns(header[1])
    known = set(tiers)
    faults: list[tuple[int, str]] = []
    machines: list[Machine] = []
    seen: dict[tuple[str, str], int] = {}
    for line, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        machine, why = _machine(columns, cells, known)
        if machine is not None:
            before = seen.setdefault((machine.name, machine.backup_server), line)
            if before != line:
                why = _("the same machine stands in line %d.") % before
        if why:
            faults.append((line, why))
        elif machine is not None:
            machines.append(machine)
    if len(machines) > MOST_MACHINES:
        faults.append((0, _("The machine list has at most %(n)d lines.") % {"n": MOST_MACHINES}))
    if faults:
        raise MachinesRefused(faults[:MOST_FAULTS], more=max(len(faults) - MOST_FAULTS, 0))
    return tuple(machines)


def write_machines(machines: Iterable[Machine]) -> Iterator[str]:
    """The header and each machine's line; an apostrophe stands before what a spreadsheet would run as a formula."""
    yield _line(COLUMNS)
    for machine in machines:
        cells = (machine.name, machine.backup_server, machine.tier, machine.owner, machine.label)
        yield _line([_defused(cell) for cell in cells])


def _rows(content: bytes) -> Iterator[tuple[int, list[str]]]:
    if len(content) > LARGEST_FILE:
        raise MachinesRefused([(0, _("The file is larger than 8 MB."))])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as failure:
        line = content[: failure.start].count(b"\n") + 1
        raise MachinesRefused([(line, _("this is no UTF-8; save the list as CSV in UTF-8."))]) from None
    first = text.partition("\n")[0]
    delimiter = ";" if first.count(";") > first.count(",") else ","
    return _numbered(text, delimiter)


def _numbered(text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error:
            raise MachinesRefused([(line, _("the quotation marks of this line do not match."))]) from None
        if cells is None:
            return
        yield line, cells
        line = reader.line_num + 1


def _columns(header: Sequence[str]) -> dict[str, int]:
    names = [name.strip().casefold().replace(" ", "_") for name in header]
    names = ["backup_server" if name == "server" else name for name in names]
    unknown = [name for name in names if name not in COLUMNS]
    if unknown or "name" not in names or len(set(names)) != len(names):
        raise MachinesRefused(
            [
                (
                    1,
                    _("the first line must name the columns, each once, “name” among them: %s.")
                    % ", ".join(COLUMNS),
                )
            ]
        )
    return {name: place for place, name in enumerate(names)}


def _machine(columns: dict[str, int], cells: Sequence[str], tiers: set[str]) -> tuple[Machine | None, str]:
    """The machine, or why it cannot be one."""
    if len(cells) > len(columns):
        return None, _("it has more cells than the first line names columns.")
    values = {
        column: _plain(cells[place], exact=column in ("name", "backup_server"))
        for column, place in columns.items()
        if place < len(cells)
    }
    for column, value in values.items():
        if len(value) > _LONGEST[column]:
            return None, _("“%(column)s” is longer than %(n)d characters.") % {
                "column": column,
                "n": _LONGEST[column],
            }
        if "\0" in value:
            return None, _("“%s” holds a zero character.") % column
    if not values.get("name", "").strip():
        return None, _("it has no name.")
    if (tier := values.get("tier", "")) and tier not in tiers:
        return None, _("there is no tier “%s” in this policy.") % tier
    return Machine(**values), ""


def _plain(cell: str, *, exact: bool) -> str:
    """Names are compared exactly, so that only what `write_machines` put there goes; other cells lose their edges."""
    if _is_defused(cell):
        cell = cell[1:]
    return cell if exact else cell.strip()


def _defused(cell: str) -> str:
    """What already begins like a defused cell gets an apostrophe too, so that it reads back as it is."""
    return f"'{cell}" if cell.startswith(_APOSTROPHE_BEFORE) or _is_defused(cell) else cell


def _is_defused(cell: str) -> bool:
    """One or more apostrophes before the beginning of a formula."""
    return cell.startswith("'") and cell.lstrip("'").startswith(_APOSTROPHE_BEFORE)


def _line(cells: Sequence[str]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(cells)
    return out.getvalue()[:-2] + "\n"
