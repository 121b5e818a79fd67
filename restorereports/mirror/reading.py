"""One reading of EM's restore points under way, and how those of one answer are recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from django.db import transaction

from restorereports.em.client import EnterpriseManagerClient
from restorereports.em.failures import Stopped, UnexpectedAnswer
from restorereports.em.inventory import VmRestorePointEntity
from restorereports.models import SyncRun

from .identity import MachinesOfPoints, machines_of_points
from .lock import still_ours
from .presences import record_seen
from .servers import servers_of

_UID_LENGTH = 255

ShouldStop = Callable[[], bool]


@dataclass(slots=True)
class Reading:
    """What was read so far. Of each VM no more than a number is kept, whatever the number of restore points."""

    run: SyncRun
    client: EnterpriseManagerClient
    at: datetime
    since: datetime | None
    should_stop: ShouldStop
    seen: dict[int, int] = field(default_factory=dict)  # VM's id -> restore points
    servers: dict[str, int] = field(default_factory=dict)  # UID in this EM -> backup server's id
    restore_points: int = 0
    is_exact: bool = True  # no restore point was counted twice
    appeared: int = 0
    vanished: int = 0

    @property
    def em(self) -> int:
        return self.run.enterprise_manager_id

    def begin(self) -> None:
        """Nothing was read yet."""
        self.seen, self.restore_points, self.is_exact = {}, 0, True

    def begin_again(self, *, from_the_start: bool) -> None:
        """All come again, or some of those of the pages before: who was seen there has restore points all the same."""
        if from_the_start:
            self.begin()
        else:
            self.is_exact = False

    def go_on(self) -> None:
        """Between two questions; raises Stopped."""
        if self.should_stop():
            raise Stopped("The reading of the restore points was stopped.")


def record_points(reading: Reading, points: Iterable[VmRestorePointEntity]) -> MachinesOfPoints:
    """VMs and presences of these restore points, in one transaction; gives the VM of each."""
    points = sorted({point.uid: point for point in points}.values(), key=lambda point: point.created_at)
    if any(len(point.uid) > _UID_LENGTH for point in points):
        raise UnexpectedAnswer("A restore point with an impossible UID came.")
    with transaction.atomic():
        by_server: dict[int, list[VmRestorePointEntity]] = {}
        for point, server in zip(points, _servers(reading, points), strict=True):
            by_server.setdefault(server, []).append(point)
        machines = machines_of_points(by_server, at=reading.at)
        by_machine: dict[int, list[VmRestorePointEntity]] = {}
        for server, found in by_server.items():
            for point in found:
                by_machine.setdefault(machines[server][point.uid], []).append(point)
        appeared = record_seen(reading.em, by_machine, at=reading.at)
        still_ours(reading.run)
    reading.appeared += appeared
    return machines


def _servers(reading: Reading, points: list[VmRestorePointEntity]) -> list[int]:
    """The backup server of each; one that has neither restore sessions nor is listed is met here first."""
    unknown = [point for point in points if point.backup_server_uid not in reading.servers]
    if unknown:
        found = servers_of(reading.run.enterprise_manager, unknown, at=reading.at)  # type: ignore[arg-type]
        reading.servers |= {uid: server.pk for uid, server in found.items()}
    return [reading.servers[point.backup_server_uid] for point in points]
