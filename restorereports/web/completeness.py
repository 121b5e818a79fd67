"""Whether what a page shows is complete, in words: the list's line, the empty list, a backup server's cell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Min
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from restorereports.models import EnterpriseManager, RestoreSessionScope, User
from restorereports.models.completeness import (
    Cause,
    Completeness,
    Interval,
    Verdict,
    completeness_in,
    completeness_of,
    overall,
)
from restorereports.templatetags.pages import clock
from restorereports.wording import name_html

from .health import Health

# A full sync a day closes a period: so long the end of one may wait for it without being worth a word.
WAITS_AT_MOST = timedelta(hours=48)
REASONS_SHOWN = 3
_NOT_RECONCILED = "not_reconciled"
_SECTIONS = {"gap": "#gaps", Cause.BEFORE_FIRST: "#gaps", _NOT_RECONCILED: "#reconciliation"}
_GAPS = (Cause.NOT_RUN, Cause.FAILED, Cause.HISTORY_LOST, Cause.SERVER_AWAY)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reason:
    """Why a period is not complete at one Enterprise Manager."""

    words: SafeString
    address: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What can be said of a period. `open_from`: its end waits for the next full sync, as it does every day."""

    verdict: Verdict
    reasons: list[Reason]
    open_from: datetime | None

    @property
    def complete(self) -> bool:
        return self.verdict == Verdict.COMPLETE

    @property
    def all_words(self) -> SafeString:
        return _listed(self.reasons)

    @property
    def first_words(self) -> SafeString:
        return _listed(self.reasons[:REASONS_SHOWN])

    @property
    def more(self) -> int:
        return max(len(self.reasons) - REASONS_SHOWN, 0)


def _listed(reasons: list[Reason]) -> SafeString:
    return format_html_join(", ", '<a href="{}">{}</a>', ((one.address, one.words) for one in reasons))


def settled(found: Completeness, *, as_of: datetime) -> Completeness:
    """Without the hours that wait for the next full sync: they are open every day and no news."""
    return Completeness.of(one for one in found.intervals if not _only_waits(one, as_of))


def shown_completeness(
    scope: RestoreSessionScope, reader: User, known: list[Health], *, as_of: datetime
) -> Shown | None:
    """Of what a scope covers up to now. None where there is nothing to say: no source, or all in the future."""
    managers = [h.enterprise_manager.pk for h in known]
    managers = [pk for pk in managers if not scope.enterprise_managers or pk in scope.enterprise_managers]
    end = min(scope.end or as_of, as_of)
    start = scope.start or _oldest(managers) or as_of - timedelta(days=1)
    if not managers or start >= end:
        return None
    servers = scope.servers_for(reader)
    if servers and not scope.enterprise_managers:
        found = overall(completeness_of(servers, start, end))
    else:
        found = completeness_in(managers, start, end, backup_servers=servers).overall
    intervals = [one for one in found.intervals if scope.start is not None or one.cause != Cause.BEFORE_FIRST]
    waiting = [one for one in intervals if _only_waits(one, as_of)]
    told = [one for one in intervals if one not in waiting]
    return Shown(
        verdict=Completeness.of(told).verdict,
        reasons=_reasons(told, known, start),
        open_from=min((one.from_at for one in waiting), default=None),
    )


def _only_waits(one: Interval, as_of: datetime) -> bool:
    return one.cause == Cause.NOT_CLOSED and one.from_at > as_of - WAITS_AT_MOST


def _oldest(managers: list[int]) -> datetime | None:
    """From when on anything can be complete: before it nobody claims to have read."""
    found = EnterpriseManager.objects.filter(pk__in=managers).aggregate(at=Min("covered_from_at"))
    at: datetime | None = found["at"]
    return at


def _reasons(intervals: list[Interval], known: list[Health], start: datetime) -> list[Reason]:
    """One for each Enterprise Manager and kind of cause, the gaps first."""
    pages = {
        h.enterprise_manager.name: reverse("enterprisemanager-detail", args=[h.enterprise_manager.pk])
        for h in known
    }
    grouped: dict[tuple[str, str], list[Interval]] = {}
    for one in intervals:
        kind = "gap" if one.cause in _GAPS else one.cause
        grouped.setdefault((one.enterprise_manager, kind), []).append(one)
    ordered = sorted(grouped.items(), key=lambda item: (item[0][1] != "gap", item[0][0]))
    return [
        Reason(
            words=_in_words(kind, name, found, start),
            address=pages[name] + _SECTIONS.get(kind, "#backup-servers")
            if name in pages
            else reverse("enterprisemanager-list"),
        )
        for (name, kind), found in ordered
    ]


def _in_words(kind: str, name: str, found: list[Interval], start: datetime) -> SafeString:
    if not name:
        return format_html("{}", _("a backup server that none of these Enterprise Managers shows"))
    em = name_html(name)
    if kind == "gap":
        gaps = len({one.gap for one in found})
        return format_html(ngettext("{} gap on {}", "{} gaps on {}", gaps), gaps, em)
    first, last = min(one.from_at for one in found), max(one.to_at for one in found)
    if kind == Cause.BEFORE_FIRST:
        return format_html(_("{} showed nothing from before {} when it was first read"), em, clock(last))
    if kind == Cause.NEVER_READ:
        return format_html(_("{} was never read in full"), em)
    since = "" if first <= start else _(" since %s") % clock(first)
    if kind == Cause.COLLECTOR:
        return format_html(_("{} has not collected from every backup server{}"), em, since)
    if kind == _NOT_RECONCILED:
        return format_html(_("{} lists restore sessions that are not here{}"), em, since)
    return format_html(_("no full sync of {}{}"), em, since)
