"""The verdict on one VM: one function for pages, CSV, API and PDF (evidence rules 7 to 10)."""

from __future__ import annotations

import zoneinfo
from datetime import date, datetime, time, timedelta
from functools import lru_cache

from django.db import models
from django.utils.translation import gettext_lazy as _


class VmVerdict(models.TextChoices):
    """In the order in which they ask for action."""

    OVERDUE = "overdue", _("Overdue")
    NEVER = "never", _("Never tested")
    INCONCLUSIVE = "inconclusive", _("Inconclusive")
    DUE_SOON = "due_soon", _("Due soon")
    MET = "met", _("Met")
    NEW = "new", _("New")
    EXEMPT = "exempt", _("Exempt")


TESTED = (VmVerdict.MET, VmVerdict.DUE_SOON)


@lru_cache(maxsize=256)  # asked for each VM, with the few windows of a policy
def window_start(at: datetime, window_days: int, zone: zoneinfo.ZoneInfo) -> datetime:
    """The first moment of the window that ends at `at`: midnight, so many calendar days of the zone before (rule 7)."""
    return midnight(at.astimezone(zone).date() - timedelta(days=window_days), zone)


def due_on(last_at: datetime, window_days: int, zone: zoneinfo.ZoneInfo) -> date:
    """The last day of the zone at whose beginning the restore session still counts."""
    return last_at.astimezone(zone).date() + timedelta(days=window_days)


def judge(
    *,
    at: datetime,
    zone: zoneinfo.ZoneInfo,
    window_days: int,
    due_soon_days: int,
    grace_days: int,
    last_at: datetime | None,
    first_protected_at: datetime | None,
    exempt: bool,
    complete: bool,
) -> VmVerdict:
    """The verdict at the moment `at`.

    `last_at`: the latest qualifying restore session before it, of whatever age. `complete`: no gap of data lies in the
    window; a negative finding in one is inconclusive, a positive one stands (rule 10). An exempt VM is exempt
    whether tested or not; a new one that was tested is tested.
    """
    if exempt:
        return VmVerdict.EXEMPT
    if last_at is not None and last_at >= window_start(at, window_days, zone):
        soon = at.astimezone(zone).date() + timedelta(days=due_soon_days)
        return VmVerdict.DUE_SOON if due_on(last_at, window_days, zone) < soon else VmVerdict.MET
    if _is_new(first_protected_at, last_at, window_start(at, grace_days, zone)):
        return VmVerdict.NEW
    if not complete:
        return VmVerdict.INCONCLUSIVE
    return VmVerdict.NEVER if last_at is None else VmVerdict.OVERDUE


def _is_new(first_protected_at: datetime | None, last_at: datetime | None, since: datetime) -> bool:
    """Protected since then for the first time; what was restored before was there before."""
    if first_protected_at is None or first_protected_at < since:
        return False
    return last_at is None or last_at >= since


def midnight(day: date, zone: zoneinfo.ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)
