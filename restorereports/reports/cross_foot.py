"""Every table's parts must add up to the report's totals, or the report is not issued (evidence rule 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from restorereports.models.counts import OutcomeCounts

from .cross_footed import CrossFootError as CrossFootError
from .cross_footed import same, same_parts
from .policy_cross_foot import cross_foot_policy

if TYPE_CHECKING:
    from .figures import Figures
    from .protected import ProtectedVms
    from .reconciled import Compared


def cross_foot(figures: Figures) -> None:
    """CrossFootError names the first two figures that contradict each other."""
    whole = figures.counts
    servers = sum((line.counts for line in figures.servers.lines), figures.servers.rest)
    same_parts(_("restore sessions in the period"), whole, _("the sum over the backup servers"), servers)
    same(
        _("VMs restored"),
        figures.machines_restored,
        _("the sum of VMs over the backup servers"),
        sum(line.virtual_machines for line in figures.servers.lines) + figures.servers.rest_machines,
    )
    machines = sum(
        (line.counts for line in figures.virtual_machines.lines),
        figures.virtual_machines.rest + figures.virtual_machines.unnamed,
    )
    same_parts(_("restore sessions in the period"), whole, _("the sum over the VMs"), machines)
    types = sum((line.counts for line in figures.types), OutcomeCounts())
    same_parts(_("restore sessions in the period"), whole, _("the sum over the types"), types)
    months = figures.trend.within(figures.start, figures.end)
    if months is not None:
        same_parts(_("restore sessions in the period"), whole, _("the sum over its months"), months)
    same(
        _("completed without success"),
        whole.completed - whole.success,
        _("the list of failures and warnings"),
        figures.unsuccessful.listing.total,
    )
    same(
        _("in progress or of unknown final state"),
        whole.running + whole.unknown,
        _("the list of those not finished"),
        figures.unfinished.listing.total,
    )
    same(_("completed"), whole.completed, _("completed with and without a duration"), figures.durations.total)
    classes = sum((line.counts for line in figures.classes), OutcomeCounts())
    same_parts(_("restore sessions in the period"), whole, _("the sum over the classes"), classes)
    same(
        _("restore sessions in the period"),
        whole.total,
        _("the list of all restore sessions"),
        figures.sessions.total,
    )
    if figures.policy:
        cross_foot_policy(figures.policy, whole)
    for compared in figures.provenance.compared:
        if compared.was_compared:
            _comparison(compared)
    _protected(figures.provenance.protected)


def _comparison(one: Compared) -> None:
    """Of one Enterprise Manager: the backup servers add up, and what both sides have is as many on each."""
    manager = one.enterprise_manager
    listed, held = one.listed or 0, one.held or 0
    same(
        _("rows that %s lists") % manager,
        listed,
        _("the sum over its backup servers"),
        one.servers_listed,
    )
    same(
        _("rows held of %s") % manager,
        held,
        _("the sum over its backup servers"),
        one.servers_held,
    )
    same(
        _("rows that %s lists, without those only there") % manager,
        listed - one.only_em_count,
        _("rows held, without those only here"),
        held - one.only_mirror_count,
    )
    if one.equal:
        same(
            _("rows of %s on one side only") % manager,
            one.only_em_count + one.only_mirror_count,
            _("none"),
            0,
        )
        counted = one.mirrored if one.counted is None else one.counted
        same(_("rows that %s counts") % manager, counted or 0, _("rows mirrored"), one.mirrored or 0)


def _protected(vms: ProtectedVms) -> None:
    """VMs that several Enterprise Managers show count once: no more than their sum, no fewer than the most of one."""
    if vms.distinct is None:
        return
    most = max((line.vms or 0 for line in vms.lines), default=0)
    lowest, highest = most, vms.total
    same(
        _("VMs protected at the period’s end"),
        vms.distinct,
        _("the Enterprise Managers’ figures allow"),
        min(max(vms.distinct, lowest), highest),
    )
