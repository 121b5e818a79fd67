"""What the demo judges its invented restores by: rules for test and real, and a policy with three tiers."""

from __future__ import annotations

from datetime import datetime

from restorereports.audit import COMMAND_LINE
from restorereports.models import ClassRules, Policy, PolicyVersion
from restorereports.policies.class_rules import ClassRule
from restorereports.policies.classes import change_rules
from restorereports.policies.drafting import add_policy
from restorereports.policies.terms import Rule, Terms, Tier

NAME = "Restore tests"
RULES = (
    ClassRule(session_class="test", name="lab-*"),
    ClassRule(session_class="test", weekdays=(5, 6)),
    ClassRule(session_class="test", from_hour=18, to_hour=8),
    ClassRule(session_class="real", name="*"),
)
TERMS = Terms(
    tiers=(
        Tier(
            name="Tier 1",
            window_days=30,
            target=90,
            rto_minutes=60,
            rules=tuple(Rule(name=name) for name in ("*-db*", "dc*", "erp-*", "scada-*")),
        ),
        Tier(
            name="Tier 2",
            window_days=60,
            target=80,
            rto_minutes=240,
            rules=tuple(Rule(name=name) for name in ("*-app*", "*-web*", "*-srv*", "mail-*")),
        ),
        Tier(name="Tier 3", window_days=90, target=60),
    ),
    preset="90",
    controls=("CIS v8.1 11.5", "ISO/IEC 27001:2022 A.8.13", "SOC 2 A1.3", "NIST CSF 2.0 PR.DS-11"),
    exclude=(Rule(name="build-agent*"),),
    other_tier="Tier 3",
)


def plan_policy(*, at: datetime) -> PolicyVersion:
    """Once, before the first sync: what comes later follows the rules that were there."""
    if not ClassRules.objects.exists():
        change_rules(RULES, note="Nights and weekends are tests", person=None, actor=COMMAND_LINE, at=at)
    policy = Policy.objects.filter(name=NAME).first()
    if policy is None:
        return add_policy(NAME, TERMS, note="", person=None, actor=COMMAND_LINE, at=at)
    return policy.latest
