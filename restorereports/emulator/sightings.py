"""What a collection at a given moment sees of a restore: the fate of a row cut off at that moment."""

from __future__ import annotations

from restorereports.emulator.draws import draw, guid
from restorereports.emulator.estate import Vm
from restorereports.emulator.history import Fate
from restorereports.emulator.records import BackupServerRecord, RestoreSessionRecord
from restorereports.emulator.stamps import DAY, SECOND, from_us, write_label, write_stamp

_MINUTE = 60 * SECOND
_STARTING, _STOPPING = 20 * SECOND, 15 * SECOND
_LATE_RESULT, _REVISED = 120 * _MINUTE, 360 * _MINUTE
UNKNOWN_WORDS = {
    "unknown_job_type": "CdpReplicaFailover",
    "unknown_state": "Postprocessing",
    "unknown_result": "Skipped",
}
NO_DATE = {"end_in_year_1": "0001-01-01T00:00:00", "running_with_end_in_1900": "1900-01-01T00:00:00"}


def settled_us(fate: Fate) -> int | None:
    """The moment from which a row will not change any more; None: it never settles."""
    if fate.quirk in {"hung", "running_with_end_in_1900"}:
        return None
    return fate.created_us + fate.duration_us + _REVISED


def see(fate: Fate, *, vm: Vm, server: BackupServerRecord, as_of_us: int) -> RestoreSessionRecord:
    """The row of a restore that has begun, as of a moment."""
    state, result, progress = _progressing(fate, as_of_us)
    ended_us = fate.created_us + fate.duration_us if state == "Stopped" else None
    label = write_label(fate.created_us, fraction=fate.fraction_in_name)
    point_us = last_night_before(fate.created_us, minute=vm.minute)
    record = RestoreSessionRecord(
        uid=f"urn:veeam:RestoreSession:{fate.guid}",
        name=f"{vm.name}@{label}" if fate.whole_vm else f"FLR_[{vm.name}]@{label}",
        vm_name=vm.name,
        job_type="RestoreVm" if fate.whole_vm else "FileLevelRestore",
        state=state,
        result=result,
        progress=progress,
        created_at=from_us(fate.created_us),
        created_text=write_stamp(fate.created_us, seventh_digit=fate.seventh_digit),
        ended_at=None if ended_us is None else from_us(ended_us),
        ended_text=None if ended_us is None else write_stamp(ended_us),
        backup_server_uid=server.uid,
        backup_server_name=server.name,
        restore_point_uid=f"urn:veeam:VmRestorePoint:{point_guid(vm, point_us)}",
        restore_point_name=f"{vm.name}@{write_label(point_us)}",
    )
    if fate.quirk is not None:
        _twist(record, fate, as_of_us)
    return record


def last_night_before(moment_us: int, *, minute: int) -> int:
    """The time of the nightly backup (21:00 UTC plus `minute`) before a moment."""
    offset = (21 * 60 + minute) * _MINUTE + (minute * 7 % 60) * SECOND
    return (moment_us - 1 - offset) // DAY * DAY + offset


def point_guid(vm: Vm, point_us: int) -> str:
    """The GUID of the restore point that one night made of one VM."""
    return guid(draw(f"{vm.object_ref}|{vm.name}|{point_us}"))


def _progressing(fate: Fate, as_of_us: int) -> tuple[str, str, int]:
    """State, Result and Progress of a restore without awkwardness."""
    elapsed = as_of_us - fate.created_us
    if fate.quirk in {"hung", "running_with_end_in_1900"}:
        return "Working", "None", min(63, elapsed // _MINUTE)
    if elapsed >= fate.duration_us:
        return "Stopped", fate.result, 100
    if elapsed < _STARTING:
        return "Starting", "None", 0
    if elapsed >= fate.duration_us - _STOPPING:
        return "Stopping", "None", 99
    return "Working", "None", max(1, elapsed * 100 // fate.duration_us)


def _twist(record: RestoreSessionRecord, fate: Fate, as_of_us: int) -> None:
    """Make the row awkward in the way its fate has it."""
    quirk = fate.quirk
    if quirk == "missing_vm_name":
        record.vm_name = None
    elif quirk == "missing_related":
        record.restore_point_uid = record.restore_point_name = None
    elif quirk == "missing_progress":
        record.progress = None
    elif quirk == "unknown_job_type":
        record.job_type = UNKNOWN_WORDS[quirk]
    elif quirk == "running_with_end_in_1900":
        record.ended_text = NO_DATE[quirk]
    elif record.state == "Stopped":
        _twist_finished(record, fate, as_of_us)


def _twist_finished(record: RestoreSessionRecord, fate: Fate, as_of_us: int) -> None:
    quirk, ended_us = fate.quirk, fate.created_us + fate.duration_us
    if quirk == "zero_progress":
        record.result, record.progress = "Success", 0
    elif quirk == "unknown_state":
        record.state = UNKNOWN_WORDS[quirk]
    elif quirk == "unknown_result":
        record.result = UNKNOWN_WORDS[quirk]
    elif quirk == "stopped_without_result" or (quirk == "result_late" and as_of_us < ended_us + _LATE_RESULT):
        record.result = "None"
    elif quirk == "stopped_without_end":
        record.ended_at = record.ended_text = None
    elif quirk == "end_in_year_1":
        record.ended_at, record.ended_text = None, NO_DATE[quirk]
    elif quirk == "end_before_start":
        record.ended_at = from_us(fate.created_us - 90 * SECOND)
        record.ended_text = write_stamp(fate.created_us - 90 * SECOND)
    elif quirk == "result_revised":
        record.result = "Success" if as_of_us < ended_us + _REVISED else "Warning"
    elif quirk == "failure_message":
        record.result, record.failure_message = (
            "Failed",
            "The target datastore is full <0 bytes free> & locked.",
        )
