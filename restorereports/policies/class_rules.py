"""Rules for the class of a restore session: by VM name, backup server, weekday and hour; the first that fits counts."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError as InvalidZone
from django.utils.translation import gettext as _
from pydantic import TypeAdapter, ValidationError

from restorereports.models import ClassRules, SessionClass
from restorereports.models.account import validate_zone

from .terms import Rule, TermsError
from .tiers import fits

MOST_RULES: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassRule:
    """Restore sessions that fit all that is given get `session_class`.

    `name`, `backup_server`: patterns with `*` and `?`, case ignored. `weekdays`: 0 is Monday, none means each.
    Hours [from_hour, to_hour) of `zone`, 22 to 6 goes over midnight; both 0 means any.
    """

    session_class: str
    name: str = ""
    backup_server: str = ""
    weekdays: tuple[int, ...] = ()
    from_hour: int = 0
    to_hour: int = 0
    zone: str = "UTC"


_ADAPTER: Final = TypeAdapter(tuple[ClassRule, ...])
Classify = Callable[[str, str, datetime], str]


def read_rules(plain: Any) -> tuple[ClassRule, ...]:
    """Rules out of JSON values; TermsError when they are none."""
    try:
        rules: tuple[ClassRule, ...] = _ADAPTER.validate_python(plain)
    except ValidationError as failure:
        first = failure.errors()[0]
        where = " › ".join(str(part) for part in first["loc"])
        raise TermsError(
            _("The rules cannot be read at “%(where)s”: %(what)s.") % {"where": where, "what": first["msg"]}
        ) from failure
    if len(rules) > MOST_RULES:
        raise TermsError(_("There may be at most %(n)d rules; use patterns.") % {"n": MOST_RULES})
    for number, rule in enumerate(rules, 1):
        _check(number, rule)
    return rules


def plain_rules(rules: tuple[ClassRule, ...]) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = _ADAPTER.dump_python(rules, mode="json")
    return plain


def _check(number: int, rule: ClassRule) -> None:
    if rule.session_class not in (SessionClass.TEST, SessionClass.REAL):
        raise TermsError(_("Rule %(n)d: the class must be test or real.") % {"n": number})
    if not (rule.name or rule.backup_server or rule.weekdays or rule.from_hour != rule.to_hour):
        raise TermsError(
            _("Rule %(n)d fits every restore session; name a pattern, a weekday or hours.") % {"n": number}
        )
    if max(len(rule.name), len(rule.backup_server)) > 200:
        raise TermsError(_("Rule %(n)d: a pattern has at most 200 characters.") % {"n": number})
    if not all(0 <= day <= 6 for day in rule.weekdays):
        raise TermsError(_("Rule %(n)d: weekdays are 0 (Monday) to 6 (Sunday).") % {"n": number})
    if not (0 <= rule.from_hour <= 23 and 0 <= rule.to_hour <= 24):
        raise TermsError(_("Rule %(n)d: hours are 0 to 24.") % {"n": number})
    try:
        validate_zone(rule.zone)
    except InvalidZone as failure:
        raise TermsError(failure.messages[0]) from None


def latest_rules() -> tuple[ClassRule, ...]:
    """Those that new restore sessions follow; none where nobody made any."""
    latest = ClassRules.objects.order_by("-number").first()
    return read_rules(latest.rules) if latest else ()


def classifier(rules: tuple[ClassRule, ...]) -> Classify:
    """A function that tells the class of (VM name, backup server's name, start)."""

    def classify(vm_name: str, backup_server: str, started_at: datetime) -> str:
        for rule in rules:
            if _fits(rule, vm_name, backup_server, started_at):
                return rule.session_class
        return SessionClass.UNSET.value

    return classify


def _fits(rule: ClassRule, vm_name: str, backup_server: str, started_at: datetime) -> bool:
    if not fits(Rule(name=rule.name, backup_server=rule.backup_server), vm_name, backup_server, ""):
        return False
    if not rule.weekdays and rule.from_hour == rule.to_hour:
        return True
    local = started_at.astimezone(zoneinfo.ZoneInfo(rule.zone))
    return (not rule.weekdays or local.weekday() in rule.weekdays) and _in_hours(rule, local.hour)


def _in_hours(rule: ClassRule, hour: int) -> bool:
    if rule.from_hour == rule.to_hour:
        return True
    if rule.from_hour < rule.to_hour:
        return rule.from_hour <= hour < rule.to_hour
    return hour >= rule.from_hour or hour < rule.to_hour
