"""The gaps of one Enterprise Manager: as a bar over time and as rows with what people say about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import BooleanField, ExpressionWrapper, Prefetch, Q, prefetch_related_objects
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from restorereports.models import Gap, GapNote, User

from .forms.gap import GapNoteForm
from .health import KnownEnterpriseManager

ROWS = 50  # gaps named in the table
DRAWN = 200  # gaps read, and drawn into the bar
LEAST_SPAN = timedelta(days=28)
LEAST_WIDTH = 0.35  # per cent: the shortest gap can still be seen
LABELS = 12  # months named on the axis
_MONTH_STEPS = (1, 2, 3, 6, 12, 24, 36, 60, 120)


@dataclass(frozen=True, kw_only=True, slots=True)
class GapRow:
    """One gap in the table. `until` is when EM forgets the first of what a growing gap has lost."""

    gap: Gap
    state: str
    length: timedelta
    until: datetime
    recoverable: bool
    told: bool  # whether the reader may see what runs and people say about it
    notes: list[GapNote]
    form: GapNoteForm


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """A stretch of the bar in per cent of its width; half as high where it concerns one backup server."""

    x: str
    width: str
    kind: str
    half: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Month:
    x: str
    text_x: str
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    spans: list[Span]
    months: list[Month]
    words: str

    @property
    def kinds(self) -> set[str]:
        """What the legend names."""
        return {span.kind for span in self.spans}

    @property
    def halves(self) -> bool:
        return any(span.half for span in self.spans)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gaps:
    """`rows`: growing ones first, then the newest. `count` has all that were read, `over`: there are more."""

    rows: list[GapRow]
    count: int
    over: bool
    bar: Bar | None


def gaps_of(
    em: KnownEnterpriseManager, reader: User, *, as_of: datetime, refused: GapNoteForm | None = None
) -> Gaps:
    """Two queries however many there are. `refused` is a form that was sent and not taken."""
    growing = ExpressionWrapper(Q(closed_run=None), output_field=BooleanField())
    visible = Gap.objects.visible_to(reader).filter(enterprise_manager=em.pk)
    found = visible.select_related("backup_server").annotate(is_open=growing)
    gaps = list(found.order_by("-is_open", "-from_at", "-pk")[: DRAWN + 1])
    drawn, shown = gaps[:DRAWN], gaps[:ROWS]
    prefetch_related_objects(shown, Prefetch("notes", GapNote.objects.select_related("author")))
    return Gaps(
        rows=[_row(gap, em, reader, as_of, refused) for gap in shown],
        count=len(drawn),
        over=len(gaps) > DRAWN,
        bar=_bar(em, drawn, as_of),
    )


def _row(
    gap: Gap, em: KnownEnterpriseManager, reader: User, as_of: datetime, refused: GapNoteForm | None
) -> GapRow:
    told = reader.granted.of(em.pk, gap.backup_server_id)
    until = gap.from_at + em.window
    return GapRow(
        gap=gap,
        state="growing" if gap.is_growing else "recovered" if gap.was_recovered else "lost",
        length=gap.length if gap.length is not None else max(as_of - gap.from_at, timedelta()),
        until=until,
        recoverable=until > as_of,
        told=told,
        notes=list(gap.notes.all()) if told else [],
        form=refused if refused and refused.gap_id == gap.pk else GapNoteForm(gap_id=gap.pk),
    )


def _bar(em: KnownEnterpriseManager, gaps: Sequence[Gap], as_of: datetime) -> Bar | None:
    """None until there is anything to draw."""
    covered_from = em.covered_from_at
    lost = [gap for gap in gaps if not gap.was_recovered]
    if covered_from is None and not lost:
        return None
    earliest = min([gap.from_at for gap in lost] + ([covered_from] if covered_from else []) + [as_of])
    start = min(_month_of(earliest), as_of - LEAST_SPAN)
    scale = _Scale(start, as_of)
    spans = []
    if covered_from is None or covered_from > start:
        spans.append(scale.span(start, covered_from or as_of, "none"))
    read_to = as_of if em.last_good_at and as_of - em.last_good_at < timedelta(days=1) else em.last_good_at
    if covered_from is not None and read_to is not None and read_to > covered_from:
        spans.append(scale.span(covered_from, read_to, "covered"))
    for gap in lost:
        kind = "growing" if gap.is_growing else "lost"
        spans.append(scale.span(gap.from_at, gap.to_at or as_of, kind, half=gap.backup_server_id is not None))
    return Bar(spans=spans, months=scale.months(), words=_words(start, lost))


@dataclass(frozen=True, slots=True)
class _Scale:
    start: datetime
    end: datetime

    def at(self, moment: datetime) -> float:
        share = (moment - self.start) / (self.end - self.start)
        return 100 * min(max(share, 0.0), 1.0)

    def span(self, start: datetime, end: datetime, kind: str, *, half: bool = False) -> Span:
        x = self.at(start)
        width = self.at(end) - x
        if kind in ("lost", "growing"):
            width = max(width, LEAST_WIDTH)
            x = min(x, 100 - width)
        return Span(x=f"{x:.2f}%", width=f"{width:.2f}%", kind=kind, half=half)

    def months(self) -> list[Month]:
        """So many first days of months in the reader's zone as find room, the year where it begins or changes."""
        firsts = list(_firsts(self.start, self.end))
        step = next((n for n in _MONTH_STEPS if len(firsts) <= n * LABELS), _MONTH_STEPS[-1])
        shown = [first for first in firsts if (first.year * 12 + first.month - 1) % step == 0]
        months = []
        year = None
        for first in shown:
            x = self.at(first)
            if x > 93:
                break
            label = date_format(first, "M Y" if first.year != year else "M")
            months.append(Month(x=f"{x:.2f}%", text_x=f"{x + 0.2:.2f}%", label=label))
            year = first.year
        return months


def _month_of(moment: datetime) -> datetime:
    """The month's first midnight in the reader's zone."""
    local = timezone.localtime(moment)
    return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0, fold=0)


def _firsts(start: datetime, end: datetime) -> Iterable[datetime]:
    first = _month_of(start)
    while first <= end:
        if first >= start:
            yield first
        year, month = divmod(first.year * 12 + first.month, 12)
        first = first.replace(year=year, month=month + 1)


def _words(start: datetime, gaps: list[Gap]) -> str:
    growing = sum(gap.is_growing for gap in gaps)
    lost = len(gaps) - growing
    words = [
        _("Time covered by syncs since %s") % date_format(timezone.localtime(start), "j M Y"),
        ngettext(
            "%(n)s gap in which something may be lost", "%(n)s gaps in which something may be lost", lost
        )
        % {"n": lost}
        if lost
        else _("no gap with losses"),
    ]
    if growing:
        words.append(ngettext("%(n)s gap is growing", "%(n)s gaps are growing", growing) % {"n": growing})
    return "; ".join(words)


def explain(gap: Gap, form: GapNoteForm, author: Any, *, at: datetime) -> None:
    """Append what a person has to say; nobody edits it afterwards."""
    GapNote.objects.create(gap=gap, author=author, at=at, text=form.cleaned_data["text"])
