"""How numbers, shares, moments, durations, names and EM's words are written, on pages, in the PDF and in mails alike.

Numbers, shares and moments follow the active language; what is meant for programs (UTC, UIDs) does not.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime
from html import escape
from typing import Final

from django.utils import timezone
from django.utils.formats import get_format, number_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

DASH = "–"
# a column of a restore session -> a person's word for it, where a change of it is told
_COLUMNS = {
    "name": _("Name"),
    "vm_name": _("VM"),
    "job_type": _("Type"),
    "state": _("State"),
    "result": _("Result"),
    "outcome": _("Counted as"),
    "progress": _("Progress"),
    "started_at": _("Started"),
    "ended_at": _("Ended"),
    "duration_ms": _("Duration"),
    "restore_point_name": _("Restore point"),
    "restore_point_uid": _("UID of the restore point"),
    "restored_object_ref": _("Restored object"),
    "failure_message": _("Failure message"),
    "uid": _("UID"),
    "missing_at": _("Gone from EM"),
}
_DAYS: Final = {"de": "%d.%m.%Y"}  # where a language writes a day otherwise than ISO 8601
_TYPES = {"RestoreVm": _("Whole VM"), "FileLevelRestore": _("File-level")}


def number_text(value: int) -> str:
    """`3,214`; in German `3.214`."""
    return str(number_format(value, use_l10n=True, force_grouping=True))


def decimal_text(figure: str) -> str:
    """`92.7` with the language's own sign: in German `92,7`."""
    return figure.replace(".", str(get_format("DECIMAL_SEPARATOR")))


def share_text(figure: str) -> str:
    """`92.7 %`, the blank unbreakable."""
    return f"{decimal_text(figure)}\u00a0%"


def day_text(day: date) -> str:
    """`2026-10-14`; in German `14.10.2026`."""
    return day.strftime(_DAYS.get(get_language() or "", "%Y-%m-%d"))


def moment_text(at: datetime, *, seconds: bool = True) -> str:
    """`2026-10-14 22:10:02` in the active zone; seconds cut, or left out."""
    local = timezone.localtime(at)
    return f"{day_text(local)} {local:%H:%M:%S}" if seconds else f"{day_text(local)} {local:%H:%M}"


def duration_text(milliseconds: int | None) -> str:
    """`00:31:02`, with days kept: `1 d 13:10:16`; unknown or negative is a dash (rule 11). Seconds are cut."""
    if milliseconds is None or milliseconds < 0:
        return DASH
    seconds = milliseconds // 1000
    days, seconds = divmod(seconds, 86_400)
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{days} d {clock}" if days else clock


def utc_text(at: datetime | None) -> str:
    """`2026-10-21T17:10:02.017Z`: UTC, milliseconds cut, not rounded; empty when not known."""
    if at is None:
        return ""
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def job_type_text(job_type: str) -> str:
    """A person's word for EM's type; a type we do not know stays as EM spells it."""
    return str(_TYPES.get(job_type, job_type)) or DASH


def column_text(column: str) -> str:
    """A person's word for a column of a restore session; a column we have no word for stays as it is."""
    return str(_COLUMNS.get(column, column))


def name_parts(name: str) -> list[tuple[str, bool]]:
    """The name cut into (text, hidden): a hidden part is one control or format character as `U+202E`."""
    parts: list[tuple[str, bool]] = []
    for character in name:
        hidden = (
            unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} and character != "\u200d"
        )
        if hidden:
            parts.append((f"U+{ord(character):04X}", True))
        elif parts and not parts[-1][1]:
            parts[-1] = (parts[-1][0] + character, False)
        else:
            parts.append((character, False))
    return parts


def name_text(name: str) -> str:
    """The name as plain text with control and format characters spelled out."""
    return "".join(text for text, hidden in name_parts(name))


def name_html(name: str) -> SafeString:
    """The name as evidence: isolated from the writing direction around it, hidden characters framed."""
    marked = (
        f'<span class="ctrl">{text}</span>' if hidden else escape(text) for text, hidden in name_parts(name)
    )
    return mark_safe(f"<bdi>{''.join(marked)}</bdi>")  # noqa: S308 (each part is escaped above)
