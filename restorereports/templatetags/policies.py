"""`{% load policies %}`: verdicts as tinted boxes, shares as n / N, classes and days as the pages write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import SessionClass, VirtualMachine
from restorereports.models.counts import percent
from restorereports.policies.class_rules import ClassRule
from restorereports.policies.coverage import Coverage, Judgement, TierLine
from restorereports.policies.lines import VmLine
from restorereports.policies.rule_lines import write_rule_lines
from restorereports.policies.terms import Rule
from restorereports.policies.verdicts import VmVerdict
from restorereports.wording import DASH

from .pages import LONGEST_ADDRESS, icon

register = template.Library()

_VERDICTS: Final = {
    VmVerdict.MET: ("good", "good"),
    VmVerdict.DUE_SOON: ("warn", "soon"),
    VmVerdict.OVERDUE: ("bad", "overdue"),
    VmVerdict.NEVER: ("bad", "never"),
    VmVerdict.INCONCLUSIVE: ("doubt", "doubt"),
    VmVerdict.EXEMPT: ("none", "exempt"),
    VmVerdict.NEW: ("info", "new"),
}
_JUDGEMENTS: Final = {
    Judgement.MET: ("good", "good"),
    Judgement.NOT_MET: ("bad", "bad"),
    Judgement.INCONCLUSIVE: ("doubt", "doubt"),
    Judgement.NOTHING: ("none", "noresult"),
}
_DAYS: Final = (
    gettext_lazy("Mon"),
    gettext_lazy("Tue"),
    gettext_lazy("Wed"),
    gettext_lazy("Thu"),
    gettext_lazy("Fri"),
    gettext_lazy("Sat"),
    gettext_lazy("Sun"),
)
# what Django names these fields of a table of forms
_LABELS: Final = {"ORDER": gettext_lazy("Order"), "DELETE": gettext_lazy("Remove")}


@register.simple_tag
def vm_verdict(verdict: str) -> SafeString:
    """What a policy makes of one VM."""
    tone, sign = _VERDICTS[VmVerdict(verdict)]
    return _box(tone, sign, VmVerdict(verdict).label)


@register.simple_tag
def judgement(found: str) -> SafeString:
    """What a policy makes of a figure."""
    tone, sign = _JUDGEMENTS[Judgement(found)]
    return _box(tone, sign, Judgement(found).label)


def _box(tone: str, sign: str, label: object) -> SafeString:
    return format_html('<span class="verdict {}">{}{}</span>', tone, icon(sign), label)


@register.simple_tag
def of_all(part: int, whole: int) -> SafeString:
    """`572 / 617`: never a share without its two figures."""
    return format_html('<span class="nm">{} <i>/ {}</i></span>', f"{part:,}", f"{whole:,}")


@register.simple_tag
def share(part: int, whole: int) -> str:
    """`92.7 %`; a dash where there is nothing to divide by."""
    found = percent(part, whole)
    return DASH if found is None else f"{found} %"


@register.filter
def class_label(value: str) -> str:
    """`Test`, `Real` or `Unset`."""
    return str(SessionClass(value).label)


@register.filter
def day(found: date | datetime | None) -> str:
    """`2026-12-09`; of a moment the day in the reader's zone; a dash when there is none."""
    if found is None:
        return DASH
    if isinstance(found, datetime):
        found = timezone.localtime(found).date()
    return found.isoformat()


@register.filter
def minutes(value: int | None) -> str:
    """`04:00 h` or `2 d 00:00`; a word where no RTO is asked for."""
    if value is None:
        return _("none")
    days, rest = divmod(value, 1440)
    text = f"{rest // 60:02}:{rest % 60:02}"
    return f"{days} d {text}" if days else f"{text} h"


@register.filter
def total(covered: Coverage, field: str) -> int:
    """A figure over all tiers."""
    return covered.total(field)


@register.filter
def rule_lines(rules: tuple[Rule, ...]) -> list[str]:
    """Each rule as the form writes it."""
    return [write_rule_lines([rule]) for rule in rules]


@register.filter
def any_errors(errors: Iterable[Mapping[str, object]]) -> bool:
    """Whether any form of a table was refused."""
    return any(errors)


@register.simple_tag
def cell_field(form: Any, name: str, number: int) -> SafeString:
    """A cell of a table of forms: the field, named for who does not see the head of the column, and its errors."""
    field = form[name]
    label = _LABELS.get(name) or field.label
    field.field.widget.attrs.setdefault(
        "aria-label", _("%(label)s, row %(n)d") % {"label": label, "n": number}
    )
    return format_html(
        '<td class="cell-{}" data-label="{}">{}{}</td>', name.lower(), label, field, field.errors
    )


@register.simple_tag
def below_target(tier: TierLine, today: date) -> SafeString | str:
    """From which day the tier misses its target if nobody restores anything."""
    if tier.judgement in (Judgement.NOT_MET, Judgement.INCONCLUSIVE) and not tier.below_on:
        return format_html('<span class="bad">{}</span>', _("is below"))
    if tier.below_on is None:
        return DASH
    if tier.below_on <= today:
        return format_html('<span class="bad">{}</span>', _("today"))
    return day(tier.below_on)


@register.simple_tag
def due_words(line: VmLine) -> SafeString | str:
    """The last day on which the VM's restore still counts; of an exempt one when the exemption ends."""
    if line.verdict == VmVerdict.EXEMPT:
        return format_html('<span class="muted">{}</span>', _("exempt until %s") % day(line.exempt_until))
    if line.due is None:
        return DASH
    text = day(line.due)
    return format_html('<span class="bad">{}</span>', text) if line.verdict == VmVerdict.OVERDUE else text


@register.filter
def add_to(value: float, more: int) -> float:
    """Coordinates of a chart."""
    return value + more


@register.filter
def label_y(y: float) -> float:
    """Above the mark, or below it where the panel ends."""
    return y + 18 if y < 24 else y - 9


@register.filter
def sessions_of_vm(vm: VirtualMachine) -> str:
    """The list of all restore sessions of this exact name on this backup server; "" where no address holds the name."""
    query = urlencode({"period": "all", "vm_exact": vm.name, "backup_server": vm.backup_server_id})
    address = f"{reverse('restoresession-list')}?{query}"
    return address if len(address) < LONGEST_ADDRESS else ""


@register.simple_tag
def cell_group(form: Any, name: str, number: int) -> SafeString:
    """A cell of a table of forms with ticks in it."""
    field = form[name]
    words = _("%(label)s, row %(n)d") % {"label": field.label, "n": number}
    ticks = format_html_join("", "<label>{}{}</label>", ((one.tag(), one.choice_label) for one in field))
    return format_html(
        '<td class="cell-{0}" data-label="{1}"><fieldset><legend class="visually-hidden">{2}</legend>{3}</fieldset>{4}</td>',
        name,
        field.label,
        words,
        ticks,
        field.errors,
    )


@register.filter
def class_rule_words(rule: ClassRule) -> str:
    """`name lab-*, server vbr-*, Sat Sun, 22 to 6 in Europe/Berlin: Test`."""
    parts = [
        _("name %s") % rule.name if rule.name else "",
        _("server %s") % rule.backup_server if rule.backup_server else "",
        " ".join(str(_DAYS[day]) for day in rule.weekdays),
        _("%(first)d to %(last)d o’clock") % {"first": rule.from_hour, "last": rule.to_hour}
        if rule.from_hour != rule.to_hour
        else "",
    ]
    words = ", ".join(part for part in parts if part)
    if rule.weekdays or rule.from_hour != rule.to_hour:
        words = _("%(what)s in %(zone)s") % {"what": words, "zone": rule.zone}
    return f"{words}: {SessionClass(rule.session_class).label}"
