"""Which restore sessions a command means: its period and filters as a scope, or a sentence what is wrong."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from restorereports.models import SYSTEM, BackupServer, BackupServerSource, EnterpriseManager, Outcome
from restorereports.models.counts import distinct_values
from restorereports.models.restore_session import FINAL_STATE, RestoreSession

_RESULTS = {
    Outcome.SUCCESS: ("Success",),
    Outcome.WARNING: ("Warning",),
    Outcome.FAILED: ("Failed",),
    Outcome.NO_RESULT: ("None", ""),
}
_STATES = ("Starting", "Working", "Stopping", FINAL_STATE)
_TYPES = ("RestoreVm", "FileLevelRestore")


def add_period_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--from", dest="start", metavar="WHEN", help="2026-07-01, or a time like 2026-07-01T12:00+02:00"
    )
    parser.add_argument("--to", dest="end", metavar="WHEN", help="end of the period, itself not in it")
    parser.add_argument(
        "--zone",
        default=settings.TIME_ZONE,
        help="IANA zone in which days begin, like Europe/Berlin (default: %(default)s)",
    )


def add_place_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--em", action="append", default=[], metavar="NAME", help="Enterprise Manager; may repeat"
    )
    parser.add_argument(
        "--server", action="append", default=[], metavar="NAME", help="backup server; may repeat"
    )


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise CommandError(f"--zone must be an IANA zone like Europe/Berlin, not “{name}”.") from None


def moment(text: str, option: str, zone: zoneinfo.ZoneInfo) -> datetime:
    """A date is midnight of the zone; a time needs its offset. UTC."""
    try:
        if len(text) == len("2026-07-01"):
            at = datetime.combine(date.fromisoformat(text), time(), zone)
        else:
            at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise CommandError(
                f"{option} {text} has no offset from UTC; write {text}Z, {text}+02:00, or a date alone."
            )
        return at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise CommandError(
            f"{option} “{text}” is no date that exists; write it like 2026-07-01 or 2026-07-01T12:00+02:00."
        ) from None


def bounds(
    start: str | None, end: str | None, zone: zoneinfo.ZoneInfo
) -> tuple[datetime | None, datetime | None]:
    """[--from, --to) in UTC; CommandError when the end does not come after the start."""
    start_at = moment(start, "--from", zone) if start else None
    end_at = moment(end, "--to", zone) if end else None
    if start_at and end_at and start_at >= end_at:
        raise CommandError(f"--to {end} must come after --from {start}; the end is not in the period.")
    return start_at, end_at


def manager_ids(names: Sequence[str]) -> tuple[int, ...]:
    """Ids of the Enterprise Managers named; none named means all."""
    known = dict(EnterpriseManager.objects.visible_to(SYSTEM).values_list("name", "pk"))
    _refuse_unknown("Enterprise Manager", names, known)
    return tuple(sorted(known[name] for name in names))


def server_ids(names: Sequence[str]) -> tuple[int, ...]:
    """Ids of all backup servers that any Enterprise Manager shows under these names."""
    if not names:
        return ()
    servers = BackupServer.objects.visible_to(SYSTEM)
    known: dict[str, set[int]] = {}
    for name, pk in [
        *servers.values_list("name", "pk"),
        *BackupServerSource.objects.filter(backup_server__in=servers).values_list("name", "backup_server"),
    ]:
        known.setdefault(name, set()).add(pk)
    _refuse_unknown("backup server", names, known)
    return tuple(sorted({pk for name in names for pk in known[name]}))


def results_and_outcomes(words: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """EM's raw results; as outcomes where Running or Unknown (neither of them stopped) is among them."""
    if not words:
        return (), ()
    finished = {raw[0]: outcome for outcome, raw in _RESULTS.items()}
    ours = [str(outcome) for outcome in (Outcome.RUNNING, Outcome.UNKNOWN)]
    chosen = _spelled("result", words, (*finished, *ours), _other_results)
    if not (without := [word for word in ours if word in chosen]):
        raw = (_RESULTS[finished[word]] if word in finished else (word,) for word in chosen)
        return tuple(spelling for spellings in raw for spelling in spellings), ()
    if others := [word for word in chosen if word not in finished and word not in ours]:
        raise CommandError(
            f"--result {without[0]} goes with EM's own results only, not with {', '.join(others)}."
        )
    return (), tuple(str(finished.get(word, word)) for word in chosen)


def _other_results() -> Iterable[str]:
    other = RestoreSession.objects.visible_to(SYSTEM).filter(outcome=Outcome.OTHER)
    return other.order_by("result").values_list("result", flat=True).distinct()


def states(words: Sequence[str]) -> tuple[str, ...]:
    return _spelled("state", words, _STATES, lambda: _seen("state"))


def job_types(words: Sequence[str]) -> tuple[str, ...]:
    return _spelled("type", words, _TYPES, lambda: _seen("job_type"))


def _seen(field: str) -> Iterable[str]:
    return distinct_values(RestoreSession.objects.visible_to(SYSTEM), field)


def _spelled(
    option: str, words: Sequence[str], usual: Iterable[str], seen: Callable[[], Iterable[str]]
) -> tuple[str, ...]:
    """The words as EM spells them; a word that EM never sent is refused, not answered by an empty file."""
    known = {word.casefold(): word for word in usual}
    if any(word.casefold() not in known for word in words):
        known |= {word.casefold(): word for word in seen()}
    _refuse_unknown(option, [word for word in words if word.casefold() not in known], known.values())
    return tuple(dict.fromkeys(known[word.casefold()] for word in words))


def _refuse_unknown(kind: str, names: Sequence[str], known: Iterable[str]) -> None:
    known = sorted(known)
    if unknown := [name for name in names if name not in known]:
        raise CommandError(
            f"No {kind} is called {', '.join(unknown)}. Known: {', '.join(known) or 'none yet'}."
        )
