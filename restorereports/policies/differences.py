"""What a new version of a policy changes, in plain words: for the preview, the version history and the audit trail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from restorereports.models import SessionClass

from .rule_lines import write_rule_lines
from .terms import Rule, Terms, Tier

MOST_NAMES: Final = 5  # machines named for each kind of change
_WORDS: Final[dict[str, str | Promise]] = {
    "preset": gettext_lazy("Preset"),
    "controls": gettext_lazy("Controls"),
    "other_tier": gettext_lazy("Tier for all other VMs"),
    "job_types": gettext_lazy("Types that count"),
    "classes": gettext_lazy("Classes that count"),
    "warning_passes": gettext_lazy("An acknowledged Warning passes"),
    "content_checked": gettext_lazy("The content must have been checked"),
    "grace_days": gettext_lazy("Grace for new VMs, days"),
    "due_soon_days": gettext_lazy("Due soon, days"),
    "success_target": gettext_lazy("Target of the success rate, %"),
    "rto_target": gettext_lazy("Target of restores within the RTO, %"),
    "follow_up_days": gettext_lazy("Days to acknowledge a restore without success in"),
}
_OF_TIER: Final[dict[str, str | Promise]] = {
    "window_days": gettext_lazy("window, days"),
    "target": gettext_lazy("target, %"),
    "rto_minutes": gettext_lazy("RTO, minutes"),
}


def differences(old: Terms, new: Terms) -> list[str]:
    """One line a change; empty where both say the same."""
    return [
        *_tiers(old.tiers, new.tiers),
        *_rules(_("Out of scope"), old.exclude, new.exclude),
        *(
            _became(str(label), _value(field, getattr(old, field)), _value(field, getattr(new, field)))
            for field, label in _WORDS.items()
            if getattr(old, field) != getattr(new, field)
        ),
        *_machines(old, new),
    ]


def _tiers(old: tuple[Tier, ...], new: tuple[Tier, ...]) -> Iterator[str]:
    before, after = ({tier.name: tier for tier in tiers} for tiers in (old, new))
    for name in before:
        if name not in after:
            yield _("Tier “%s” removed") % name
    for name, tier in after.items():
        if name not in before:
            yield _("Tier “%(name)s” added: %(days)d days, %(target)d %%") % {
                "name": name,
                "days": tier.window_days,
                "target": tier.target,
            }
            continue
        where = _("Tier “%s”") % name
        for field, label in _OF_TIER.items():
            if (was := getattr(before[name], field)) != (is_now := getattr(tier, field)):
                yield _became(f"{where}, {label}", _value(field, was), _value(field, is_now))
        yield from _rules(where, before[name].rules, tier.rules)
    kept = [name for name in before if name in after]
    if kept != [name for name in after if name in before]:
        yield _("Order of the tiers: %s") % ", ".join(after)


def _rules(where: str, old: tuple[Rule, ...], new: tuple[Rule, ...]) -> Iterator[str]:
    for rule in old:
        if rule not in new:
            yield _("%(where)s: rule removed: %(rule)s") % {"where": where, "rule": write_rule_lines([rule])}
    for rule in new:
        if rule not in old:
            yield _("%(where)s: rule added: %(rule)s") % {"where": where, "rule": write_rule_lines([rule])}
    if old != new and sorted(map(repr, old)) == sorted(map(repr, new)):
        yield _("%s: other order of the rules") % where


def _machines(old: Terms, new: Terms) -> Iterator[str]:
    before, after = ({(one.name, one.backup_server): one for one in terms.machines} for terms in (old, new))
    for sentence, found in (
        (_("Machine list: %(n)d added (%(names)s)"), [key for key in after if key not in before]),
        (_("Machine list: %(n)d removed (%(names)s)"), [key for key in before if key not in after]),
        (
            _("Machine list: %(n)d changed (%(names)s)"),
            [key for key in after if key in before and after[key] != before[key]],
        ),
    ):
        if found:
            yield sentence % {"n": len(found), "names": _some(name for name, _server in found)}


def _some(names: Iterable[str]) -> str:
    every = [name if len(name) <= 80 else f"{name[:80]}…" for name in names]
    shown = ", ".join(every[:MOST_NAMES])
    return f"{shown}, …" if len(every) > MOST_NAMES else shown


def _became(what: str, before: str, after: str) -> str:
    return _("%(what)s: %(before)s → %(after)s") % {"what": what, "before": before, "after": after}


def _value(field: str, value: Any) -> str:
    if field == "classes":
        return ", ".join(str(SessionClass(one).label) for one in value)
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, tuple):
        return ", ".join(value) or _("none")
    return _("none") if value in (None, "") else str(value)
