"""What the pages of policies show: coverage now, what a change would do, the history of versions in words."""

from __future__ import annotations

import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from restorereports.models import Exemption, Policy, PolicyVersion, RestoreSessionScope, User
from restorereports.policies.coverage import Coverage, Judgement, TierLine, coverage
from restorereports.policies.differences import differences
from restorereports.policies.terms import Terms, Tier, read_terms

VERSIONS_SHOWN = 50


def coverage_now(
    version: PolicyVersion, reader: User, *, as_of: datetime, terms: Terms | None = None
) -> Coverage:
    """Of all that the reader may see, in the reader's zone."""
    return coverage(
        version,
        at=as_of,
        zone=zoneinfo.ZoneInfo(reader.zone),
        scope=RestoreSessionScope(),
        reader=reader,
        as_of=as_of,
        terms=terms,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyRow:
    policy: Policy
    version: PolicyVersion
    coverage: Coverage | None


def policy_rows(policies: Sequence[Policy], reader: User, *, as_of: datetime) -> list[PolicyRow]:
    """A retired policy judges nothing any more."""
    rows = []
    for policy in policies:
        version = policy.latest
        covered = None if policy.retired_at else coverage_now(version, reader, as_of=as_of)
        rows.append(PolicyRow(policy=policy, version=version, coverage=covered))
    return rows


@dataclass(frozen=True, kw_only=True, slots=True)
class TierRow:
    """A tier of the terms with its figures."""

    tier: Tier
    line: TierLine


def tier_rows(terms: Terms, covered: Coverage) -> list[TierRow]:
    lines = {line.name: line for line in covered.tiers}
    return [TierRow(tier=tier, line=lines[tier.name]) for tier in terms.tiers]


@dataclass(frozen=True, kw_only=True, slots=True)
class VersionRow:
    """One version; `changes` says what it changed of the one before, empty for the first."""

    version: PolicyVersion
    changes: list[str]


def version_rows(policy: Policy) -> list[VersionRow]:
    """Newest first. Only for who sees whole policies: the words name rules and machines."""
    found = list(policy.versions.select_related("made_by").order_by("-number")[: VERSIONS_SHOWN + 1])
    terms = [read_terms(version.terms) for version in found]
    changes = [differences(old, new) for new, old in pairwise(terms)] + [[]]
    rows = [VersionRow(version=version, changes=said) for version, said in zip(found, changes, strict=False)]
    return rows[:VERSIONS_SHOWN]


@dataclass(frozen=True, kw_only=True, slots=True)
class ExemptionRow:
    """`state`: in force, withdrawn or ended."""

    exemption: Exemption
    state: str


def exemption_rows(exemptions: Sequence[Exemption], *, as_of: datetime) -> list[ExemptionRow]:
    return [ExemptionRow(exemption=one, state=_state(one, as_of)) for one in exemptions]


def exemptions_of(policy: Policy, reader: User) -> Sequence[Exemption]:
    """Of the VMs that the reader may see, newest first."""
    found = Exemption.objects.visible_to(reader).filter(policy=policy)
    return list(
        found.select_related("virtual_machine__backup_server", "given_by", "withdrawn_by", "policy")[:500]
    )


def _state(exemption: Exemption, as_of: datetime) -> str:
    if exemption.withdrawn_at is not None:
        return "withdrawn"
    return "ended" if exemption.expires_at <= as_of else "in force"


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """One figure before or after a change."""

    tested: int
    measured: int
    judgement: Judgement


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviewRow:
    """A tier, or all of them where `name` is empty; None where the tier does not exist on that side."""

    name: str
    before: Side | None
    after: Side | None

    @property
    def differs(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    rows: list[PreviewRow]
    total: PreviewRow
    before: Coverage | None
    after: Coverage


def preview(
    version: PolicyVersion | None, terms: Terms, reader: User, *, as_of: datetime, name: str
) -> Preview:
    """What the policy would say now by these terms, beside what it says."""
    drafted = version or PolicyVersion(policy=Policy(pk=0, name=name), number=1)
    before = coverage_now(version, reader, as_of=as_of) if version else None
    after = coverage_now(drafted, reader, as_of=as_of, terms=terms)
    was = {tier.name: tier for tier in before.tiers} if before else {}
    becomes = {tier.name: tier for tier in after.tiers}
    names = dict.fromkeys((*becomes, *was))
    return Preview(
        rows=[
            PreviewRow(name=one, before=_of_tier(was.get(one)), after=_of_tier(becomes.get(one)))
            for one in names
        ],
        total=PreviewRow(name="", before=_of_all(before), after=_of_all(after)),
        before=before,
        after=after,
    )


def _of_tier(line: TierLine | None) -> Side | None:
    if line is None:
        return None
    return Side(tested=line.tested, measured=line.measured, judgement=line.judgement)


def _of_all(covered: Coverage | None) -> Side | None:
    if covered is None:
        return None
    return Side(
        tested=covered.total("tested"), measured=covered.total("measured"), judgement=covered.judgement
    )
