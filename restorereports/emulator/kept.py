"""The epoch kept in the state directory, so that a restart on another day shows the same history."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from restorereports.emulator.certificates import write_private
from restorereports.emulator.world import start_of_day


def kept_epoch(directory: Path | None, *, now: datetime) -> datetime:
    """The epoch kept in a directory, else the start of the current UTC day, which is kept from then on.

    A file that holds no date is replaced; a directory that cannot be used raises OSError.
    """
    epoch = start_of_day(now)
    if directory is None:
        return epoch
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = directory / "em-epoch.txt"
    if file.exists():
        try:
            return datetime.fromisoformat(file.read_text().strip())
        except ValueError:
            pass
    write_private(file, f"{epoch.isoformat()}\n")
    return epoch
