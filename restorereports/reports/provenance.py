"""Where the rows come from and whether they are complete: Enterprise Managers, their sync runs, what they lack."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, OuterRef, QuerySet, Subquery, Sum

from restorereports.models import (
    BackupServerSource,
    EnterpriseManager,
    Inventory,
    Reader,
    Reconciliation,
    RestoreSessionScope,
    SyncRun,
)
from restorereports.models.completeness import Answers, Completeness, Verdict, completeness_in

from .lacking import Lacking, lacking
from .protected import Protected, ProtectedVms, protected_vms
from .reconciled import Compared, Sides, compared, sides

MOST_MANAGERS = 10
MOST_REMOVED = 12
SKEW_TOLD_OVER = 60  # seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Runs:
    """Sync runs started in the period by how they ended, and the rows they received."""

    good: int = 0
    failed: int = 0
    stopped: int = 0
    died: int = 0
    running: int = 0
    seen: int = 0
    new: int = 0
    changed: int = 0

    @property
    def total(self) -> int:
        return self.good + self.failed + self.stopped + self.died + self.running

    @property
    def not_good(self) -> int:
        return self.total - self.good

    def __add__(self, more: Runs) -> Runs:
        return Runs(**{name: getattr(self, name) + getattr(more, name) for name in self.__slots__})


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One Enterprise Manager as a source of this report. `rows`: of the period, shown by it.

    `completeness` is what it has alone; `closed_to`: up to when a full sync has read all that it showed.
    """

    name: str
    url: str
    account: str
    role: str
    restore_scope: str
    api_versions: str
    clock_skew_seconds: float | None
    database_skew_seconds: float | None
    pin_sha256: str
    has_ca: bool
    plain_http: bool
    shown_window: timedelta | None
    window_is_cut: bool
    oldest_received_at: datetime | None
    first_good_at: datetime | None
    last_good_at: datetime | None
    closed_to: datetime | None
    completeness: Completeness
    rows: int
    runs: Runs
    whole: bool  # whether the report may show figures over all of its backup servers

    @property
    def sees_a_part(self) -> bool:
        return self.restore_scope == EnterpriseManager.RestoreScope.CUSTOM

    @property
    def restore_scope_label(self) -> str:
        return str(EnterpriseManager.RestoreScope(self.restore_scope).label)


@dataclass(frozen=True, kw_only=True, slots=True)
class Removed:
    """A backup server that Enterprise Manager no longer lists."""

    backup_server: str
    enterprise_manager: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """`sources` are bounded, those that are not complete first; `compared` and `protected` are of all of them.

    `first_data_at` is the start of the oldest row ever received.
    """

    sources: tuple[Source, ...]
    total: int
    sources_whole: int
    runs: Runs
    rows: int
    rest_runs: Runs
    rest_rows: int
    shown_by_several: int
    completeness: Completeness
    lacking: Lacking
    compared: tuple[Compared, ...]
    protected: ProtectedVms
    protected_at: datetime
    removed: tuple[Removed, ...]
    removed_total: int
    first_data_at: datetime | None

    @property
    def rest(self) -> int:
        return self.total - len(self.sources)

    @property
    def whole(self) -> bool:
        """Whether figures over all backup servers may be shown of each of them."""
        return self.sources_whole == self.total

    @property
    def verdict(self) -> Verdict:
        """Nothing is known of nobody."""
        return self.completeness.verdict if self.total else Verdict.NOT_YET_KNOWN

    @property
    def causes(self) -> list[tuple[str, int]]:
        """Why it is not complete, by cause the number of stretches of time, most first."""
        found: dict[str, int] = {}
        for one in self.completeness.intervals:
            found[str(one.cause.label)] = found.get(str(one.cause.label), 0) + 1
        return sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))

    @property
    def most(self) -> int:
        return MOST_MANAGERS

    @property
    def compared_shown(self) -> tuple[Compared, ...]:
        return self.compared[:MOST_MANAGERS]

    @property
    def compared_rest(self) -> Sides:
        return sides(self.compared[MOST_MANAGERS:])

    @property
    def compared_total(self) -> Sides:
        return sides(self.compared)

    @property
    def was_compared(self) -> bool:
        """Whether there are figures of a comparison to add up."""
        return any(one.was_compared for one in self.compared)

    @property
    def has_compared_servers(self) -> bool:
        return any(one.servers for one in self.compared)

    @property
    def protected_shown(self) -> tuple[Protected, ...]:
        return self.protected.lines[:MOST_MANAGERS]

    @property
    def protected_rest(self) -> int:
        return sum(line.vms or 0 for line in self.protected.lines[MOST_MANAGERS:])

    @property
    def reconciled(self) -> int:
        """How many Enterprise Managers' own lists and counts equalled the mirror when they were last compared."""
        return sum(1 for one in self.compared if one.equal)

    @property
    def seeing_a_part(self) -> int:
        return sum(1 for source in self.sources if source.sees_a_part)


def provenance(
    scope: RestoreSessionScope,
    *,
    as_of: datetime,
    reader: Reader,
    rows_per_manager: dict[int, int],
    shown_by_several: int,
    oldest_row_at: datetime | None,
) -> Provenance:
    if scope.start is None or scope.end is None:
        raise ValueError("the provenance of a period needs both its ends")
    found = _managers(scope, reader, as_of)
    names = {manager.pk: manager.name for manager in found}
    servers = scope.servers_for(reader)
    whole = {pk for pk in names if reader.granted.whole(pk)}
    answers = _answers(scope, servers, list(names), as_of)
    sources = _sources(
        found, answers, _runs(list(names), scope.start, min(scope.end, as_of)), rows_per_manager, whole
    )
    removed = _removed(names, servers, scope, as_of)
    return Provenance(
        sources=tuple(sources[:MOST_MANAGERS]),
        total=len(sources),
        sources_whole=len(whole),
        runs=sum((source.runs for source in sources), Runs()),
        rows=sum(source.rows for source in sources),
        rest_runs=sum((source.runs for source in sources[MOST_MANAGERS:]), Runs()),
        rest_rows=sum(source.rows for source in sources[MOST_MANAGERS:]),
        shown_by_several=shown_by_several,
        completeness=answers.overall,
        lacking=lacking(
            answers,
            list(names),
            reader,
            backup_servers=servers,
            start=scope.start,
            end=scope.end,
            as_of=as_of,
        ),
        compared=compared(names, {manager.pk: manager.last_reconciliation for manager in found}, whole),
        protected=protected_vms(
            names,
            latest={manager.pk: manager.last_inventory for manager in found},
            first_good={manager.pk: manager.inventory_since for manager in found},
            backup_servers=servers,
            whole=whole,
            at=min(scope.end, as_of),
        ),
        protected_at=min(scope.end, as_of),
        removed=tuple(removed[:MOST_REMOVED]),
        removed_total=len(removed),
        first_data_at=min(
            (at for at in (oldest_row_at, *(source.oldest_received_at for source in sources)) if at),
            default=None,
        ),
    )


def _managers(scope: RestoreSessionScope, reader: Reader, as_of: datetime) -> list[Any]:
    """Those of the scope by name, each with the ids of its last good run, comparison and inventory as of then."""
    managers = EnterpriseManager.objects.visible_to(reader)
    if scope.enterprise_managers:
        managers = managers.filter(pk__in=scope.enterprise_managers)
    if scope.backup_servers:
        showing = BackupServerSource.objects.filter(backup_server__in=scope.backup_servers)
        managers = managers.filter(pk__in=showing.values("enterprise_manager"))
    own = OuterRef("pk")
    good = SyncRun.objects.filter(
        enterprise_manager=own, status=SyncRun.Status.GOOD, started_at__lte=as_of
    ).order_by("-pk")
    read = Inventory.objects.filter(enterprise_manager=own, at__lte=as_of).order_by("-pk")
    comparisons = Reconciliation.objects.filter(enterprise_manager=own, at__lte=as_of).order_by("-pk")

    def first(rows: QuerySet[Any], field: str = "pk") -> Subquery:
        return Subquery(rows.values(field)[:1])

    annotated = managers.annotate(
        first_good_at=first(good.reverse(), "started_at"),
        last_good=first(good),
        last_reconciliation=first(comparisons),
        last_inventory=first(read),
        inventory_since=first(read.filter(state=Inventory.State.GOOD).reverse(), "at"),
    )
    return list(annotated.order_by("name"))


def _answers(
    scope: RestoreSessionScope, servers: Sequence[int], managers: Sequence[int], as_of: datetime
) -> Answers:
    if scope.start is None or scope.end is None or scope.start >= scope.end:
        nothing = Completeness.of(())
        alone = dict.fromkeys(managers, nothing)
        return Answers(servers={}, enterprise_managers=alone, closed_to={}, overall=nothing)
    return completeness_in(managers, scope.start, scope.end, backup_servers=servers, as_of=as_of)


def _sources(
    managers: Sequence[Any],
    answers: Answers,
    runs: Mapping[int, Runs],
    rows: Mapping[int, int],
    whole: Container[int],
) -> list[Source]:
    latest = SyncRun.objects.in_bulk([manager.last_good for manager in managers if manager.last_good])
    sources = [
        _source(
            manager,
            latest.get(manager.last_good),
            answers,
            runs=runs.get(manager.pk, Runs()),
            rows=rows.get(manager.pk, 0),
            whole=manager.pk in whole,
        )
        for manager in managers
    ]
    return sorted(sources, key=lambda source: (source.completeness.complete, source.name.casefold()))


def _source(
    manager: Any, latest: SyncRun | None, answers: Answers, *, runs: Runs, rows: int, whole: bool
) -> Source:
    return Source(
        name=manager.name,
        url=manager.url,
        account=latest.account if latest and latest.account else manager.username,
        role=latest.role if latest else "",
        restore_scope=latest.restore_scope if latest else manager.restore_scope,
        api_versions=latest.api_versions if latest else "",
        clock_skew_seconds=latest.clock_skew_seconds if latest else None,
        database_skew_seconds=latest.database_skew_seconds if latest else None,
        pin_sha256=manager.pin_sha256,
        has_ca=bool(manager.ca_pem),
        plain_http=manager.url.startswith("http://"),
        shown_window=manager.shown_window,
        window_is_cut=manager.window_is_cut,
        oldest_received_at=manager.oldest_received_at if whole else None,
        first_good_at=manager.first_good_at,
        last_good_at=latest.started_at if latest else None,
        closed_to=answers.closed_to.get(manager.pk),
        completeness=answers.enterprise_managers[manager.pk],
        rows=rows,
        runs=runs,
        whole=whole,
    )


def _runs(ids: list[int], start: datetime, end: datetime) -> dict[int, Runs]:
    found = (
        SyncRun.objects.filter(enterprise_manager__in=ids, started_at__gte=start, started_at__lt=end)
        .order_by()
        .values("enterprise_manager", "status")
        .annotate(n=Count("pk"), rows=Sum("seen"), added=Sum("new"), altered=Sum("changed"))
    )
    table: dict[int, Runs] = {}
    for row in found:
        part = Runs(
            **{row["status"]: row["n"], "seen": row["rows"], "new": row["added"], "changed": row["altered"]}
        )
        table[row["enterprise_manager"]] = table.get(row["enterprise_manager"], Runs()) + part
    return table


def _removed(
    names: Mapping[int, str], servers: Sequence[int], scope: RestoreSessionScope, as_of: datetime
) -> list[Removed]:
    """Backup servers that were removed since the period began, the latest first."""
    sources = BackupServerSource.objects.filter(
        enterprise_manager__in=names, removed_at__gt=scope.start, removed_at__lte=as_of
    )
    if servers:
        sources = sources.filter(backup_server__in=servers)
    found = sources.order_by("-removed_at", "pk").values_list(
        "name", "enterprise_manager__name", "removed_at"
    )
    return [
        Removed(backup_server=name, enterprise_manager=manager, at=at) for name, manager, at in found if at
    ]
