"""`{% load reports %}`: how the PDF writes foreign texts, shares, outcomes and moments."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from restorereports import wording
from restorereports.models import Outcome, SessionClass
from restorereports.models.completeness import Verdict
from restorereports.models.counts import OutcomeCounts, percent
from restorereports.policies.coverage import Judgement
from restorereports.policies.history import MonthCoverage
from restorereports.policies.rule_lines import write_rule_lines
from restorereports.policies.terms import Rule
from restorereports.policies.verdicts import VmVerdict
from restorereports.reports.printed import cut_text, printed
from restorereports.reports.provenance import SKEW_TOLD_OVER

register = template.Library()
register.filter("printed", printed)
register.filter("cut_text", cut_text)

_CLASS = {
    Outcome.SUCCESS: "success",
    Outcome.WARNING: "warning",
    Outcome.FAILED: "failed",
    Outcome.NO_RESULT: "noresult",
    Outcome.OTHER: "other",
    Outcome.RUNNING: "running",
    Outcome.UNKNOWN: "unknown",
}


_VM_CLASS = {
    VmVerdict.OVERDUE: "overdue",
    VmVerdict.NEVER: "never",
    VmVerdict.INCONCLUSIVE: "inconclusive",
    VmVerdict.DUE_SOON: "warning",
    VmVerdict.MET: "met",
    VmVerdict.NEW: "plain",
    VmVerdict.EXEMPT: "plain",
}
_JUDGEMENT_CLASS = {
    Judgement.MET: ("met", "good"),
    Judgement.NOT_MET: ("notmet", "bad"),
    Judgement.INCONCLUSIVE: ("inconclusive", "doubt"),
    Judgement.NOTHING: ("plain", "plain"),
}
_VERDICT_CLASS = {
    Verdict.COMPLETE: "success",
    Verdict.INCOMPLETE: "failed",
    Verdict.NOT_YET_KNOWN: "unknown",
}


@register.filter
def verdict(found: str) -> SafeString:
    """Complete, Incomplete or Not yet known, as icon and word."""
    kind = Verdict(found)
    return format_html('<span class="v {}">{}</span>', _VERDICT_CLASS[kind], kind.label)


@register.filter
def days(length: timedelta) -> str:
    """`91 d`, days cut; below one day as hours."""
    return f"{length.days} d" if length.days else wording.duration_text(length // timedelta(milliseconds=1))


@register.filter
def signed(value: int) -> str:
    """`+3`, `−3`, `0`."""
    sign = "" if not value else "+" if value > 0 else "\u2212"
    return f"{sign}{wording.number_text(abs(value))}"


@register.filter
def number(value: int) -> str:
    """`3,214`."""
    return wording.number_text(value)


@register.filter
def rate(counts: OutcomeCounts) -> str:
    """`92.5 %` of the completed ended with Success; “no restores” when nothing was completed."""
    share = percent(counts.success, counts.completed)
    return _("no restores") if share is None else wording.share_text(share)


@register.filter
def rated(counts: OutcomeCounts) -> SafeString:
    """`14 / 20 70.0 %`, the completed being the whole: for tables, where the rate has a column of its own."""
    if not counts.completed:
        return format_html("{}", rate(counts))
    return format_html(
        '<span class="nb">{}</span> <span class="nb share">{}</span>',
        of_all(counts.success, counts.completed),
        rate(counts),
    )


@register.simple_tag
def share(part: int, whole: int) -> str:
    """`92.5 %`; empty for an empty whole."""
    found = percent(part, whole)
    return "" if found is None else wording.share_text(found)


@register.simple_tag
def outcome(line: object) -> SafeString:
    """The outcome as icon and word; EM's own word where ours stands for several of them."""
    kind = Outcome(line.outcome)  # type: ignore[attr-defined]
    if kind == Outcome.OTHER:
        said = format_html(' <span class="muted">{}</span>', printed(line.result, 16))  # type: ignore[attr-defined]
    else:
        said = SafeString("")
    return format_html('<span class="v {}">{}</span>{}', _CLASS[kind], kind.label, said)


@register.filter
def type_word(word: str, most: int = 20) -> SafeString:
    """A person's word for EM's type, its own where we know none."""
    return printed(wording.job_type_text(word), most)


@register.filter
def at(when: datetime | None) -> str:
    """`2026-10-14 22:10:02` in the report's zone; empty when not known."""
    return wording.moment_text(when) if when else ""


@register.filter
def with_zone(when: datetime) -> str:
    """`2026-10-14 22:10:02 CEST` in the report's zone."""
    return f"{wording.moment_text(when)} {timezone.localtime(when):%Z}"


@register.filter
def day(when: date | datetime | None) -> str:
    """`2026-10-14`; of a moment the day in the report's zone; empty when not known."""
    if when is None:
        return ""
    return wording.day_text(timezone.localtime(when) if isinstance(when, datetime) else when)


@register.filter
def age(line: object, as_of: datetime) -> str:
    """How long one in progress has been running."""
    return wording.duration_text(int((as_of - line.started_at).total_seconds() * 1000))  # type: ignore[attr-defined]


@register.filter
def skew(seconds: float) -> str:
    """Another clock against ours, as the last good sync found it."""
    if abs(seconds) < 1:
        return _("agrees")
    return (_("%s s ahead") if seconds > 0 else _("%s s behind")) % wording.number_text(round(abs(seconds)))


@register.filter
def is_far(seconds: float) -> bool:
    """Whether a clock is so far off that it is marked."""
    return abs(seconds) > SKEW_TOLD_OVER


@register.filter
def month(first: date) -> str:
    """`Oct 2026`."""
    return date_format(first, "M Y")


@register.filter
def later(line: object) -> str:
    """How long after the failed one the success of the same VM started."""
    gap = line.recovered_at - line.started_at  # type: ignore[attr-defined]
    return wording.duration_text(int(gap.total_seconds() * 1000))


@register.filter
def guid(uid: str) -> SafeString:
    """EM's id without the words before it, as long as that is a GUID."""
    return printed(uid.rpartition(":")[2], 48)


@register.filter
def fingerprint_groups(sha256: str) -> str:
    """`DC365E79 D41CFAE1 …`, as people compare them."""
    return " ".join(sha256.upper()[n : n + 8] for n in range(0, len(sha256), 8))


@register.filter
def vm_verdict(found: str) -> SafeString:
    """What the policy makes of one VM, as icon and word."""
    kind = VmVerdict(found)
    return format_html('<span class="v {}">{}</span>', _VM_CLASS[kind], kind.label)


@register.filter
def judgement(found: str) -> SafeString:
    """What the policy makes of a figure, as icon and word."""
    kind = Judgement(found)
    return format_html('<span class="v {}">{}</span>', _JUDGEMENT_CLASS[kind][0], kind.label)


@register.filter
def judgement_icon(found: str) -> str:
    """The class of its icon."""
    return _JUDGEMENT_CLASS[Judgement(found)][0]


@register.filter
def judgement_tone(found: str) -> str:
    """The class of the box around it: good, bad, doubt or plain."""
    return _JUDGEMENT_CLASS[Judgement(found)][1]


@register.filter
def judgement_word(found: str) -> str:
    return str(Judgement(found).label)


@register.simple_tag
def of_all(part: int, whole: int) -> SafeString:
    """`572 / 617`: never a share without its two figures."""
    return format_html("{} <i>/ {}</i>", wording.number_text(part), wording.number_text(whole))


@register.filter
def minutes(length: int | None) -> str:
    """`04:00:00`; a word where no RTO is asked for."""
    return _("none") if length is None else wording.duration_text(length * 60_000)


@register.filter
def class_word(value: str) -> str:
    """`Test`, `Real` or `Unset`."""
    return str(SessionClass(value).label)


@register.filter
def total(figures: object, field: str) -> int:
    """A figure of a policy over all tiers."""
    return int(figures.total(field))  # type: ignore[attr-defined]


@register.filter
def rule_words(rules: tuple[Rule, ...]) -> list[str]:
    """Each rule as people write it."""
    return [write_rule_lines([rule]) for rule in rules]


@register.filter
def column_words(columns: tuple[str, ...]) -> str:
    """Columns of a restore session in a person's words."""
    return ", ".join(wording.column_text(column) for column in columns)


@register.filter
def uid_start(uid: str) -> SafeString:
    """The first eight characters of EM's id, for a narrow column; the CSV has it whole."""
    return printed(uid.rpartition(":")[2][:8], 8)


@register.filter
def of_month(months: Mapping[date, MonthCoverage], first: date) -> MonthCoverage | None:
    """The coverage of the month that begins on that day, where it was counted."""
    return months.get(first)
