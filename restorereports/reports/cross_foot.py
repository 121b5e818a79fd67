"""Every table's parts must add up to the report's totals, or the report is not issued (evidence rule 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from restorereports.models.counts import OutcomeCounts

if TYPE_CHECKING:
    from .figures import Figures

_PARTS = OutcomeCounts.__slots__


class CrossFootError(Exception):
    """Two figures that must be equal are not; the message names both."""


def cross_foot(figures: Figures) -> None:
    """CrossFootError names the first two figures that contradict each other."""
    whole = figures.counts
    servers = sum((line.counts for line in figures.servers.lines), figures.servers.rest)
    _same_parts(_("restore sessions in the period"), whole, _("the sum over the backup servers"), servers)
    _same(
        _("VMs restored"),
        figures.machines_restored,
        _("the sum of VMs over the backup servers"),
        sum(line.virtual_machines for line in figures.servers.lines) + figures.servers.rest_machines,
    )
    machines = sum(
        (line.counts for line in figures.virtual_machines.lines),
        figures.virtual_machines.rest + figures.virtual_machines.unnamed,
    )
    _same_parts(_("restore sessions in the period"), whole, _("the sum over the VMs"), machines)
    types = sum((line.counts for line in figures.types), OutcomeCounts())
    _same_parts(_("restore sessions in the period"), whole, _("the sum over the types"), types)
    months = figures.trend.within(figures.start, figures.end)
    if months is not None:
        _same_parts(_("restore sessions in the period"), whole, _("the sum over its months"), months)
    _same(
        _("completed without success"),
        whole.completed - whole.success,
        _("the list of failures and warnings"),
        figures.unsuccessful.listing.total,
    )
    _same(
        _("in progress or of unknown final state"),
        whole.running + whole.unknown,
        _("the list of those not finished"),
        figures.unfinished.listing.total,
    )
    _same(
        _("completed"), whole.completed, _("completed with and without a duration"), figures.durations.total
    )


def _same_parts(name: str, whole: OutcomeCounts, other: str, parts: OutcomeCounts) -> None:
    for part in _PARTS:
        label = "%s (%s)"
        _same(label % (name, part), getattr(whole, part), label % (other, part), getattr(parts, part))


def _same(name: str, value: int, other: str, other_value: int) -> None:
    if value != other_value:
        raise CrossFootError(
            _(
                "The report was not issued, because two figures contradict each other: %(a)s: %(n)d, %(b)s: %(m)d."
            )
            % {"a": name, "n": value, "b": other, "m": other_value}
        )
