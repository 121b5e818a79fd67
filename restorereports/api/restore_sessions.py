"""Restore sessions: a list by keyset, one with its sources, and counts by outcome."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Literal, TypeVar

from django.db.models import Prefetch
from django.http import Http404
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema
from pydantic import Field

from restorereports.models import (
    ApiToken,
    Outcome,
    RestoreSession,
    RestoreSessionScope,
    RestoreSessionSource,
    SessionClass,
    User,
)
from restorereports.models.counts import LIST_LIMIT, by_outcome, count_up_to, distinct_values
from restorereports.models.restore_session import RestoreSessionQuerySet

from .errors import Unreadable
from .gate import ApiRequest
from .operations import reads
from .paging import Limit, PageParameters, page_by_start
from .values import MOST_VALUES, Id, Ids, Named, Parameters, Text, Time, TimeGiven, Word

SCOPE = ApiToken.Scope.RESTORE_SESSIONS
router = Router(tags=["restore sessions"])
Outcomes = Annotated[list[Outcome], Field(max_length=MOST_VALUES)]
Asked = TypeVar("Asked", int, str)
Words = Annotated[list[Word], Field(max_length=MOST_VALUES)]


class Filters(Parameters):
    """The same filters as the list for people; a filter given twice means either."""

    started_from: Annotated[TimeGiven, Field(description="Started at this time or later.")] = None
    started_to: Annotated[TimeGiven, Field(description="Started before this time.")] = None
    enterprise_manager: Annotated[Ids, Field(description="Ids.")] = []
    backup_server: Annotated[Ids, Field(description="Ids.")] = []
    vm: Annotated[Text, Field(description="Part of the VM's present or a former name.")] = ""
    vm_exact: Annotated[Text, Field(description="The VM's present or a former name, exactly.")] = ""
    outcome: Annotated[Outcomes, Field(description="What EM's state and result mean.")] = []
    job_type: Annotated[Words, Field(description="EM's word, such as FileLevelRestore.")] = []
    state: Annotated[Words, Field(description="EM's word, such as Stopped.")] = []
    session_class: Annotated[
        list[SessionClass], Field(max_length=MOST_VALUES, description='"" is unset.')
    ] = []

    def rows(self, person: User) -> RestoreSessionQuerySet:
        """What the person may see of it. An id that is not there and one that he may not see find nothing alike."""
        if self.started_from and self.started_to and self.started_from > self.started_to:
            raise Unreadable("started_to", _("It is before started_from."))
        granted = person.granted
        visible = RestoreSession.objects.visible_to(person)
        managers, servers = tuple(self.enterprise_manager), tuple(self.backup_server)
        if not granted.everything:
            managers = _known(managers, granted.managers)
            servers = _known(servers, granted.servers)
            words: dict[str, Sequence[str]] = {
                "outcome": self.outcome,
                "job_type": self.job_type,
                "state": self.state,
            }
            kept = [
                (self.enterprise_manager, managers),
                (self.backup_server, servers),
                *(
                    (asked, _known(asked, distinct_values(visible, name)))
                    for name, asked in words.items()
                    if asked
                ),
            ]
            if any(asked and not known for asked, known in kept):
                return visible.none()
        scope = RestoreSessionScope(
            start=self.started_from,
            end=self.started_to,
            enterprise_managers=managers,
            backup_servers=servers,
            vm=self.vm,
            vm_exact=self.vm_exact,
            outcomes=tuple(self.outcome),
            job_types=tuple(self.job_type),
            states=tuple(self.state),
            session_classes=tuple(self.session_class),
        )
        return scope.rows(person)


def _known(asked: Collection[Asked], visible: Collection[Asked]) -> tuple[Asked, ...]:
    """What the person may see of what is asked for: looking for the rest would take a time that tells of it."""
    return tuple(one for one in asked if one in visible)


class ListParameters(PageParameters, Filters):
    order: Annotated[
        Literal["started_at", "-started_at"], Field(description="Oldest first, or newest first (-).")
    ] = "-started_at"
    limit: Limit = 100


class RestoreSessionOut(Schema):
    """Times are UTC; `state`, `result` and `job_type` are EM's own words, `outcome` is what they mean."""

    id: Id
    uid: str
    name: str
    backup_server: Named
    virtual_machine: int | None = Field(description="Id of the VM, where one is known.")
    vm_name: str
    job_type: str
    state: str
    result: str
    outcome: str
    session_class: str = Field(
        description="test, real, or empty for unset: what rules or people say, never EM."
    )
    progress: int | None
    started_at: Time
    ended_at: Time | None
    duration_ms: int | None
    restore_point_uid: str
    restore_point_name: str
    restored_object_ref: str
    failure_message: str
    first_seen_at: Time
    changed_at: Time | None
    enterprise_managers: list[Named] = Field(description="Those that show it.")


class SourceOut(Schema):
    """How one Enterprise Manager shows it."""

    enterprise_manager: Named
    uid: str
    first_seen_at: Time
    changed_at: Time | None
    missing_at: Time | None = Field(description="When this Enterprise Manager no longer knew it.")


class RestoreSessionDetail(RestoreSessionOut):
    sources: list[SourceOut]


class RestoreSessionPage(Schema):
    items: list[RestoreSessionOut]
    next_cursor: str | None


class Counts(Schema):
    """By outcome. `running` and `unknown` are in no success rate."""

    success: int
    warning: int
    failed: int
    no_result: int
    other: int
    running: int
    unknown: int


class CountsOut(Schema):
    """Beyond `limit` nothing is counted, as in the list for people: then `total` and `counts` are null."""

    over_limit: bool
    limit: int
    total: int | None
    counts: Counts | None


@reads(router, "/restore-sessions", scope=SCOPE, answers=RestoreSessionPage, name="list_restore_sessions")
def list_restore_sessions(request: ApiRequest, asked: Query[ListParameters]) -> RestoreSessionPage:
    """Restore sessions by their start, newest first unless asked otherwise."""
    rows = _with_names(asked.rows(request.user), request.user)
    found, following = page_by_start(rows, asked, of="restore-sessions", order=asked.order)
    return RestoreSessionPage(
        items=[RestoreSessionOut(**_fields(row)) for row in found], next_cursor=following
    )


@reads(
    router,
    "/restore-sessions/counts",
    scope=SCOPE,
    answers=CountsOut,
    name="count_restore_sessions",
)
def count_restore_sessions(request: ApiRequest, asked: Query[Filters]) -> CountsOut:
    """How many restore sessions the filters leave, by outcome."""
    rows = asked.rows(request.user)
    bounded = count_up_to(rows)
    if bounded.over:
        return CountsOut(over_limit=True, limit=LIST_LIMIT, total=None, counts=None)
    found = by_outcome(rows)
    counts = Counts(**{name: getattr(found, name) for name in Counts.model_fields})
    return CountsOut(over_limit=False, limit=LIST_LIMIT, total=found.total, counts=counts)


@reads(
    router,
    "/restore-sessions/{int:id}",
    scope=SCOPE,
    answers=RestoreSessionDetail,
    name="get_restore_session",
    not_found=True,
)
def get_restore_session(request: ApiRequest, id: int) -> RestoreSessionDetail:
    """One restore session, and how each Enterprise Manager shows it."""
    visible = _with_names(RestoreSession.objects.visible_to(request.user), request.user)
    row = visible.filter(pk=id).first()
    if row is None:
        raise Http404
    sources = [
        SourceOut(
            enterprise_manager=_named(source.enterprise_manager),
            uid=source.uid,
            first_seen_at=source.first_seen_at,
            changed_at=source.changed_at,
            missing_at=source.missing_at,
        )
        for source in row.sources.all()
    ]
    return RestoreSessionDetail(**_fields(row), sources=sources)


def _with_names(rows: RestoreSessionQuerySet, person: User) -> RestoreSessionQuerySet:
    """With the names around it; of Enterprise Managers those alone that the person may see, and no payload."""
    sources = RestoreSessionSource.objects.select_related("enterprise_manager")
    if not person.granted.everything:
        sources = sources.filter(enterprise_manager__in=person.granted.managers)
    told = (
        "restore_session_id",
        "uid",
        "first_seen_at",
        "changed_at",
        "missing_at",
        "enterprise_manager__name",
    )
    ordered = sources.only(*told).order_by("enterprise_manager__name", "pk")
    return rows.select_related("backup_server").prefetch_related(Prefetch("sources", ordered))


_PLAIN = [
    name
    for name in RestoreSessionOut.model_fields
    if name not in ("backup_server", "virtual_machine", "enterprise_managers")
]


def _fields(row: RestoreSession) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _PLAIN} | {
        "backup_server": _named(row.backup_server),
        "virtual_machine": row.virtual_machine_id,
        "enterprise_managers": [_named(source.enterprise_manager) for source in row.sources.all()],
    }


def _named(thing: Any) -> Named:
    return Named(id=thing.pk, name=thing.name)
