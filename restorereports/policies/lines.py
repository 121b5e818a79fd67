"""Each VM in scope with its verdict and what it rests on; looked up by the database, one index seek a VM."""

from __future__ import annotations

import zoneinfo
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db.models import OuterRef, Subquery

from restorereports.models import Exemption, Policy, Reader, RestoreSession, VirtualMachine
from restorereports.models.among import among
from restorereports.models.completeness import Cause, Completeness, completeness_of

from .in_scope import InScope, Subject
from .terms import Terms, Tier
from .verdicts import VmVerdict, due_on, judge, window_start

_WAITS_AT_MOST: Final = timedelta(hours=48)  # for the next full sync: one runs each day


@dataclass(frozen=True, kw_only=True, slots=True)
class VmLine:
    """One VM in scope. `last_*`: its latest qualifying restore session before the moment; `due`: in the zone.

    `exempt_*` are of the exemption in force. `age_days`: whole calendar days of the zone.
    """

    vm_id: int | None
    name: str
    backup_server: str
    tier: str
    verdict: VmVerdict
    last_at: datetime | None = None
    last_type: str = ""
    last_uid: str = ""
    age_days: int | None = None
    due: date | None = None
    first_protected_at: datetime | None = None
    owner: str = ""
    label: str = ""
    exempt_reason: str = ""
    exempt_approver: str = ""
    exempt_until: datetime | None = None


class Judged:
    """What the verdicts of a population need, read in a number of queries that does not grow with it."""

    def __init__(
        self,
        policy: Policy,
        terms: Terms,
        population: InScope,
        *,
        at: datetime,
        zone: zoneinfo.ZoneInfo,
        as_of: datetime,
        reader: Reader,
    ) -> None:
        self._terms, self._at, self._zone = terms, at, zone
        self._tiers = {tier.name: tier for tier in terms.tiers}
        ids = [one.id for one in population.subjects if one.id]
        self._last = last_qualifying(ids, terms, before=at, reader=reader)
        self._exemptions = {
            one.virtual_machine_id: one
            for one in Exemption.objects.visible_to(reader)
            .filter(policy=policy)
            .in_force(at)
            .order_by("expires_at", "pk")
        }
        servers = {one.backup_server_id for one in population.subjects if one.backup_server_id}
        self._complete = {
            tier.name: _completeness(servers, window_start(at, tier.window_days, zone), at, as_of)
            for tier in terms.tiers
        }

    def verdict(self, subject: Subject) -> VmVerdict:
        tier = self._tiers[subject.place.tier]
        last = self._last.get(subject.id or 0)
        return judge(
            at=self._at,
            zone=self._zone,
            window_days=tier.window_days,
            due_soon_days=self._terms.due_soon_days,
            grace_days=self._terms.grace_days,
            last_at=last.started_at if last else None,
            first_protected_at=subject.first_protected_at,
            exempt=subject.id in self._exemptions,
            complete=self._is_complete(tier, subject),
        )

    def line(self, subject: Subject) -> VmLine:
        tier = self._tiers[subject.place.tier]
        last = self._last.get(subject.id or 0)
        exemption = self._exemptions.get(subject.id or 0)
        machine = subject.place.machine
        return VmLine(
            vm_id=subject.id,
            name=subject.name,
            backup_server=subject.backup_server,
            tier=tier.name,
            verdict=self.verdict(subject),
            last_at=last.started_at if last else None,
            last_type=last.job_type if last else "",
            last_uid=last.uid if last else "",
            age_days=self._age(last.started_at) if last else None,
            due=due_on(last.started_at, tier.window_days, self._zone) if last else None,
            first_protected_at=subject.first_protected_at,
            owner=machine.owner if machine else "",
            label=machine.label if machine else "",
            exempt_reason=exemption.reason if exemption else "",
            exempt_approver=exemption.approver if exemption else "",
            exempt_until=exemption.expires_at if exemption else None,
        )

    def _is_complete(self, tier: Tier, subject: Subject) -> bool:
        """A machine that no backup server is known to protect lies in no gap of one."""
        if subject.backup_server_id is None:
            return True
        return self._complete[tier.name][subject.backup_server_id].complete

    def _age(self, last_at: datetime) -> int:
        return (self._at.astimezone(self._zone).date() - last_at.astimezone(self._zone).date()).days


def _completeness(
    servers: Iterable[int], start: datetime, end: datetime, as_of: datetime
) -> Mapping[int, Completeness]:
    servers = sorted(servers)
    found = completeness_of(servers, start, end, as_of=as_of) if servers else {}
    if end < as_of:
        return found
    return {server: _settled(one, as_of) for server, one in found.items()}


def _settled(found: Completeness, as_of: datetime) -> Completeness:
    """This very moment is closed by no full sync yet: hours that wait for the next one are no gap, on any day.

    Else nothing could be overdue now. A period that is over is not judged so: a full sync after its end closes it.
    """
    return Completeness.of(
        one
        for one in found.intervals
        if not (one.cause == Cause.NOT_CLOSED and one.from_at > as_of - _WAITS_AT_MOST)
    )


@dataclass(frozen=True, slots=True)
class _Last:
    started_at: datetime
    job_type: str
    uid: str


def last_qualifying(
    ids: Collection[int], terms: Terms, *, before: datetime, reader: Reader
) -> dict[int, _Last]:
    """By VM its latest qualifying restore session that started before the moment, of whatever age."""
    newest = (
        RestoreSession.objects.visible_to(reader)
        .qualifying(
            job_types=terms.job_types,
            classes=terms.classes,
            warning_passes=terms.warning_passes,
            content_checked=terms.content_checked,
        )
        .filter(virtual_machine=OuterRef("pk"), started_at__lt=before)
        .order_by("-started_at", "-id")
    )
    machines: Any = VirtualMachine.objects.filter(pk__in=among(ids)).order_by()
    latest = machines.annotate(last=Subquery(newest.values("pk")[:1])).values("last")
    sessions: Any = RestoreSession.objects.visible_to(reader).filter(pk__in=latest).order_by()
    facts = sessions.values_list("virtual_machine_id", "started_at", "job_type", "uid")
    return {pk: _Last(*rest) for pk, *rest in facts}
