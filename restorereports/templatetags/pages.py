"""`{% load pages %}`: icons, results, times and ages as the pages write them."""

from __future__ import annotations

import zoneinfo
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports import wording
from restorereports.models import (
    Delivery,
    Gap,
    Inventory,
    Outcome,
    Reconciliation,
    Report,
    ReportSchedule,
    RestoreSession,
    SyncRun,
    User,
)
from restorereports.models.completeness import Completeness, Verdict

register = template.Library()
register.filter("name_text", wording.name_text)

LARGEST_SKEW = 60  # seconds between two clocks that need no word
LONGEST_ADDRESS = 3500  # the web server refuses request lines of more than 4,094 bytes
# columns that people want newest, longest or latest first
FIRST_DESCENDING = frozenset({"started_at", "duration_ms", "ended_at"})

ABSENT = gettext_lazy("not provided by EM")
_RESULTS = {
    Outcome.SUCCESS: ("good", "good"),
    Outcome.WARNING: ("warn", "warn"),
    Outcome.FAILED: ("bad", "bad"),
    Outcome.NO_RESULT: ("none", "noresult"),
    Outcome.OTHER: ("none", "other"),
    Outcome.RUNNING: ("info", "running"),
    Outcome.UNKNOWN: ("doubt", "doubt"),
}
_RUNS = {
    SyncRun.Status.RUNNING: ("info", "running"),
    SyncRun.Status.GOOD: ("good", "good"),
    SyncRun.Status.FAILED: ("bad", "bad"),
    SyncRun.Status.STOPPED: ("warn", "warn"),
    SyncRun.Status.DIED: ("bad", "bad"),
}


@register.simple_tag
def icon(name: str, tone: str = "") -> SafeString:
    """`{% icon "warn" "bad" %}`: a sign of the page's sprite; the word beside it carries the meaning."""
    return format_html(
        '<svg class="icon{}" aria-hidden="true"><use href="#i-{}"/></svg>', tone and f" {tone}", name
    )


@register.simple_tag
def result(outcome: str, word: str = "", box: str = "result") -> SafeString:
    """The outcome as icon and word; what EM said instead goes along where the word is ours."""
    tone, sign = _RESULTS[Outcome(outcome)]
    said = (
        format_html('<span class="visually-hidden"> ({})</span>', wording.name_text(word))
        if outcome == Outcome.OTHER and word
        else ""
    )
    return format_html(
        '<span class="{} {}">{}{}{}</span>', box, tone, icon(sign), Outcome(outcome).label, said
    )


@register.simple_tag
def run_status(run: SyncRun) -> SafeString:
    """The state of a sync run as icon and word."""
    tone, sign = _RUNS[SyncRun.Status(run.status)]
    return format_html(
        '<span class="result {}">{}{}</span>', tone, icon(sign), SyncRun.Status(run.status).label
    )


@register.filter
def number(value: int) -> str:
    """`3,214`."""
    return f"{value:,}"


@register.filter
def clock(at: datetime | None) -> str:
    """`2026-10-14 22:10:02` in the reader's zone, for tables; empty when not known."""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}" if at else ""


@register.filter
def moment(at: datetime) -> str:
    """`14 Oct 2026 22:10:02 CEST` in the reader's zone, for sentences."""
    local = timezone.localtime(at)
    return f"{local.day} {local:%b %Y %H:%M:%S %Z}"


@register.simple_tag
def stamp(at: datetime | None, extra: str = "") -> SafeString:
    """A `<time>` element for tables: the reader's zone to see, UTC for machines."""
    if at is None:
        return format_html('<span class="muted">{}</span>', wording.DASH)
    return format_html('<time datetime="{}">{}</time>', wording.utc_text(at), clock(at))


@register.simple_tag
def ended(row: Any) -> SafeString:
    """The end beside the start: the time alone on the same day, else with the days between them."""
    if row.ended_at is None:
        return format_html(
            '<span class="muted">{}</span>', _("running") if row.outcome == Outcome.RUNNING else ABSENT
        )
    start, end = timezone.localtime(row.started_at), timezone.localtime(row.ended_at)
    days = (end.date() - start.date()).days
    later = format_html(' <span class="muted">{}</span>', f"{days:+} d") if days else ""
    shown = f"{end:%H:%M:%S}"
    return format_html('<time datetime="{}">{}</time>{}', wording.utc_text(row.ended_at), shown, later)


@register.filter
def span(length: timedelta | None) -> str:
    """`26 d 08:35` or `08:35 h`, for ages: days, hours and minutes; a dash when not known."""
    if length is None:
        return wording.DASH
    minutes = max(int(length.total_seconds()), 0) // 60
    days, minutes = divmod(minutes, 1440)
    text = f"{minutes // 60:02}:{minutes % 60:02}"
    return f"{days} d {text}" if days else f"{text} h"


@register.filter
def took(length: timedelta | None) -> str:
    """`00:00:07`; a dash when not known."""
    return wording.duration_text(None if length is None else int(length.total_seconds() * 1000))


@register.filter
def fingerprint(sha256: str) -> str:
    """Two lines of eight groups of four, as people compare them."""
    groups = [sha256.upper()[i : i + 4] for i in range(0, len(sha256), 4)]
    return "\n".join(" ".join(groups[i : i + 8]) for i in range(0, len(groups), 8))


@register.filter
def size(octets: int) -> str:
    """`84 KB`, `1.2 MB`; 1 KB is 1,000 bytes."""
    if octets < 1_000_000:
        return f"{max(octets // 1000, 1)} KB" if octets else "0 KB"
    return f"{octets / 1_000_000:.1f} MB"


@register.simple_tag(takes_context=True)
def current(context: RequestContext, place: str) -> SafeString | str:
    """`aria-current` for the place the page belongs to."""
    match = getattr(context.get("request"), "resolver_match", None)
    name = (match.url_name or "") if match else ""
    return SafeString(' aria-current="page"') if name.split("-")[0] == place else ""


@register.simple_tag
def zone_words() -> str:
    """`Europe/Berlin (CEST, UTC+02:00)`: the zone in which the page shows times, as it is now."""
    now = timezone.localtime()
    offset = f"{now:%z}"
    return f"{timezone.get_current_timezone_name()} ({now:%Z}, UTC{offset[:3]}:{offset[3:]})"


@register.simple_tag(takes_context=True)
def sort_link(context: RequestContext, column: Any) -> str:
    """The address that sorts by this column; the other way round when it is sorted by it already."""
    query = context["request"].GET.copy()
    query.pop("cursor", None)
    if column.is_ordered:
        query["sort"] = str(column.order_by_alias.opposite)
    else:
        query["sort"] = f"-{column.name}" if column.name in FIRST_DESCENDING else column.name
    return f"?{query.urlencode()}"


@register.simple_tag
def field_label(form: Any, name: str) -> str:
    """The label of the field an error belongs to."""
    return str(form[name].label) if name in form.fields else _("Filter")


@register.simple_tag
def differing(text: str, other: str) -> SafeString:
    """The text, marked where it is not the other's; unmarked where there is no other to compare with."""
    if not other or text == other:
        return wording.name_html(text)
    return format_html("<mark>{}</mark>", wording.name_html(text))


@register.simple_tag
def clock_skew(seconds: float) -> SafeString:
    """How far EM's clock is from ours; more than a minute is a warning."""
    return _skew(
        seconds,
        agrees=_("EM’s clock agrees with ours"),
        ahead=_("EM’s clock is %s s ahead of ours"),
        behind=_("EM’s clock is %s s behind ours"),
    )


@register.simple_tag
def database_skew(seconds: float) -> SafeString:
    """How far the database's clock is from ours; more than a minute is a warning."""
    return _skew(
        seconds,
        agrees=_("the database’s clock agrees with ours"),
        ahead=_("the database’s clock is %s s ahead of ours"),
        behind=_("the database’s clock is %s s behind ours"),
    )


def _skew(seconds: float, *, agrees: str, ahead: str, behind: str) -> SafeString:
    if abs(seconds) < 1:
        return format_html("{}", agrees)
    text = (ahead if seconds > 0 else behind) % f"{abs(seconds):,.0f}"
    if abs(seconds) <= LARGEST_SKEW:
        return format_html("{}", text)
    return format_html('<span class="result wraps warn">{}{}</span>', icon("warn"), text)


_RECONCILIATIONS = {
    Reconciliation.State.EQUAL: ("good", "good"),
    Reconciliation.State.DIFFERENT: ("warn", "warn"),
    Reconciliation.State.NOT_READABLE: ("doubt", "doubt"),
    Reconciliation.State.FAILED: ("warn", "warn"),
}
_INVENTORIES = {
    Inventory.State.GOOD: ("good", "good"),
    Inventory.State.NOT_READABLE: ("doubt", "doubt"),
    Inventory.State.FAILED: ("warn", "warn"),
}
_COLLECTORS = {
    SyncRun.Collector.GOOD: ("good", "good"),
    SyncRun.Collector.PARTIAL: ("warn", "warn"),
    SyncRun.Collector.FAILED: ("bad", "bad"),
    SyncRun.Collector.NOT_READABLE: ("doubt", "doubt"),
    SyncRun.Collector.UNKNOWN: ("doubt", "doubt"),
}
_VERDICTS = {
    Verdict.COMPLETE: ("good", "good"),
    Verdict.INCOMPLETE: ("doubt", "doubt"),
    Verdict.NOT_YET_KNOWN: ("none", "noresult"),
}


@register.simple_tag
def reconciliation_state(state: str, box: str = "result") -> SafeString:
    """Whether EM's own list and the mirror agree, as icon and word."""
    kind = Reconciliation.State(state)
    return _signed(_RECONCILIATIONS[kind], kind.label, box)


@register.simple_tag
def run_compared(run: SyncRun, states: dict[int, str]) -> SafeString | str:
    """What this run found when it compared the mirror with EM; empty for a run that did not."""
    return reconciliation_state(states[run.pk]) if run.pk in states else ""


@register.simple_tag
def inventory_state(inventory: Inventory) -> SafeString:
    """How the last reading of what is protected went, as icon and word."""
    kind = Inventory.State(inventory.state)
    return _signed(_INVENTORIES[kind], kind.label)


@register.simple_tag
def collector_state(run: SyncRun) -> SafeString:
    """How EM's own collector is, as icon and word."""
    kind = SyncRun.Collector(run.collector)
    return _signed(_COLLECTORS[kind], kind.label)


@register.simple_tag
def completeness_verdict(found: Completeness) -> SafeString:
    """Whether a backup server's restore sessions are all here, as icon and word; the causes on pointing."""
    causes = "; ".join(
        f"{clock(one.from_at)} – {clock(one.to_at)}: {one.cause.label}" for one in found.intervals[:5]
    )
    return format_html(
        '<span title="{}">{}</span>', causes, _signed(_VERDICTS[found.verdict], found.verdict.label)
    )


@register.simple_tag
def gap_state(gap: Gap) -> SafeString:
    """What became of the time that no sync covered, as icon and word."""
    if gap.is_growing:
        return _signed(("warn", "warn"), _("Growing"))
    if gap.was_recovered:
        return _signed(("good", "good"), _("Recovered"))
    return _signed(("doubt", "doubt"), _("Lost"))


def _signed(looks: tuple[str, str], label: Any, box: str = "result") -> SafeString:
    tone, sign = looks
    return format_html('<span class="{} {}">{}{}</span>', box, tone, icon(sign), label)


@register.filter
def whole_days(length: timedelta) -> str:
    """`91 d`, or hours where it is less than a day: for windows, not for ages."""
    if length < timedelta(days=1):
        return f"{int(length.total_seconds()) // 3600} h"
    return f"{length.days} d"


@register.filter
def plus(value: int) -> str:
    """A difference with its sign: `+3`, `−2`, `0`."""
    return f"+{value:,}" if value > 0 else f"−{-value:,}" if value else "0"


_REPORTS = {
    Report.Status.WAITING: ("info", "soon"),
    Report.Status.RENDERING: ("info", "running"),
    Report.Status.READY: ("good", "good"),
    Report.Status.FAILED: ("bad", "bad"),
}
_DELIVERIES = {
    Delivery.Status.PLANNED: ("info", "soon"),
    Delivery.Status.RETRYING: ("warn", "warn"),
    Delivery.Status.SENT: ("good", "good"),
    Delivery.Status.GIVEN_UP: ("bad", "bad"),
}


@register.simple_tag
def report_status(report: Report, box: str = "result") -> SafeString:
    """How far a report is, as icon and word."""
    tone, sign = _REPORTS[Report.Status(report.status)]
    return format_html(
        '<span class="{} {}">{}{}</span>', box, tone, icon(sign), Report.Status(report.status).label
    )


@register.simple_tag
def delivery_status(delivery: Delivery) -> SafeString:
    """What became of a mail, as icon and word."""
    tone, sign = _DELIVERIES[Delivery.Status(delivery.status)]
    label = Delivery.Status(delivery.status).label
    return format_html('<span class="result {}">{}{}</span>', tone, icon(sign), label)


@register.simple_tag
def delivery_period(delivery: Delivery) -> str:
    """`2026-10`, the month in the schedule's zone."""
    return f"{delivery.period_start_at.astimezone(zoneinfo.ZoneInfo(delivery.schedule.zone)):%Y-%m}"


@register.simple_tag
def fact(text: str) -> SafeString:
    """A text as EM sent it, or that EM did not provide one."""
    if not text:
        return format_html('<span class="muted">{}</span>', ABSENT)
    return format_html('<span class="name">{}</span>', wording.name_html(text))


@register.simple_tag
def vm_link(row: RestoreSession) -> str:
    """The list of all restore sessions of this VM's exact name; "" where no address can hold the name."""
    address = f"{reverse('restoresession-list')}?{urlencode({'period': 'all', 'vm_exact': row.vm_name})}"
    return address if row.vm_name and len(address) < LONGEST_ADDRESS else ""


@register.filter
def visible(text: str) -> SafeString:
    """A payload as it is, with hidden characters framed; its line breaks and tabs stay."""
    lines = (wording.name_html(line) for line in text.split("\n"))
    return format_html_join("\n", "{}", ((line,) for line in lines))


@register.simple_tag(takes_context=True)
def person(context: dict[str, Any], who: User) -> SafeString:
    """The name of a person, if whoever looks at the page may know it."""
    if context["user"].knows(who):
        return wording.name_html(who.get_username())
    return format_html('<span class="muted">{}</span>', _("unknown"))


@register.simple_tag(takes_context=True)
def schedule(context: dict[str, Any], asked: ReportSchedule) -> SafeString | str:
    """The schedule that asked for a report, by its name if whoever looks at the page may know it."""
    user = context["user"]
    if not user.granted.everything:
        if not hasattr(user, "_schedules"):
            user._schedules = set(ReportSchedule.objects.visible_to(user).values_list("pk", flat=True))
        if asked.pk not in user._schedules:
            return _("a schedule")
    return format_html(_("schedule {}"), wording.name_html(asked.name))
