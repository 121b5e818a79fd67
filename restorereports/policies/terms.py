"""The terms of a policy version: read from and written as canonical JSON, refused with a sentence when wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from pydantic import TypeAdapter, ValidationError

from restorereports.models import SessionClass

WHOLE_VM: Final = "RestoreVm"
MOST_TIERS: Final = 12
MOST_RULES: Final = 200
MOST_MACHINES: Final = 50_000
LONGEST_WINDOW: Final = 1096  # days: three years


class TermsError(ValueError):
    """The terms cannot be a policy's; the message says which part and what to write instead."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """VMs whose name and backup server fit the patterns (`*`, `?`, case ignored) and which bear the label.

    What is empty fits everything; a rule that is empty altogether is refused.
    """

    name: str = ""
    backup_server: str = ""
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """VMs that must be restored within `window_days`, `target` percent of them; RTO in minutes, None for none."""

    name: str
    window_days: int
    target: int
    rto_minutes: int | None = None
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """One machine of the list that the policy's owner gave; an empty `tier` leaves it to the rules."""

    name: str
    backup_server: str = ""
    tier: str = ""
    owner: str = ""
    label: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """All that a policy says. Days are calendar days of the report's zone, shares whole percent.

    A VM is out of scope when a rule of `exclude` fits; else the machine list, else the first tier with a fitting rule,
    else `other_tier` has it ("": none, it is counted apart).
    """

    tiers: tuple[Tier, ...]
    preset: str = ""
    controls: tuple[str, ...] = ()
    exclude: tuple[Rule, ...] = ()
    other_tier: str = ""
    machines: tuple[Machine, ...] = ()
    job_types: tuple[str, ...] = (WHOLE_VM,)
    classes: tuple[str, ...] = (SessionClass.TEST.value, SessionClass.REAL.value)
    warning_passes: bool = False
    content_checked: bool = False
    grace_days: int = 30
    due_soon_days: int = 14
    success_target: int | None = 90
    rto_target: int | None = 95
    follow_up_days: int | None = 14

    def tier(self, name: str) -> Tier:
        return next(tier for tier in self.tiers if tier.name == name)

    @property
    def longest_window(self) -> int:
        return max(tier.window_days for tier in self.tiers)


_ADAPTER: Final = TypeAdapter(Terms)


def read_terms(plain: Any) -> Terms:
    """Terms out of JSON values; TermsError when they are not those of a policy."""
    try:
        terms: Terms = _ADAPTER.validate_python(plain, strict=False)
    except ValidationError as failure:
        first = failure.errors()[0]
        where = " › ".join(str(part) for part in first["loc"])
        raise TermsError(
            _("The terms cannot be read at “%(where)s”: %(what)s.") % {"where": where, "what": first["msg"]}
        ) from failure
    check(terms)
    return terms


def plain_terms(terms: Terms) -> dict[str, Any]:
    """JSON values that `read_terms` reads back."""
    plain: dict[str, Any] = _ADAPTER.dump_python(terms, mode="json")
    return plain


def canonical(terms: Terms) -> str:
    return _canonical_of_plain(plain_terms(terms))


def _canonical_of_plain(plain: Any) -> str:
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def sha256_of(terms: Terms) -> str:
    return _sha256_of_text(canonical(terms))


def sha256_of_plain(plain: Any) -> str:
    """Of terms as they are kept, whether this version can still read them or not. ValueError."""
    return _sha256_of_text(_canonical_of_plain(plain))


def _sha256_of_text(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def check(terms: Terms) -> None:
    """TermsError names the first part that no policy can have."""
    names = [tier.name for tier in terms.tiers]
    if not terms.tiers:
        raise TermsError(_("A policy needs at least one tier."))
    if len(terms.tiers) > MOST_TIERS:
        raise TermsError(_("A policy has at most %(n)d tiers.") % {"n": MOST_TIERS})
    for tier in terms.tiers:
        _check_tier(tier)
    if doubled := next((name for name in names if names.count(name) > 1), ""):
        raise TermsError(
            _("Two tiers are called “%(name)s”; give each a name of its own.") % {"name": doubled}
        )
    if terms.other_tier and terms.other_tier not in names:
        raise TermsError(
            _("The tier “%(name)s” for all other VMs does not exist.") % {"name": terms.other_tier}
        )
    _check_rules(terms)
    _check_machines(terms, names)
    _check_qualifying(terms)
    _check_bounds(terms)


def _check_tier(tier: Tier) -> None:
    if not tier.name.strip() or len(tier.name) > 60:
        raise TermsError(_("Each tier needs a name of at most 60 characters."))
    values = {"tier": tier.name, "most": LONGEST_WINDOW}
    if not 1 <= tier.window_days <= LONGEST_WINDOW:
        raise TermsError(_("The window of tier “%(tier)s” must be 1 to %(most)d days.") % values)
    if not 1 <= tier.target <= 100:
        raise TermsError(_("The target of tier “%(tier)s” must be 1 to 100 percent.") % values)
    if tier.rto_minutes is not None and not 1 <= tier.rto_minutes <= 60 * 24 * 30:
        raise TermsError(_("The RTO of tier “%(tier)s” must be 1 minute to 30 days.") % values)


def _check_rules(terms: Terms) -> None:
    rules = [*terms.exclude, *(rule for tier in terms.tiers for rule in tier.rules)]
    if len(rules) > MOST_RULES:
        raise TermsError(_("A policy has at most %(n)d rules; use patterns.") % {"n": MOST_RULES})
    for rule in rules:
        if not (rule.name or rule.backup_server or rule.label):
            raise TermsError(_("A rule needs a name pattern, a backup server or a label."))
        if max(len(rule.name), len(rule.backup_server), len(rule.label)) > 200:
            raise TermsError(_("A pattern of a rule has at most 200 characters."))


def _check_machines(terms: Terms, names: list[str]) -> None:
    if len(terms.machines) > MOST_MACHINES:
        raise TermsError(_("The machine list has at most %(n)d lines.") % {"n": MOST_MACHINES})
    seen: set[tuple[str, str]] = set()
    for machine in terms.machines:
        key = (machine.name, machine.backup_server)
        if not machine.name:
            raise TermsError(_("Each machine of the list needs a name."))
        if machine.tier and machine.tier not in names:
            raise TermsError(
                _("The machine list puts “%(name)s” into the tier “%(tier)s”, which does not exist.")
                % {"name": machine.name[:80], "tier": machine.tier[:80]}
            )
        if key in seen:
            raise TermsError(_("The machine list names “%(name)s” twice.") % {"name": machine.name[:80]})
        seen.add(key)


def _check_qualifying(terms: Terms) -> None:
    if not terms.job_types or not all(terms.job_types):
        raise TermsError(_("Name at least one type of restore session that counts as a restore test."))
    if not terms.classes:
        raise TermsError(_("Name at least one class of restore session that counts as a restore test."))
    for name in terms.classes:
        if name not in SessionClass.values:
            raise TermsError(_("“%(name)s” is no class; choose test, real or unset.") % {"name": name[:40]})


def _check_bounds(terms: Terms) -> None:
    for value, least, most, words in (
        (terms.grace_days, 0, 365, _("The grace for new VMs must be 0 to 365 days.")),
        (terms.due_soon_days, 0, 365, _("“Due soon” must be 0 to 365 days.")),
        (terms.success_target, 1, 100, _("The target of the success rate must be 1 to 100 percent.")),
        (terms.rto_target, 1, 100, _("The share of restores within the RTO must be 1 to 100 percent.")),
        (terms.follow_up_days, 1, 365, _("The days to acknowledge in must be 1 to 365.")),
    ):
        if value is not None and not least <= value <= most:
            raise TermsError(words)
