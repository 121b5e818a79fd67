"""The nightly backups: restore points of the VMs, and the job and task sessions that made them."""

from __future__ import annotations

from restorereports.emulator.draws import draw, guid
from restorereports.emulator.estate import Vm
from restorereports.emulator.records import BackupServerRecord, RestorePointRecord, RunRecord
from restorereports.emulator.sightings import last_night_before, point_guid
from restorereports.emulator.stamps import DAY, SECOND, from_us, write_label, write_stamp

KEPT_NIGHTS = 14
_MISSED = 12  # of 256 nights: the backup of a VM failed and there is no point


def points_of(
    vm: Vm, *, server: BackupServerRecord, known_until_us: int, epoch_us: int, nights: int = KEPT_NIGHTS
) -> list[RestorePointRecord]:
    """The restore points of a VM that EM knows of, newest first; a VM no longer backed up keeps its last ones."""
    end_us = known_until_us
    if vm.last_backup_days_before_epoch is not None:
        end_us = min(end_us, epoch_us - vm.last_backup_days_before_epoch * DAY)
    newest_us = last_night_before(end_us + 1, minute=vm.minute)
    times = (newest_us - back * DAY for back in range(nights))
    return [_point(vm, server, point_us) for point_us in times if made(vm, point_us)]


def made(vm: Vm, point_us: int) -> bool:
    """Whether the backup of that night succeeded."""
    return draw(f"{vm.object_ref}|{vm.name}|night|{point_us}")[0] >= _MISSED


def task_sessions(
    vm: Vm, *, server: BackupServerRecord, known_until_us: int, epoch_us: int, nights: int = 3
) -> list[RunRecord]:
    """One task session per VM and night, good or failed."""
    if vm.last_backup_days_before_epoch is not None:
        return []
    newest_us = last_night_before(known_until_us + 1, minute=vm.minute)
    runs = []
    for back in range(nights):
        point_us = newest_us - back * DAY
        task_guid = guid(draw(f"{vm.object_ref}|{vm.name}|task|{point_us}"))
        run = _run(
            uid=f"urn:veeam:BackupTaskSession:{task_guid}",
            name=f"{vm.name}@{write_label(point_us)}",
            created_us=point_us,
            server=server,
            result="Success" if made(vm, point_us) else "Failed",
        )
        run.vm_display_name = vm.name
        run.job_session_uid = _job_session_uid(server, point_us)
        runs.append(run)
    return runs


def job_sessions(
    server: BackupServerRecord, *, known_until_us: int, nights: int = KEPT_NIGHTS
) -> list[RunRecord]:
    """One job session per backup server and night."""
    newest_us = last_night_before(known_until_us + 1, minute=0)
    runs = []
    for back in range(nights):
        created_us = newest_us - back * DAY
        run = _run(
            uid=_job_session_uid(server, created_us),
            name=f"Nightly {server.name}@{write_label(created_us)}",
            created_us=created_us,
            server=server,
            result="Warning" if back % 5 == 4 else "Success",
        )
        runs.append(run)
    return runs


def _run(*, uid: str, name: str, created_us: int, server: BackupServerRecord, result: str) -> RunRecord:
    """A finished run of 25 minutes."""
    return RunRecord(
        uid=uid,
        name=name,
        kind="Backup",
        state="Stopped",
        result=result,
        created_text=write_stamp(created_us),
        ended_text=write_stamp(created_us + 1500 * SECOND),
        created_at=from_us(created_us),
        backup_server_uid=server.uid,
        backup_server_name=server.name,
    )


def _job_session_uid(server: BackupServerRecord, moment_us: int) -> str:
    night = (moment_us - 21 * 3600 * SECOND) // DAY
    return f"urn:veeam:BackupJobSession:{guid(draw(f'{server.uid}|job|{night}'))}"


def _point(vm: Vm, server: BackupServerRecord, point_us: int) -> RestorePointRecord:
    full = from_us(point_us).weekday() == 5
    night = (point_us - 21 * 3600 * SECOND) // DAY
    return RestorePointRecord(
        uid=f"urn:veeam:VmRestorePoint:{point_guid(vm, point_us)}",
        name=f"{vm.name}@{write_label(point_us)}",
        vm_name=vm.name if vm.number % 29 else None,
        vm_display_name=vm.name if vm.number % 31 != 7 else None,
        created_at=from_us(point_us),
        created_text=write_stamp(point_us),
        backup_server_uid=server.uid,
        backup_server_name=server.name,
        algorithm="SyntheticFull" if full else "Incremental",
        point_type="Full" if full else "Increment",
        hierarchy_ref=vm.object_ref if vm.number % 37 != 5 else None,
        run_uid=f"urn:veeam:RestorePoint:{guid(draw(f'{server.uid}|run|{night}'))}",
        run_name=f"{from_us(point_us):%b %e %Y %I:%M%p}",
        job_name=f"Nightly {server.name}",
    )
