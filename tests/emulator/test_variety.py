"""Some rows of every history are awkward, in every way that was seen or is to be expected."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from restorereports.emulator.estate import AWKWARD_NAMES
from restorereports.emulator.records import RestoreSessionRecord
from restorereports.emulator.world import World


@pytest.fixture(scope="module")
def rows(history: World) -> list[RestoreSessionRecord]:
    return history.visible_sessions()


def digits(text: str) -> int:
    return len(text.removesuffix("Z").partition(".")[2])


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7])
def test_creation_times_have_every_number_of_digits(rows: list[RestoreSessionRecord], count: int) -> None:
    assert any(digits(row.created_text) == count for row in rows)


@pytest.mark.parametrize("name", AWKWARD_NAMES.values(), ids=AWKWARD_NAMES)
def test_vm_names_break_careless_code(rows: list[RestoreSessionRecord], name: str) -> None:
    assert any(row.vm_name == name and name in row.name for row in rows)


def test_awkward_names_hold_what_they_should() -> None:
    everything = "".join(AWKWARD_NAMES.values())

    assert set("@[]&\"'<+;,%\u202e") <= set(everything)
    assert re.search("[а-я]", everything)
    assert re.search("[\u4e00-\u9fff]", everything)
    assert "🧪" in everything
    assert len(AWKWARD_NAMES["long"]) == 1000


def test_progress_is_missing_or_zero_on_a_success(rows: list[RestoreSessionRecord]) -> None:
    assert any(row.progress is None for row in rows)
    assert any(row.progress == 0 and row.result == "Success" for row in rows)


def test_words_are_unknown(rows: list[RestoreSessionRecord]) -> None:
    assert "CdpReplicaFailover" in {row.job_type for row in rows}
    assert "Postprocessing" in {row.state for row in rows}
    assert "Skipped" in {row.result for row in rows}


def test_ends_are_missing_senseless_or_before_the_beginning(rows: list[RestoreSessionRecord]) -> None:
    stopped = [row for row in rows if row.state == "Stopped"]

    assert any(row.ended_text is None for row in stopped)
    assert any(row.ended_text == "0001-01-01T00:00:00" and row.ended_at is None for row in stopped)
    assert any(row.ended_at is not None and row.ended_at < row.created_at for row in stopped)
    assert any(row.ended_text == "1900-01-01T00:00:00" for row in rows if row.state == "Working")


def test_results_stay_away_come_late_and_are_revised(rows: list[RestoreSessionRecord]) -> None:
    assert any(row.state == "Stopped" and row.result == "None" for row in rows)
    assert any(row.failure_message for row in rows)


def test_links_and_vm_names_are_missing(rows: list[RestoreSessionRecord]) -> None:
    assert any(row.restore_point_uid is None for row in rows)
    assert any(row.vm_name is None for row in rows)


def test_one_vm_name_is_found_on_two_servers(rows: list[RestoreSessionRecord]) -> None:
    pairs = {(row.vm_name, row.backup_server_uid) for row in rows if row.vm_name}

    assert Counter(name for name, _ in pairs).most_common(1)[0][1] == 2


def test_equal_times_lie_across_the_border_of_a_page(rows: list[RestoreSessionRecord]) -> None:
    times = [row.created_at for row in rows]

    assert any(times[border - 1] == times[border] for border in range(100, len(times), 100))


def test_most_rows_are_ordinary(rows: list[RestoreSessionRecord]) -> None:
    usual = [row for row in rows if row.state == "Stopped" and row.result in {"Success", "Warning", "Failed"}]

    assert len(usual) > 0.9 * len(rows)


def test_both_kinds_of_restore_occur_and_are_named_by_custom(rows: list[RestoreSessionRecord]) -> None:
    kinds = Counter(row.job_type for row in rows)

    assert kinds["FileLevelRestore"] > kinds["RestoreVm"] > 100
    assert all(row.name.startswith("FLR_[") for row in rows if row.job_type == "FileLevelRestore")


def test_a_late_result_comes_and_a_result_is_revised_once(history: World) -> None:
    late = World(
        sessions=1200, servers=4, epoch=history.epoch, now=history.now, live_interval=30, collect_interval=0
    )
    live = [row for row in late.visible_sessions() if row.created_at > history.epoch]

    assert any(row.state == "Stopped" and row.result == "None" for row in live)


def test_the_hosts_are_invented(history: World) -> None:
    assert all(server.name.endswith(".example.test") for server in history.backup_servers())
    assert len({server.uid for server in history.backup_servers()}) == 4
