"""Where the rows come from and up to when they are complete: Enterprise Managers, their sync runs, gaps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Max, Min, Q, Sum, Window
from django.db.models.functions import Lag

from restorereports.models import EnterpriseManager, Reader, RestoreSessionScope, SyncRun
from restorereports.models.enterprise_manager import LISTED_WINDOW
from restorereports.models.sync_run import SyncRunQuerySet

MOST_MANAGERS = 10
MOST_GAPS = 10


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
class Gap:
    """Between two good runs further apart than EM's list reaches: what started in it may be missing."""

    enterprise_manager: str
    from_at: datetime
    to_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One Enterprise Manager as a source of this report. `rows`: of the period, shown by it."""

    name: str
    url: str
    account: str
    role: str
    api_versions: str
    clock_skew_seconds: float | None
    pin_sha256: str
    has_ca: bool
    plain_http: bool
    oldest_received_at: datetime | None
    first_good_at: datetime | None
    last_good_at: datetime | None
    good_before_end_at: datetime | None
    good_after_end_at: datetime | None
    rows: int
    runs: Runs

    @property
    def reaches_back_to(self) -> datetime | None:
        """What started from here on was in EM's list at the first good run, as far as EM's list reaches."""
        if self.first_good_at is None:
            return None
        window = self.first_good_at - LISTED_WINDOW
        return min(window, self.oldest_received_at) if self.oldest_received_at else window


@dataclass(frozen=True, kw_only=True, slots=True)
class Provenance:
    """`sources` are bounded, those not read since the period's end first; the totals are of all.

    `first_data_at` is the start of the oldest row ever received.
    """

    sources: tuple[Source, ...]
    total: int
    runs: Runs
    rows: int
    rest_runs: Runs
    rest_rows: int
    shown_by_several: int
    gaps: tuple[Gap, ...]
    gaps_total: int
    first_data_at: datetime | None
    not_read_after_end: tuple[str, ...]
    not_reaching_back: tuple[str, ...]
    never_read: tuple[str, ...]

    @property
    def rest(self) -> int:
        return self.total - len(self.sources)

    @property
    def complete(self) -> bool:
        """Each was read without a gap from the period's start on and again after its end."""
        return bool(self.total) and not (self.not_read_after_end or self.not_reaching_back or self.gaps_total)


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
    managers = EnterpriseManager.objects.visible_to(reader)
    if scope.enterprise_managers:
        managers = managers.filter(pk__in=scope.enterprise_managers)
    found = list(managers.order_by("name"))
    ids = [manager.pk for manager in found]
    good = _good_runs(ids, scope.end, as_of)
    runs = _runs(ids, scope.start, min(scope.end, as_of))
    latest = _latest_good(ids, as_of)
    sources = [
        _source(manager, latest.get(manager.pk), good.get(manager.pk, {}), runs, rows_per_manager)
        for manager in found
    ]
    sources.sort(key=lambda source: (source.good_after_end_at is not None, source.name.casefold()))
    gaps = _gaps(ids, good, {m.pk: m.name for m in found}, scope.start, scope.end, as_of)
    start = scope.start
    return Provenance(
        sources=tuple(sources[:MOST_MANAGERS]),
        total=len(sources),
        runs=sum((source.runs for source in sources), Runs()),
        rows=sum(source.rows for source in sources),
        rest_runs=sum((source.runs for source in sources[MOST_MANAGERS:]), Runs()),
        rest_rows=sum(source.rows for source in sources[MOST_MANAGERS:]),
        shown_by_several=shown_by_several,
        gaps=tuple(gaps[:MOST_GAPS]),
        gaps_total=len(gaps),
        first_data_at=min(
            (at for at in (oldest_row_at, *(source.oldest_received_at for source in sources)) if at),
            default=None,
        ),
        not_read_after_end=tuple(source.name for source in sources if source.good_after_end_at is None),
        not_reaching_back=tuple(
            source.name
            for source in sources
            if source.reaches_back_to is None or source.reaches_back_to > start
        ),
        never_read=tuple(source.name for source in sources if source.first_good_at is None),
    )


def _source(
    manager: EnterpriseManager,
    latest: SyncRun | None,
    good: dict[str, datetime],
    runs: dict[int, Runs],
    rows: dict[int, int],
) -> Source:
    return Source(
        name=manager.name,
        url=manager.url,
        account=latest.account if latest and latest.account else manager.username,
        role=latest.role if latest else "",
        api_versions=latest.api_versions if latest else "",
        clock_skew_seconds=latest.clock_skew_seconds if latest else None,
        pin_sha256=manager.pin_sha256,
        has_ca=bool(manager.ca_pem),
        plain_http=manager.url.startswith("http://"),
        oldest_received_at=manager.oldest_received_at,
        first_good_at=good.get("first"),
        last_good_at=good.get("last"),
        good_before_end_at=good.get("before"),
        good_after_end_at=good.get("after"),
        rows=rows.get(manager.pk, 0),
        runs=runs.get(manager.pk, Runs()),
    )


def _good(ids: list[int], as_of: datetime) -> SyncRunQuerySet:
    return SyncRun.objects.filter(
        enterprise_manager__in=ids, status=SyncRun.Status.GOOD, started_at__lte=as_of
    ).order_by()


def _good_runs(ids: list[int], end: datetime, as_of: datetime) -> dict[int, dict[str, datetime]]:
    """By Enterprise Manager: the first and last good run, the last before the end, the first from it on."""
    found: Any = (
        _good(ids, as_of)
        .values("enterprise_manager")
        .annotate(
            first=Min("started_at"),
            last=Max("started_at"),
            before=Max("started_at", filter=Q(started_at__lt=end)),
            after=Min("started_at", filter=Q(started_at__gte=end)),
        )
    )
    return {row.pop("enterprise_manager"): row for row in found}


def _latest_good(ids: list[int], as_of: datetime) -> dict[int, SyncRun]:
    """The newest good run of each Enterprise Manager: under which account and role it read."""
    newest = _good(ids, as_of).values("enterprise_manager").annotate(newest=Max("pk")).values("newest")
    return {run.enterprise_manager_id: run for run in SyncRun.objects.filter(pk__in=newest)}


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


def _gaps(
    ids: list[int],
    marks: dict[int, dict[str, datetime]],
    names: dict[int, str],
    start: datetime,
    end: datetime,
    as_of: datetime,
) -> list[Gap]:
    """Gaps that touch the period (evidence rule 14): (last good run, next good run − 30 days) when positive."""
    good = (
        _good(ids, as_of)
        .annotate(
            before=Window(Lag("started_at"), partition_by="enterprise_manager", order_by=["started_at", "pk"])
        )
        .filter(started_at__gt=F("before") + LISTED_WINDOW)
        .values_list("enterprise_manager", "before", "started_at")
    )
    pairs = [(manager, before, after) for manager, before, after in good]
    pairs += [(manager, mark["last"], as_of) for manager, mark in marks.items()]
    return sorted(
        (
            Gap(enterprise_manager=names[manager], from_at=before, to_at=after - LISTED_WINDOW)
            for manager, before, after in pairs
            if after - LISTED_WINDOW > before and before < end and after - LISTED_WINDOW > start
        ),
        key=lambda gap: (gap.from_at, gap.enterprise_manager),
    )
