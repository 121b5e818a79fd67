"""What a report against a policy says beyond the counts: coverage, the four requirements, durations against RTO."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import F

from restorereports.models import BackupServer, PolicyVersion, Reader, RestoreSessionScope
from restorereports.models.completeness import completeness_in, completeness_of
from restorereports.policies.coverage import Coverage, Judgement, TierLine, coverage
from restorereports.policies.history import MonthCoverage, coverage_by_month
from restorereports.policies.lines import VmLine
from restorereports.policies.requirements import Requirements, requirements, rto_rows
from restorereports.policies.terms import Terms, read_terms
from restorereports.policies.verdicts import VmVerdict

from .durations import Spread, spread_of
from .provenance import Provenance

MOST_LINES: Final = 100
MOST_RISKS: Final = 3
MOST_EXEMPTIONS: Final = 30
MOST_MISSES: Final = 8
NEGATIVE: Final = (VmVerdict.OVERDUE, VmVerdict.NEVER, VmVerdict.INCONCLUSIVE)
_MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Miss:
    """A restore that took longer than its tier's RTO."""

    started_at: datetime
    vm_name: str
    backup_server: str
    duration_ms: int
    uid: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RtoLine:
    """One tier's successful whole-VM restores of the period with a usable duration; the longest misses first."""

    tier: str
    rto_minutes: int | None
    met: int
    judgement: Judgement
    spread: Spread
    misses: tuple[Miss, ...] = ()
    misses_total: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class PreviousPolicy:
    """The four requirements of the period before; None for those of which nothing is known."""

    requirements: Requirements
    no_data: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyFigures:
    """`lines`: the worst VMs, bounded; all of them are in coverage.csv. `at`: the moment of the verdicts.

    `backed_up`: what the Enterprise Managers' own overviews count, None where one of them does not say.
    """

    policy: str
    name: str
    version: int
    in_force_since: datetime
    terms: Terms
    terms_sha256: str
    at: datetime
    zone: str
    tiers: tuple[TierLine, ...]
    requirements: Requirements
    previous: PreviousPolicy
    lines: tuple[VmLine, ...]
    lines_total: int
    risks: tuple[VmLine, ...]
    exemptions: tuple[VmLine, ...]
    exemptions_total: int
    protected: int
    excluded: int
    unplaced: int
    listed_only: int
    read: int
    unread: tuple[str, ...]
    backed_up: int | None
    below_on: date | None
    rto: tuple[RtoLine, ...]
    months: tuple[MonthCoverage, ...]

    def total(self, field: str) -> int:
        """Over all tiers: `in_scope`, `tested`, `measured` or a verdict."""
        return sum(getattr(tier, field) for tier in self.tiers)

    @property
    def judgement(self) -> Judgement:
        return self.requirements.judgement

    @property
    def backed_up_difference(self) -> int | None:
        """VMs with a restore point here less those that the Enterprise Managers' overviews count (rule 8)."""
        return None if self.backed_up is None else self.protected - self.backed_up

    @property
    def lines_rest(self) -> int:
        return self.lines_total - len(self.lines)


def policy_figures(
    version: PolicyVersion,
    *,
    scope: RestoreSessionScope,
    previous: tuple[datetime, datetime],
    zone: zoneinfo.ZoneInfo,
    as_of: datetime,
    reader: Reader,
    origin: Provenance,
) -> tuple[PolicyFigures, Coverage]:
    """The figures, and the whole coverage for coverage.csv. `previous`: the bounds of the period before."""
    if scope.start is None or scope.end is None:
        raise ValueError("figures are of a period with both ends")
    terms = read_terms(version.terms)
    at = min(scope.end, as_of)
    covered = coverage(version, at=at, zone=zone, scope=scope, reader=reader, as_of=as_of)
    rows = scope.rows(reader)
    required = requirements(terms, covered, rows, complete=origin.completeness.complete, as_of=as_of)
    exempt = [line for line in covered.lines if line.verdict == VmVerdict.EXEMPT]
    figures = PolicyFigures(
        policy=covered.policy,
        name=covered.policy_name,
        version=covered.version,
        in_force_since=version.made_at,
        terms=replace(terms, machines=()),
        terms_sha256=version.terms_sha256,
        at=at,
        zone=zone.key,
        tiers=covered.tiers,
        requirements=required,
        previous=_previous(
            version, terms, previous, scope, zone=zone, as_of=as_of, reader=reader, origin=origin
        ),
        lines=covered.lines[:MOST_LINES],
        lines_total=len(covered.lines),
        risks=tuple(line for line in covered.lines if line.verdict in NEGATIVE)[:MOST_RISKS],
        exemptions=tuple(exempt[:MOST_EXEMPTIONS]),
        exemptions_total=len(exempt),
        protected=covered.protected,
        excluded=covered.excluded,
        unplaced=covered.unplaced,
        listed_only=covered.listed_only,
        read=covered.read,
        unread=covered.unread,
        backed_up=_backed_up(origin),
        below_on=covered.below_on,
        rto=tuple(_rto_line(one.tier, required, covered, rows) for one in required.rto_tiers),
        months=coverage_by_month(
            version,
            last=max(at - _MOMENT, scope.start).astimezone(zone).date(),
            zone=zone,
            scope=scope,
            reader=reader,
            as_of=as_of,
        ),
    )
    return figures, covered


def verdicts_of(covered: Coverage | None) -> Mapping[int, str]:
    """By VM's id the verdict; empty without a policy."""
    lines = covered.lines if covered else ()
    return {line.vm_id: line.verdict.value for line in lines if line.vm_id}


def _previous(
    version: PolicyVersion,
    terms: Terms,
    bounds: tuple[datetime, datetime],
    scope: RestoreSessionScope,
    *,
    zone: zoneinfo.ZoneInfo,
    as_of: datetime,
    reader: Reader,
    origin: Provenance,
) -> PreviousPolicy:
    """By the terms of the same version, as of the same moment as the rest."""
    start, end = bounds
    before = replace(scope, start=start, end=end)
    covered = coverage(version, at=end, zone=zone, scope=before, reader=reader, as_of=as_of)
    complete = _is_complete(before, reader, as_of)
    since = origin.first_data_at
    return PreviousPolicy(
        requirements=requirements(terms, covered, before.rows(reader), complete=complete, as_of=as_of),
        no_data=since is None or end <= since or not covered.read,
    )


def _is_complete(scope: RestoreSessionScope, reader: Reader, as_of: datetime) -> bool:
    if scope.start is None or scope.end is None or scope.start >= scope.end:
        return True
    servers = scope.servers_for(reader)
    if scope.enterprise_managers:
        managers = scope.enterprise_managers
        answers = completeness_in(managers, scope.start, scope.end, backup_servers=servers, as_of=as_of)
        return answers.overall.complete
    known = servers or _servers(reader)
    found = completeness_of(known, scope.start, scope.end, as_of=as_of)
    return all(one.complete for one in found.values())


def _servers(reader: Reader) -> list[int]:
    return list(BackupServer.objects.visible_to(reader).values_list("pk", flat=True))


def _backed_up(origin: Provenance) -> int | None:
    counts = [line.overview for line in origin.protected.lines]
    return sum(n for n in counts if n is not None) if counts and None not in counts else None


def _rto_line(tier: str, required: Requirements, covered: Coverage, rows: Any) -> RtoLine:
    one = next(one for one in required.rto_tiers if one.tier == tier)
    own = rto_rows(rows, [line.vm_id for line in covered.lines if line.tier == tier and line.vm_id])
    late: Any = (
        own.none() if one.rto_minutes is None else own.filter(duration_ms__gt=one.rto_minutes * 60_000)
    )
    found = late.annotate(server_name=F("backup_server__name")).order_by("-duration_ms", "started_at", "pk")
    return RtoLine(
        tier=tier,
        rto_minutes=one.rto_minutes,
        met=one.met,
        judgement=one.judgement,
        spread=spread_of(own, n=one.measured),
        misses=tuple(
            Miss(
                started_at=row.started_at,
                vm_name=row.vm_name,
                backup_server=row.server_name,
                duration_ms=row.duration_ms,
                uid=row.uid,
            )
            for row in found[:MOST_MISSES]
        ),
        misses_total=0 if one.rto_minutes is None else one.measured - one.met,
    )
