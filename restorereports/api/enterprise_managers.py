"""Enterprise Managers: how fresh each is, and whether what is here of a period is complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from django.db.models import BooleanField, ExpressionWrapper, Q
from django.http import Http404
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema
from pydantic import Field

from restorereports.models import ApiToken, BackupServer, EnterpriseManager, User
from restorereports.models.completeness import Answers, Cause, Completeness, Verdict, completeness_in
from restorereports.models.gap import Gap
from restorereports.models.health import HealthState, state_of, with_state

from .errors import Unreadable
from .gate import ApiRequest
from .operations import reads
from .paging import NamedParameters, page_by_id
from .values import Parameters, Time, TimeGiven

SCOPE = ApiToken.Scope.ESTATE
MOST_GAPS = 200
USUAL_PERIOD = timedelta(days=30)
router = Router(tags=["Enterprise Managers"])


class PeriodParameters(Parameters):
    """Of which period completeness is asked: [period_from, period_to)."""

    period_from: Annotated[TimeGiven, Field(description="30 days before its end if not given.")] = None
    period_to: Annotated[TimeGiven, Field(description="Now if not given.")] = None

    def period(self, now: datetime) -> tuple[datetime, datetime]:
        end = min(self.period_to or now, now)
        start = self.period_from or end - USUAL_PERIOD
        if start >= end:
            raise Unreadable("period_from", _("It is not before the end of the period, or not before now."))
        return start, end


class ListParameters(NamedParameters, PeriodParameters):
    """By name and period."""


class IntervalOut(Schema):
    """[from_at, to_at) of which something is not here."""

    from_at: Time
    to_at: Time
    verdict: Verdict
    cause: Cause
    backup_server: str = Field(description="Name of the one it concerns; empty: whatever EM shows.")
    detail: str


class CompletenessOut(Schema):
    """Of [from_at, to_at). No interval exactly when the verdict is complete."""

    from_at: Time
    to_at: Time
    verdict: Verdict
    intervals: list[IntervalOut]


class EnterpriseManagerOut(Schema):
    """Where not all its backup servers are granted (`whole` is false), what is null concerns the others too."""

    id: int
    name: str
    whole: bool
    state: HealthState
    last_good_at: Time | None = Field(description="Start of the last good sync.")
    last_attempt_at: Time | None
    window_seconds: int | None = Field(description="How far back EM answers, as far as that was seen.")
    paused: bool | None = Field(description="A person has to act before the next sync.")
    completeness: CompletenessOut = Field(description="Over the backup servers that the person may see.")


class GapOut(Schema):
    """Of [from_at, to_at) restore sessions may be lost. Growing: `to_at` is null; none lost: it equals `from_at`."""

    id: int
    from_at: Time
    to_at: Time | None
    cause: Gap.Cause
    backup_server: str
    detail: str
    opened_at: Time
    closed_at: Time | None


class ServerCompleteness(Schema):
    id: int
    name: str
    completeness: CompletenessOut


class EnterpriseManagerDetail(EnterpriseManagerOut):
    gaps: list[GapOut] | None = Field(description="Growing ones first, then the newest; 200 at most.")
    backup_servers: list[ServerCompleteness]


class EnterpriseManagerPage(Schema):
    items: list[EnterpriseManagerOut]
    next_cursor: str | None


@reads(
    router,
    "/enterprise-managers",
    scope=SCOPE,
    answers=EnterpriseManagerPage,
    name="list_enterprise_managers",
)
def list_enterprise_managers(request: ApiRequest, asked: Query[ListParameters]) -> EnterpriseManagerPage:
    """Enterprise Managers by id, with their health and the completeness of a period."""
    now = timezone.now()
    period = asked.period(now)
    rows = EnterpriseManager.objects.visible_to(request.user)
    if asked.name:
        rows = rows.filter(name__icontains=asked.name)
    found, following = page_by_id(with_state(rows), asked, of="enterprise-managers")
    answers = _answers(found, request.user, period)
    items = [EnterpriseManagerOut(**_fields(em, request.user, answers, period, now)) for em in found]
    return EnterpriseManagerPage(items=items, next_cursor=following)


@reads(
    router,
    "/enterprise-managers/{int:id}",
    scope=SCOPE,
    answers=EnterpriseManagerDetail,
    name="get_enterprise_manager",
    not_found=True,
)
def get_enterprise_manager(
    request: ApiRequest, id: int, asked: Query[PeriodParameters]
) -> EnterpriseManagerDetail:
    """One Enterprise Manager, its gaps, and each backup server's completeness."""
    now = timezone.now()
    period = asked.period(now)
    em = with_state(EnterpriseManager.objects.visible_to(request.user)).filter(pk=id).first()
    if em is None:
        raise Http404
    answers = _answers([em], request.user, period)
    whole = request.user.granted.whole(em.pk)
    servers = BackupServer.objects.visible_to(request.user).filter(pk__in=answers.servers).order_by("pk")
    return EnterpriseManagerDetail(
        **_fields(em, request.user, answers, period, now),
        gaps=_gaps(em, request.user) if whole else None,
        backup_servers=[
            ServerCompleteness(
                id=server.pk,
                name=server.name,
                completeness=_completeness(answers.servers[server.pk], period, whole=whole),
            )
            for server in servers
        ],
    )


def _answers(
    managers: Sequence[EnterpriseManager], person: User, period: tuple[datetime, datetime]
) -> Answers:
    """Of the backup servers that the person may see, with a fixed number of queries."""
    ids = [em.pk for em in managers]
    return completeness_in(ids, *period, backup_servers=_shown(ids, person))


def _shown(managers: Sequence[int], person: User) -> list[int]:
    if person.granted.everything:
        return []  # no bound
    visible = BackupServer.objects.visible_to(person).filter(sources__enterprise_manager__in=managers)
    return list(visible.values_list("pk", flat=True).distinct())


def _fields(
    em: Any, person: User, answers: Answers, period: tuple[datetime, datetime], now: datetime
) -> dict[str, Any]:
    whole = person.granted.whole(em.pk)
    return {
        "id": em.pk,
        "name": em.name,
        "whole": whole,
        "state": state_of(em, as_of=now, running=em.is_syncing),
        "last_good_at": em.last_good_at,
        "last_attempt_at": em.last_attempt_at if whole else None,
        "window_seconds": int(em.window.total_seconds()) if whole else None,
        "paused": em.paused_at is not None if whole else None,
        "completeness": _completeness(answers.enterprise_managers[em.pk], period, whole=whole),
    }


def _completeness(found: Completeness, period: tuple[datetime, datetime], *, whole: bool) -> CompletenessOut:
    """A gap's sentence can name what failed elsewhere: it is for those who see all of the Enterprise Manager."""
    intervals = [
        IntervalOut(
            from_at=one.from_at,
            to_at=one.to_at,
            verdict=one.verdict,
            cause=one.cause,
            backup_server=one.backup_server,
            detail=one.detail if whole else "",
        )
        for one in found.intervals
    ]
    return CompletenessOut(from_at=period[0], to_at=period[1], verdict=found.verdict, intervals=intervals)


def _gaps(em: EnterpriseManager, person: User) -> list[GapOut]:
    growing = ExpressionWrapper(Q(closed_run=None), output_field=BooleanField())
    visible = Gap.objects.visible_to(person).filter(enterprise_manager=em.pk)
    found = visible.select_related("backup_server").annotate(is_open=growing)
    return [
        GapOut(
            id=gap.pk,
            from_at=gap.from_at,
            to_at=gap.to_at,
            cause=Gap.Cause(gap.cause),
            backup_server=gap.backup_server.name if gap.backup_server else "",
            detail=gap.detail,
            opened_at=gap.opened_at,
            closed_at=gap.closed_at,
        )
        for gap in found.order_by("-is_open", "-from_at", "-pk")[:MOST_GAPS]
    ]
