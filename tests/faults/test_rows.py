"""Rows move, come twice, or are counted wrongly while they are read."""

from __future__ import annotations

import pytest

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror.sync import sync
from restorereports.models import EnterpriseManager, Gap, Reconciliation, SyncRun
from tests.faults.conftest import DAY, MINUTE, PAGE_SIZE, ROWS, SESSIONS, Shown, Time

ADDED = 200
COUNT = "pageSize=1&"  # the question for EM's own count, and those for the role


def assert_whole(em: EnterpriseManager, shown: Shown, run: SyncRun) -> None:
    assert (run.status, run.error_detail) == ("good", "")
    shown.assert_mirrored(em)
    assert not Gap.objects.exists()


@pytest.mark.parametrize("days", [25, 80], ids=["within EM's list", "of all ages"])
@pytest.mark.parametrize("when", [2, 4])
def test_200_restore_sessions_added_between_two_pages_all_come(
    em: EnterpriseManager, world: World, server: StandInServer, shown: Shown, time: Time, told, when, days
) -> None:
    def add() -> None:
        for n in range(ADDED):
            world.add_session(vm_name=f"late-{n}", created_at=time.now - (n + 1) * days * DAY / ADDED)

    server.faults.call(add, path=ROWS, nth=when)

    run = sync(em)

    assert_whole(em, shown, run)
    assert run.reconciliation.state == Reconciliation.State.EQUAL
    assert run.reconciliation.counted == run.reconciliation.mirrored == SESSIONS + ADDED
    assert "All that EM lists is here." in told(em)


@pytest.mark.parametrize("when", [2, 4])
def test_restore_sessions_removed_between_two_pages_take_no_other_with_them(
    em: EnterpriseManager, world: World, server: StandInServer, shown: Shown, when: int
) -> None:
    old = world.visible_sessions()[: PAGE_SIZE // 2]

    def remove() -> None:
        for record in old:
            world.remove_session(record.uid)

    for record in old:
        shown.records[record.uid] = record  # on the first page, and stored from it
    server.faults.call(remove, path=ROWS, nth=when)

    run = sync(em)

    assert run.missing == 0  # they were seen in this run: the next full run finds them gone
    run = sync(em, full=True)
    assert run.missing == len(old)
    shown.assert_mirrored(em)
    assert run.reconciliation.state == Reconciliation.State.EQUAL
    assert not Gap.objects.exists()


@pytest.mark.parametrize("rows", [1, PAGE_SIZE])
@pytest.mark.parametrize("page", [1, 2, 5])
def test_a_page_that_repeats_rows_stores_each_once(
    em: EnterpriseManager, server: StandInServer, shown: Shown, rows: int, page: int
) -> None:
    server.faults.repeat_rows(rows, path=ROWS, nth=page)
    server.faults.repeat_rows(rows, path="/restoreSessions", nth=1)

    run = sync(em)

    assert_whole(em, shown, run)
    assert run.new == SESSIONS
    found = run.reconciliation
    assert (found.state, found.retried, found.counted) == ("equal", False, SESSIONS)


@pytest.mark.parametrize("count", [0, 1, 3, 5, 7])
def test_a_count_of_pages_that_is_wrong_loses_nothing(
    em: EnterpriseManager, server: StandInServer, shown: Shown, count: int
) -> None:
    server.faults.pages_count(count, path=ROWS, count=None)

    run = sync(em)

    assert_whole(em, shown, run)
    assert run.reconciliation.state == Reconciliation.State.EQUAL


@pytest.mark.parametrize("count", [20, 99_999])
def test_a_count_of_pages_that_is_far_too_high_is_given_up_and_told(
    em: EnterpriseManager, server: StandInServer, shown: Shown, told, count: int
) -> None:
    server.faults.pages_count(count, path=ROWS, count=None)

    run = sync(em)

    assert sum(ROWS in request.query for request in server.requests) < 20
    assert (run.status, run.error_kind) == ("failed", "unexpected_answer")
    assert f"{count} pages were announced, but pages up to" in told(em)
    shown.assert_mirrored(em)  # every row had come before it was given up
    server.faults.clear()
    assert_whole(em, shown, sync(em))


@pytest.mark.parametrize("lie", [0, 1, SESSIONS - 3, SESSIONS + 3])
def test_a_count_of_rows_that_is_wrong_is_compared_twice_and_told(
    em: EnterpriseManager, server: StandInServer, shown: Shown, time: Time, told, lie: int
) -> None:
    server.faults.pages_count(lie, path=COUNT, count=None)

    run = sync(em)

    assert_whole(em, shown, run)  # a number that does not fit is no reason to doubt rows
    found = run.reconciliation
    if lie == 0:  # with a row beside it that is no count at all
        assert (found.state, found.counted) == ("equal", None)
        assert "not provided by EM" in told(em)
        return
    assert (found.state, found.retried) == ("different", True)
    assert (found.counted, found.mirrored) == (lie, SESSIONS)
    assert (found.only_em_count, found.only_mirror_count) == (0, 0)
    page = told(em)
    assert "em-north is not reconciled." in page
    assert f"EM’s own count of all that it shows: {lie}, but {SESSIONS} here." in page

    server.faults.clear()
    time.go(15 * MINUTE)
    again = sync(em, full=True)
    assert (again.reconciliation.state, again.reconciliation.retried) == ("equal", False)
    assert "is not reconciled" not in told(em)
