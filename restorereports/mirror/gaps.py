"""Where restore sessions may be missing: gaps opened and closed by runs (evidence rule 14)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db.models import QuerySet

from restorereports.models import BackupServerSource, EnterpriseManager, Gap, SyncRun

from .window import Window, measure

WORTH_NOTING = timedelta(hours=1)


def moment_of(run: SyncRun) -> datetime:
    """When the run read, by the more careful of the two clocks: ours that runs ahead must not hide a gap."""
    return run.started_at + timedelta(seconds=min(run.clock_skew_seconds or 0.0, 0.0))


def read_to(run: SyncRun) -> datetime | None:
    """Up to when a good run has what EM knew: EM's last collection where it can be read. None: EM never collected.

    Where EM's log no longer reaches back to a collection that worked, nothing was learnt since the run before.
    """
    if run.collector == SyncRun.Collector.FAILED and run.collected_at is None:
        before = _good_before(run).first()
        return before.read_to_at if before else None
    if run.collected_at is None:
        return moment_of(run)
    ahead = timedelta(seconds=max(run.clock_skew_seconds or 0.0, 0.0))
    return min(moment_of(run), run.collected_at - ahead)


def known_to(good: SyncRun) -> datetime:
    """Where a gap behind this good run begins: what EM collected after that, the run could not read."""
    return good.read_to_at or moment_of(good)


def after_removal(run: SyncRun, *, at: datetime) -> None:
    """Of the backup servers found removed at `at`, what they did since the last good run cannot be read any more."""
    last = _good_before(run).first()
    for source in run.enterprise_manager.backup_server_sources.filter(removed_at=at).order_by("pk"):
        if last is not None and known_to(last) < at:
            Gap.objects.create(
                enterprise_manager_id=run.enterprise_manager_id,
                backup_server_id=source.backup_server_id,
                from_at=known_to(last),
                to_at=at,
                cause=Gap.Cause.SERVER_AWAY,
                opened_at=run.started_at,
                opened_run=run,
                closed_at=run.started_at,
                closed_run=run,
            )


def after_failed(run: SyncRun) -> None:
    """Open a gap once the time since the last good run is longer than EM answers back: now rows are being lost."""
    enterprise_manager = EnterpriseManager.objects.get(pk=run.enterprise_manager_id)
    last = _good_before(run).first()
    if last is None or enterprise_manager.gaps.growing().filter(backup_server=None).exists():
        return
    if moment_of(run) - enterprise_manager.window > known_to(last):
        Gap.objects.create(
            enterprise_manager=enterprise_manager,
            from_at=known_to(last),
            cause=Gap.Cause.FAILED,
            detail=run.error,
            opened_at=run.started_at,
            opened_run=run,
        )


def after_full(
    run: SyncRun,
    *,
    oldest_shown: datetime | None,
    newest_gone: datetime | None,
    returned: Collection[int],
) -> None:
    """Measure EM's window, note from when on this run covers, and close or record the gap before it.

    `returned`: ids of sources of backup servers that EM lists again after they had been removed.
    """
    enterprise_manager = EnterpriseManager.objects.get(pk=run.enterprise_manager_id)
    window = measure(
        at=moment_of(run),
        oldest_shown=oldest_shown,
        newest_gone=newest_gone,
        shown_before=enterprise_manager.shown_window,
        was_cut=enterprise_manager.window_is_cut,
    )
    run.covers_from_at = window.covers_from
    _close_or_record(enterprise_manager, run, window)
    _note_returns(enterprise_manager, run, window, returned)
    _keep(enterprise_manager, window)


def _keep(enterprise_manager: EnterpriseManager, window: Window) -> None:
    """Note what was measured; a window that merely grew with the minutes is not written again."""
    measured: dict[str, object] = {"shown_window": window.shown, "window_is_cut": window.is_cut}
    before, now = enterprise_manager.shown_window, window.shown
    if before is not None and now is not None and timedelta() <= now - before < WORTH_NOTING:
        del measured["shown_window"]
    if enterprise_manager.covered_from_at is None:
        measured["covered_from_at"] = window.covers_from
    changed = {name for name, value in measured.items() if getattr(enterprise_manager, name) != value}
    for name in changed:
        setattr(enterprise_manager, name, measured[name])
    if changed:
        enterprise_manager.save(update_fields=sorted(changed))
    for source in enterprise_manager.backup_server_sources.filter(covered_from_at=None):
        source.covered_from_at = window.covers_from
        source.save(update_fields=["covered_from_at"])


def _close_or_record(enterprise_manager: EnterpriseManager, run: SyncRun, window: Window) -> None:
    growing = enterprise_manager.gaps.growing().filter(backup_server=None).first()
    if growing is not None:
        Gap.objects.filter(pk=growing.pk, closed_run=None).update(
            to_at=max(growing.from_at, window.covers_from), closed_at=run.started_at, closed_run=run
        )
        return
    good = _good_before(run)
    last = good.filter(kind=SyncRun.Kind.FULL).first() if window.history_lost else good.first()
    if last is None:
        return
    from_at = _told_to(enterprise_manager, known_to(last))
    if window.covers_from <= from_at:
        return
    failed = enterprise_manager.runs.filter(pk__gt=last.pk, pk__lt=run.pk).exclude(error="").first()
    cause = Gap.Cause.FAILED if failed else Gap.Cause.NOT_RUN
    Gap.objects.create(
        enterprise_manager=enterprise_manager,
        from_at=from_at,
        to_at=window.covers_from,
        cause=Gap.Cause.HISTORY_LOST if window.history_lost else cause,
        detail=failed.error if failed and not window.history_lost else "",
        opened_at=run.started_at,
        opened_run=run,
        closed_at=run.started_at,
        closed_run=run,
    )


def _told_to(enterprise_manager: EnterpriseManager, from_at: datetime) -> datetime:
    """What an earlier gap already tells is not told again: EM that collects nothing for long loses more every day."""
    told = enterprise_manager.gaps.filter(backup_server=None, from_at__gte=from_at, closed_run__isnull=False)
    ends = told.values_list("to_at", flat=True)
    return max([from_at, *(to_at for to_at in ends if to_at)])


def _note_returns(
    enterprise_manager: EnterpriseManager, run: SyncRun, window: Window, returned: Collection[int]
) -> None:
    """A backup server that was removed from EM and is back: what it did longer ago than EM answers may be missing."""
    for source in enterprise_manager.backup_server_sources.filter(pk__in=returned).order_by("pk"):
        if source.removed_at and window.covers_from > source.removed_at:
            Gap.objects.create(
                enterprise_manager=enterprise_manager,
                backup_server_id=source.backup_server_id,
                from_at=source.removed_at,
                to_at=window.covers_from,
                cause=Gap.Cause.SERVER_AWAY,
                opened_at=run.started_at,
                opened_run=run,
                closed_at=run.started_at,
                closed_run=run,
            )
        BackupServerSource.objects.filter(pk=source.pk).update(removed_at=None)


def _good_before(run: SyncRun) -> QuerySet[SyncRun]:
    """Good runs in the order in which they ran, the latest first; a clock set back changes nothing in it."""
    return SyncRun.objects.filter(
        enterprise_manager=run.enterprise_manager_id, status=SyncRun.Status.GOOD, pk__lt=run.pk
    )
