"""What the Enterprise Managers of a report lack of its period, why, and what people say about it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _

from restorereports.models import CollectorOutage, Gap, GapNote, Reader, User
from restorereports.models.completeness import Answers, Interval, Verdict

MOST_LACKS = 15
MOST_NOTES = 3
MOST_OUTAGES = 10
OUTAGE_TOLD_AFTER = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What a person says about a gap."""

    text: str
    author: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Lack:
    """A gap in full length (`to_at` None: it grows), or a stretch of the period that was not read.

    `verdict` None: other Enterprise Managers show the same backup server and have it, or may still bring it.
    """

    enterprise_manager: str
    backup_server: str
    from_at: datetime
    to_at: datetime | None
    cause: str
    verdict: Verdict | None
    detail: str = ""
    notes: tuple[Note, ...] = ()
    notes_total: int = 0

    @property
    def notes_rest(self) -> int:
        return self.notes_total - len(self.notes)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outage:
    """EM's collector stood still: a warning, since EM catches up."""

    enterprise_manager: str
    backup_server: str
    from_at: datetime
    to_at: datetime | None
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lacking:
    """`lacks`: the incomplete first, then by time; `outages`: longer than 24 hours, oldest first. Both bounded."""

    lacks: tuple[Lack, ...] = ()
    lacks_total: int = 0
    gaps_total: int = 0
    outages: tuple[Outage, ...] = ()
    outages_total: int = 0


def lacking(
    answers: Answers,
    managers: Collection[int],
    reader: Reader,
    *,
    backup_servers: Collection[int],
    start: datetime,
    end: datetime,
    as_of: datetime,
) -> Lacking:
    """Of each Enterprise Manager alone, with whether others make up for it; and EM's own outages in the period."""
    missing = {_reason(one): one.verdict for one in answers.overall.intervals}
    found: dict[tuple[object, ...], tuple[Interval, Verdict | None]] = {}
    for alone in answers.enterprise_managers.values():
        for one in alone.intervals:
            key = _reason(one) if one.gap else (*_reason(one), one.from_at)
            found.setdefault(key, (one, missing.get(_reason(one))))
    ordered = sorted(found.values(), key=_worst_first)
    outages = _outages(managers, reader, backup_servers, start=start, end=end, as_of=as_of)
    return Lacking(
        lacks=tuple(_lacks(ordered[:MOST_LACKS], reader)),
        lacks_total=len(ordered),
        gaps_total=sum(1 for one, _why in ordered if one.gap),
        outages=tuple(outages[:MOST_OUTAGES]),
        outages_total=len(outages),
    )


def _reason(one: Interval) -> tuple[object, ...]:
    return one.enterprise_manager, one.backup_server, one.cause, one.gap


def _worst_first(pair: tuple[Interval, Verdict | None]) -> tuple[object, ...]:
    one, verdict = pair
    rank = [Verdict.INCOMPLETE, Verdict.NOT_YET_KNOWN, None].index(verdict)
    return rank, one.from_at, one.enterprise_manager.casefold(), one.backup_server.casefold()


def _lacks(pairs: Iterable[tuple[Interval, Verdict | None]], reader: Reader) -> Iterable[Lack]:
    pairs = list(pairs)
    gaps = Gap.objects.in_bulk([one.gap for one, _why in pairs if one.gap])
    granted = reader.granted
    told = {pk for pk, gap in gaps.items() if granted.of(gap.enterprise_manager_id, gap.backup_server_id)}
    notes = _notes(told, reader)
    for one, verdict in pairs:
        gap = gaps[one.gap] if one.gap else None
        said, total = notes.get(one.gap or 0, ((), 0))
        yield Lack(
            enterprise_manager=one.enterprise_manager,
            backup_server=one.backup_server,
            from_at=gap.from_at if gap else one.from_at,
            to_at=gap.to_at if gap else one.to_at,
            cause=str(one.cause.label),
            verdict=verdict,
            detail=one.detail if one.gap is None or one.gap in told else "",
            notes=said,
            notes_total=total,
        )


def _notes(gaps: Iterable[int], reader: Reader) -> dict[int, tuple[tuple[Note, ...], int]]:
    """By gap its newest notes, and how many it has."""
    found: Any = (
        GapNote.objects.filter(gap__in=list(gaps))
        .annotate(
            rank=Window(RowNumber(), partition_by="gap", order_by="-pk"),
            n=Window(Count("pk"), partition_by="gap"),
        )
        .filter(rank__lte=MOST_NOTES)
        .select_related("author")
        .order_by("gap", "-pk")
    )
    visible = User.objects.visible_to(reader).values_list("pk", flat=True)
    known = (
        None if reader.granted.everything else set(visible.filter(pk__in=[note.author_id for note in found]))
    )
    by_gap: dict[int, tuple[tuple[Note, ...], int]] = {}
    for note in found:
        author = note.author.shown_name if known is None or note.author_id in known else _("unknown")
        before, _n = by_gap.get(note.gap_id, ((), 0))
        by_gap[note.gap_id] = ((*before, Note(text=note.text, author=author, at=note.at)), note.n)
    return by_gap


def _outages(
    managers: Collection[int],
    reader: Reader,
    backup_servers: Collection[int],
    *,
    start: datetime,
    end: datetime,
    as_of: datetime,
) -> list[Outage]:
    ended = Q(to_at__gt=F("from_at") + OUTAGE_TOLD_AFTER) & Q(to_at__gt=start)
    rows = CollectorOutage.objects.visible_to(reader).filter(
        ended | Q(closed_run=None, from_at__lt=as_of - OUTAGE_TOLD_AFTER),
        enterprise_manager__in=managers,
        from_at__lt=end,
    )
    if backup_servers:
        rows = rows.filter(Q(backup_server=None) | Q(backup_server__in=backup_servers))
    return [
        Outage(
            enterprise_manager=row.enterprise_manager.name,
            backup_server=row.backup_server.name if row.backup_server else "",
            from_at=row.from_at,
            to_at=row.to_at,
            message=row.message if reader.granted.of(row.enterprise_manager_id, row.backup_server_id) else "",
        )
        for row in rows.select_related("enterprise_manager", "backup_server").order_by("from_at", "pk")
    ]
