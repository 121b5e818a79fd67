"""What the latest comparison of each Enterprise Manager's own list and count with the mirror found."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from restorereports.models import BackupServer, Reconciliation

MOST_SERVERS = 10
MOST_UIDS = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerCompared:
    """One backup server's restore sessions on either side; without a name EM did not say which it is."""

    name: str
    listed: int
    held: int

    @property
    def difference(self) -> int:
        """How many more the mirror holds than EM lists."""
        return self.held - self.listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """The sums over several Enterprise Managers that were compared."""

    managers: int = 0
    listed: int = 0
    held: int = 0
    only_em: int = 0
    only_mirror: int = 0
    counted: int | None = 0  # None: one of them did not say
    mirrored: int = 0

    @property
    def difference(self) -> int:
        return self.held - self.listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One Enterprise Manager. `state` "": never compared; the numbers are None where nothing was compared.

    `servers`: those that differ first, then those with the most; `rest` sums up the others.
    """

    enterprise_manager: str
    state: str = ""
    at: datetime | None = None
    since_at: datetime | None = None
    retried: bool = False
    listed: int | None = None
    held: int | None = None
    counted: int | None = None
    mirrored: int | None = None
    only_em_count: int = 0
    only_em: tuple[str, ...] = ()
    only_mirror_count: int = 0
    only_mirror: tuple[str, ...] = ()
    servers: tuple[ServerCompared, ...] = ()
    rest_servers: int = 0
    rest: ServerCompared = ServerCompared(name="", listed=0, held=0)
    error: str = ""

    @property
    def was_compared(self) -> bool:
        return self.listed is not None and self.held is not None

    @property
    def equal(self) -> bool:
        return self.state == Reconciliation.State.EQUAL

    @property
    def label(self) -> str:
        return str(Reconciliation.State(self.state).label) if self.state else ""

    @property
    def servers_listed(self) -> int:
        return sum(server.listed for server in self.servers) + self.rest.listed

    @property
    def servers_held(self) -> int:
        return sum(server.held for server in self.servers) + self.rest.held


def sides(several: Sequence[Compared]) -> Sides:
    return Sides(
        managers=len(several),
        listed=sum(one.listed or 0 for one in several),
        held=sum(one.held or 0 for one in several),
        only_em=sum(one.only_em_count for one in several),
        only_mirror=sum(one.only_mirror_count for one in several),
        counted=None
        if any(one.was_compared and one.counted is None for one in several)
        else sum(one.counted or 0 for one in several),
        mirrored=sum(one.mirrored or 0 for one in several),
    )


def compared(
    names: Mapping[int, str], latest: Mapping[int, int | None], whole: Container[int]
) -> tuple[Compared, ...]:
    """By Enterprise Manager (id -> name), those first that do not equal; `latest`: id -> what to tell of.

    Figures are over all backup servers of one: of those that are not in `whole` only the result is told.
    """
    found = Reconciliation.objects.in_bulk([pk for pk in latest.values() if pk])
    by_manager = {one.enterprise_manager_id: one for one in found.values()}
    ids = {server for one in found.values() for server, *_counts in one.servers if server}
    servers = dict(BackupServer.objects.filter(pk__in=ids).values_list("pk", "name"))
    every = (_compared(name, by_manager.get(pk), servers, whole=pk in whole) for pk, name in names.items())
    return tuple(sorted(every, key=lambda one: (one.equal, one.enterprise_manager.casefold())))


def _compared(name: str, one: Reconciliation | None, names: Mapping[int, str], *, whole: bool) -> Compared:
    if one is None:
        return Compared(enterprise_manager=name)
    if not whole:
        words = _("This is of all its backup servers; the report shows some of them.")
        return Compared(enterprise_manager=name, state=one.state, at=one.at, error=words)
    rows: Sequence[ServerCompared] = sorted(
        (
            ServerCompared(name=names.get(server or 0, ""), listed=listed, held=held)
            for server, listed, held in one.servers
        ),
        key=lambda row: (row.listed == row.held, -max(row.listed, row.held), row.name.casefold()),
    )
    beyond = rows[MOST_SERVERS:]
    return Compared(
        enterprise_manager=name,
        state=one.state,
        at=one.at,
        since_at=one.since_at,
        retried=one.retried,
        listed=one.listed,
        held=one.held,
        counted=one.counted,
        mirrored=one.mirrored,
        only_em_count=one.only_em_count,
        only_em=tuple(one.only_em[:MOST_UIDS]),
        only_mirror_count=one.only_mirror_count,
        only_mirror=tuple(one.only_mirror[:MOST_UIDS]),
        servers=tuple(rows[:MOST_SERVERS]),
        rest_servers=len(beyond),
        rest=ServerCompared(
            name="", listed=sum(row.listed for row in beyond), held=sum(row.held for row in beyond)
        ),
        error=one.error,
    )
