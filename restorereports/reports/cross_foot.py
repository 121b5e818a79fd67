"""Every table's parts must add up to the report's totals, or the report is not issued (evidence rule 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from restorereports.models.counts import OutcomeCounts

if TYPE_CHECKING:
    from .figures import Figures
    from .protected import ProtectedVms
    from .reconciled import Compared

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
    for compared in figures.provenance.compared:
        if compared.was_compared:
            _comparison(compared)
    _protected(figures.provenance.protected)


def _comparison(one: Compared) -> None:
    """Of one Enterprise Manager: the backup servers add up, and what both sides have is as many on each."""
    manager = one.enterprise_manager
    listed, held = one.listed or 0, one.held or 0
    _same(
        _("rows that %s lists") % manager,
        listed,
        _("the sum over its backup servers"),
        one.servers_listed,
    )
    _same(
        _("rows held of %s") % manager,
        held,
        _("the sum over its backup servers"),
        one.servers_held,
    )
    _same(
        _("rows that %s lists, without those only there") % manager,
        listed - one.only_em_count,
        _("rows held, without those only here"),
        held - one.only_mirror_count,
    )
    if one.equal:
        _same(
            _("rows of %s on one side only") % manager,
            one.only_em_count + one.only_mirror_count,
            _("none"),
            0,
        )
        counted = one.mirrored if one.counted is None else one.counted
        _same(_("rows that %s counts") % manager, counted or 0, _("rows mirrored"), one.mirrored or 0)


def _protected(vms: ProtectedVms) -> None:
    """VMs that several Enterprise Managers show count once: no more than their sum, no fewer than the most of one."""
    if vms.distinct is None:
        return
    most = max((line.vms or 0 for line in vms.lines), default=0)
    lowest, highest = most, vms.total
    _same(
        _("VMs protected at the period’s end"),
        vms.distinct,
        _("the Enterprise Managers’ figures allow"),
        min(max(vms.distinct, lowest), highest),
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
