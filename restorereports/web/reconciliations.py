"""What comparing the mirror with Enterprise Manager found: the latest in full, those before it as a list."""

from __future__ import annotations

from dataclasses import dataclass

from restorereports.models import EnterpriseManager, Reconciliation, RestoreSession, User

UIDS_SHOWN = 20
SERVERS_SHOWN = 20
EARLIER_SHOWN = 10
RUNS_SHOWN = 25  # as many as the table of sync runs has


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerCounts:
    """`name` is "" where EM named no backup server that the mirror knows."""

    backup_server: int | None
    name: str
    listed: int
    held: int

    @property
    def difference(self) -> int:
        return self.held - self.listed


@dataclass(frozen=True, kw_only=True, slots=True)
class Uid:
    """`row` is the id of the restore session where the mirror has it."""

    uid: str
    row: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """The UIDs that stand on one side alone."""

    count: int
    uids: list[Uid]

    @property
    def more(self) -> int:
        return self.count - len(self.uids)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """`servers`: the largest differences first. `earlier`: without their UIDs."""

    latest: Reconciliation | None
    servers: list[ServerCounts]
    servers_more: int
    only_em: Side
    only_mirror: Side
    earlier: list[Reconciliation]
    states: dict[int, str]

    @property
    def difference(self) -> int:
        """Of the totals; 0 where EM did not say."""
        if self.latest is None or self.latest.listed is None or self.latest.held is None:
            return 0
        return self.latest.held - self.latest.listed


def compared(em: EnterpriseManager, reader: User, names: dict[int, str]) -> Compared:
    """Three queries at most. `names` are of the backup servers by id, as this Enterprise Manager shows them."""
    short = em.reconciliations.defer("servers", "only_em", "only_mirror")
    recent = list(short[: max(RUNS_SHOWN, EARLIER_SHOWN + 1)])
    latest = em.reconciliations.first() if recent else None
    only_em = list(latest.only_em[:UIDS_SHOWN]) if latest else []
    only_mirror = list(latest.only_mirror[:UIDS_SHOWN]) if latest else []
    rows = _rows(em, reader, only_em + only_mirror)
    servers = _servers(latest, names)
    return Compared(
        latest=latest,
        servers=servers[:SERVERS_SHOWN],
        servers_more=max(len(servers) - SERVERS_SHOWN, 0),
        only_em=_side(only_em, latest.only_em_count if latest else 0, rows),
        only_mirror=_side(only_mirror, latest.only_mirror_count if latest else 0, rows),
        earlier=recent[1 : EARLIER_SHOWN + 1],
        states={one.run_id: one.state for one in recent},
    )


def _servers(latest: Reconciliation | None, names: dict[int, str]) -> list[ServerCounts]:
    found = [
        ServerCounts(
            backup_server=server, name=names.get(server, "") if server else "", listed=listed, held=held
        )
        for server, listed, held in (latest.servers if latest else [])
    ]
    return sorted(found, key=lambda one: (-abs(one.difference), one.name.casefold()))


def _side(uids: list[str], count: int, rows: dict[str, int]) -> Side:
    return Side(count=count, uids=[Uid(uid=uid, row=rows.get(uid)) for uid in uids])


def _rows(em: EnterpriseManager, reader: User, uids: list[str]) -> dict[str, int]:
    """The restore sessions behind these UIDs of this Enterprise Manager."""
    if not uids:
        return {}
    visible = RestoreSession.objects.visible_to(reader)
    found = visible.filter(sources__enterprise_manager=em.pk, sources__uid__in=uids)
    return dict(found.values_list("sources__uid", "pk"))
