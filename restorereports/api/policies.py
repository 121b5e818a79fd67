"""Policies, and the verdict of each VM by them: the same function as the pages, the CSV and the PDF."""

from __future__ import annotations

import zoneinfo
from datetime import date, datetime
from typing import Annotated, Any

from django.core.exceptions import ValidationError
from django.http import Http404
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from restorereports.models import ApiToken, Policy, PolicyVersion, RestoreSessionScope
from restorereports.models.account import validate_zone
from restorereports.models.scope import NONE_OF_THEM
from restorereports.policies.coverage import Coverage, Judgement, TierLine, coverage
from restorereports.policies.lines import VmLine
from restorereports.policies.terms import read_terms
from restorereports.policies.verdicts import VmVerdict

from .errors import Unreadable
from .gate import ApiRequest
from .operations import reads
from .paging import PageParameters, page_by_id, read_cursor, sign_cursor
from .values import MOST_VALUES, Ids, Time, TimeGiven, Word

SCOPE = ApiToken.Scope.ESTATE
router = Router(tags=["policies"])


class TierOut(Schema):
    name: str
    window_days: int
    target: int = Field(description="Percent of the VMs that must be tested within the window.")
    rto_minutes: int | None


class PolicyOut(Schema):
    """What a policy says in its latest version."""

    id: int
    number: str = Field(examples=["P-01"])
    name: str
    version: int
    in_force_since: Time
    retired_at: Time | None
    terms_sha256: str
    tiers: list[TierOut]
    job_types: list[str] = Field(description="EM's words for the types that count as a restore test.")
    classes: list[str] = Field(description='Classes that count; "" is unset.')
    warning_passes: bool
    controls: list[str]


class PolicyPage(Schema):
    items: list[PolicyOut]
    next_cursor: str | None


class CoverageParameters(PageParameters):
    at: Annotated[TimeGiven, Field(description="The moment of the verdicts; now without it.")] = None
    zone: Annotated[Word, Field(description="Days are counted in this IANA zone.")] = "UTC"
    backup_server: Annotated[Ids, Field(description="Ids.")] = []
    verdict: Annotated[
        list[VmVerdict], Field(max_length=MOST_VALUES, description="Of the items; the figures are of all.")
    ] = []


class TierFigures(TierOut):
    """in_scope = met + due_soon + overdue + never + inconclusive + new + exempt; tested = met + due_soon."""

    in_scope: int
    met: int
    due_soon: int
    overdue: int
    never: int
    inconclusive: int
    new: int
    exempt: int
    tested: int
    measured: int = Field(description="The denominator: in scope without exempt and new ones.")
    judgement: Judgement
    below_on: date | None = Field(description="First day below the target if nobody restores anything.")


class VmOut(Schema):
    """One VM in scope and its latest qualifying restore session before the moment."""

    virtual_machine: int | None = Field(description="None: of the machine list, and never seen.")
    name: str
    backup_server: str
    tier: str
    verdict: VmVerdict
    last_at: Time | None
    last_type: str
    last_uid: str
    age_days: int | None
    due: date | None
    owner: str
    label: str
    exempt_reason: str
    exempt_until: Time | None


class CoverageOut(Schema):
    policy: str
    version: int
    at: Time
    zone: str
    judgement: Judgement
    protected: int = Field(description="VMs with a restore point; of these some are out of scope.")
    excluded: int
    unplaced: int
    not_read: list[str] = Field(description="Enterprise Managers whose restore points were not read by then.")
    tiers: list[TierFigures]
    items: list[VmOut]
    next_cursor: str | None


@reads(router, "/policies", scope=SCOPE, answers=PolicyPage, name="list_policies")
def list_policies(request: ApiRequest, asked: Query[PageParameters]) -> PolicyPage:
    """Policies by id, retired ones too."""
    found, following = page_by_id(Policy.objects.all(), asked, of="policies")
    return PolicyPage(items=[_policy(policy) for policy in found], next_cursor=following)


@reads(
    router,
    "/policies/{int:id}/coverage",
    scope=SCOPE,
    answers=CoverageOut,
    name="get_coverage",
    not_found=True,
)
def get_coverage(request: ApiRequest, id: int, asked: Query[CoverageParameters]) -> CoverageOut:
    """The policy's figures by tier, and each VM's verdict by name. Following pages are of the same moment."""
    policy = Policy.objects.filter(pk=id).first()
    if policy is None:
        raise Http404
    key = asked.list_key(f"coverage-{id}")
    as_of = timezone.now()
    at, after = asked.at or as_of, None
    if asked.cursor:
        moment, *after = read_cursor(key, asked.cursor)
        at = datetime.fromisoformat(moment)
    if at > as_of:
        raise Unreadable("at", "It is in the future: nothing can be said of it.")
    found = coverage(
        policy.latest,
        at=at,
        zone=_zone(asked.zone),
        scope=_scope(request, asked),
        reader=request.user,
        as_of=as_of,
    )
    lines = sorted(
        (line for line in found.lines if not asked.verdict or line.verdict in asked.verdict), key=_place
    )
    rest = [line for line in lines if after is None or _place(line) > tuple(after)]
    page = rest[: asked.limit]
    more = len(rest) > len(page)
    following = sign_cursor(key, at.isoformat(), *_place(page[-1])) if more else None
    return _answer(policy.latest, found, page, following)


def _place(line: VmLine) -> tuple[str, str, int]:
    return line.name, line.backup_server, line.vm_id or 0


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        validate_zone(name)
    except ValidationError as failure:
        raise Unreadable("zone", failure.messages[0]) from None
    return zoneinfo.ZoneInfo(name)


def _scope(request: ApiRequest, asked: CoverageParameters) -> RestoreSessionScope:
    """A backup server that is not there and one that may not be seen find nothing alike."""
    if not asked.backup_server:
        return RestoreSessionScope()
    granted = request.user.granted
    servers = [pk for pk in asked.backup_server if granted.everything or pk in granted.servers]
    return RestoreSessionScope(backup_servers=tuple(servers) or NONE_OF_THEM)


def _policy(policy: Policy) -> PolicyOut:
    latest = policy.latest
    terms = read_terms(latest.terms)
    return PolicyOut(
        id=policy.pk,
        number=str(policy),
        name=policy.name,
        version=latest.number,
        in_force_since=latest.made_at,
        retired_at=policy.retired_at,
        terms_sha256=latest.terms_sha256,
        tiers=[_values(TierOut, tier) for tier in terms.tiers],
        job_types=list(terms.job_types),
        classes=list(terms.classes),
        warning_passes=terms.warning_passes,
        controls=list(terms.controls),
    )


def _answer(
    version: PolicyVersion, found: Coverage, page: list[VmLine], following: str | None
) -> CoverageOut:
    limits = {tier.name: tier.rto_minutes for tier in read_terms(version.terms).tiers}
    return CoverageOut(
        policy=found.policy,
        version=found.version,
        at=found.at,
        zone=found.zone,
        judgement=found.judgement,
        protected=found.protected,
        excluded=found.excluded,
        unplaced=found.unplaced,
        not_read=list(found.unread),
        tiers=[_tier(tier, limits[tier.name]) for tier in found.tiers],
        items=[_values(VmOut, line, virtual_machine=line.vm_id) for line in page],
        next_cursor=following,
    )


def _tier(tier: TierLine, rto_minutes: int | None) -> TierFigures:
    figures: TierFigures = _values(TierFigures, tier, rto_minutes=rto_minutes)
    return figures


def _values(kind: type[Any], thing: Any, **more: Any) -> Any:
    """Fields that bear the same name on both sides."""
    return kind(**{name: getattr(thing, name) for name in kind.model_fields if name not in more}, **more)
