"""The restore points and job runs EM holds, put together from the nights of all VMs and from points added by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from restorereports.emulator.estate import Estate, Vm
from restorereports.emulator.nights import job_sessions, points_of, task_sessions
from restorereports.emulator.records import BackupServerRecord, RestorePointRecord, RunRecord
from restorereports.emulator.stamps import to_us, write_label

Servers = dict[str, BackupServerRecord]
Known = dict[str, int]  # server UID -> microseconds UTC up to which EM knows it


class Nightly:
    """Keeps the last list it built: lists are asked page by page. Not thread-safe: the world locks."""

    def __init__(self, estate: Estate, *, epoch_us: int) -> None:
        self._estate = estate
        self._epoch_us = epoch_us
        self._added: dict[str, RestorePointRecord] = {}
        self._removed: set[str] = set()
        self._renamed: dict[str, list[tuple[int, str]]] = {}  # from which moment on a VM is called so
        self._built: tuple[Known, list[RestorePointRecord]] | None = None

    def points(self, servers: Servers, known: Known) -> list[RestorePointRecord]:
        """All restore points, oldest first."""
        if self._built is None or self._built[0] != known:
            found = [
                self._named(vm, point)
                for vm, server in self._homes(servers)
                for point in points_of(
                    vm, server=server, known_until_us=known[server.uid], epoch_us=self._epoch_us
                )
            ]
            found.extend(point for point in self._added.values() if point.backup_server_uid in servers)
            found = [point for point in found if point.uid not in self._removed]
            found.sort(key=lambda point: point.created_at)
            self._built = (known, found)
        return self._built[1]

    def tasks(self, servers: Servers, known: Known) -> list[RunRecord]:
        """The task sessions of the last nights."""
        return [
            run
            for vm, server in self._homes(servers)
            for run in task_sessions(
                vm, server=server, known_until_us=known[server.uid], epoch_us=self._epoch_us
            )
        ]

    def jobs(self, servers: Servers, known: Known) -> list[RunRecord]:
        """The job sessions of the last nights."""
        return [
            run
            for server in servers.values()
            for run in job_sessions(server, known_until_us=known[server.uid])
        ]

    def add(self, point: RestorePointRecord) -> None:
        """Add a point by hand."""
        self._added[point.uid] = point
        self.forget()

    def remove(self, uid: str) -> None:
        """Take a point away."""
        self._removed.add(uid)
        self.forget()

    def rename(self, object_ref: str, name: str, *, from_us: int) -> None:
        """From a moment on a VM has another name."""
        self._renamed.setdefault(object_ref, []).append((from_us, name))
        self.forget()

    def _named(self, vm: Vm, point: RestorePointRecord) -> RestorePointRecord:
        """The point under the name its VM had when it was made."""
        made_us = to_us(point.created_at)
        names = [name for since_us, name in self._renamed.get(vm.object_ref, ()) if since_us <= made_us]
        if not names:
            return point
        return replace(
            point,
            name=f"{names[-1]}@{write_label(made_us)}",
            vm_name=point.vm_name and names[-1],
            vm_display_name=point.vm_display_name and names[-1],
        )

    def forget(self) -> None:
        """What was built before is void."""
        self._built = None

    def _homes(self, servers: Servers) -> Iterator[tuple[Vm, BackupServerRecord]]:
        for vm in self._estate.vms:
            server = servers.get(self._estate.servers[vm.server].uid)
            if server is not None:
                yield vm, server
