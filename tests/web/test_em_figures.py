"""What an Enterprise Manager's page says of collector, clocks, window, inventory and backup servers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import BackupServerSource, EnterpriseManager, GapNote, SyncRun, User
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_outage,
    make_presence,
    make_reconciliation,
    make_restore_session,
    make_run,
)
from tests.web.conftest import NOW

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    return make_enterprise_manager(name="em-north", shown_window=30 * DAY, covered_from_at=NOW - 90 * DAY)


def _response(page: Client, em: EnterpriseManager) -> Any:
    return page.get(f"/enterprise-managers/{em.pk}/")


def _html(page: Client, em: EnterpriseManager) -> str:
    return " ".join(_response(page, em).content.decode().split())


@pytest.mark.parametrize(
    ("window", "mail", "critical"),
    [(7, "2 d 08:00", "4 d 16:00"), (30, "3 d 00:00", "20 d 00:00"), (91, "3 d 00:00", "60 d 16:00")],
)
def test_the_thresholds_follow_the_measured_window(
    page: Client, em: EnterpriseManager, window: int, mail: str, critical: str
) -> None:
    EnterpriseManager.objects.update(shown_window=window * DAY)
    make_run(em, started_at=NOW - HOUR)

    html = _html(page, em)

    assert f"banner after 24 h, mail after {mail}, critical after {critical}" in html
    assert f"of {window} d left" in html


@pytest.mark.parametrize(
    ("age", "tone"),
    [(23 * HOUR, "f-good"), (25 * HOUR, "f-warn"), (20 * DAY - HOUR, "f-warn"), (20 * DAY, "f-bad")],
)
def test_the_meter_turns_at_a_day_and_at_two_thirds_of_the_window(
    page: Client, em: EnterpriseManager, age: timedelta, tone: str
) -> None:
    make_run(em, started_at=NOW - age)

    html = _html(page, em)

    assert f'height="100%" class="{tone}"' in html


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"shown_window": None}, "nothing shown yet; the least that EM can be set to, 7 d, is relied on"),
        ({"shown_window": 91 * DAY, "window_is_cut": True}, "up to 91 d old; older ones were seen to leave"),
        ({"shown_window": 91 * DAY}, "none was seen to leave, so it may go back further"),
        ({"shown_window": 2 * HOUR}, "up to 2 h old"),
        ({"shown_window": 2 * DAY}, "The least that EM can be set to, 7 d, is relied on"),
    ],
)
def test_the_window_in_words(page: Client, em: EnterpriseManager, values: dict[str, Any], words: str) -> None:
    EnterpriseManager.objects.update(**values)

    assert words in _html(page, em)


def test_history_says_what_cannot_be_recovered(page: Client, em: EnterpriseManager) -> None:
    EnterpriseManager.objects.update(oldest_received_at=NOW - 91 * DAY)

    words = f"EM returned history back to {NOW - 91 * DAY:%Y-%m-%d %H:%M:%S}; nothing older can be recovered"
    assert words in _html(page, em)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"collector": "good", "collected_at": NOW - HOUR}, "Working</span> last collection that worked:"),
        ({"collector": "partial", "collected_at": NOW}, "Not every backup server</span>"),
        ({"collector": "failed"}, "Failed</span>"),
        ({"collector": "not_readable"}, "Not readable with this role</span>"),
        ({"collector": "unknown"}, "Not known</span>"),
        ({}, 'EM’s own collector</dt> <dd> <span class="muted">no data</span>'),
    ],
)
def test_the_collector_of_em(page: Client, em: EnterpriseManager, values: dict[str, Any], words: str) -> None:
    make_run(em, started_at=NOW, **values)

    assert words in _html(page, em)


def test_outages_of_the_collector_name_their_backup_servers(page: Client, em: EnterpriseManager) -> None:
    run = make_run(em, started_at=NOW, collector="partial")
    east, west = make_backup_server(em, name="vbr-east"), make_backup_server(em, name="vbr-west")
    make_outage(em, NOW - 2 * DAY, backup_server=east, run=run)
    make_outage(em, NOW - 3 * HOUR, backup_server=west, run=run)
    make_outage(em, NOW - 9 * DAY, to_at=NOW - 8 * DAY, run=run, message="closed long ago")

    html = _html(page, em)

    assert f"stale since {NOW - 2 * DAY:%Y-%m-%d %H:%M:%S}</span>, over 24 h" in html
    assert f"stale since {NOW - 3 * HOUR:%Y-%m-%d %H:%M:%S}</span>" in html
    assert html.count("over 24 h") == 1
    assert "closed long ago" not in html
    outages = _response(page, em).context["servers"].outages
    assert [(outage.name, outage.long) for outage in outages] == [("vbr-east", True), ("vbr-west", False)]


def test_an_outage_of_all_marks_every_backup_server(page: Client, em: EnterpriseManager) -> None:
    make_backup_server(em, name="vbr-east")
    make_outage(em, NOW - 2 * DAY)

    assert "every backup server" in _html(page, em)
    assert _response(page, em).context["servers"].shown[0].outage


@pytest.mark.parametrize(
    ("em_skew", "database_skew", "words"),
    [
        (-1.8, 0.1, "EM’s clock is 2 s behind ours; the database’s clock agrees with ours"),
        (0.0, 61.0, 'warn" aria-hidden="true"'),
        (0.0, -30.0, "the database’s clock is 30 s behind ours"),
    ],
)
def test_both_clocks(
    page: Client, em: EnterpriseManager, em_skew: float, database_skew: float, words: str
) -> None:
    make_run(em, started_at=NOW, clock_skew_seconds=em_skew, database_skew_seconds=database_skew)

    html = _html(page, em)

    assert words in html or ("61 s ahead of ours" in html and "result wraps warn" in html)


def test_the_restore_scope_as_declared(page: Client, em: EnterpriseManager) -> None:
    assert "not declared" in _html(page, em)

    for scope, words in (("full", "everything"), ("custom", "a part: EM leaves out the rest")):
        EnterpriseManager.objects.update(restore_scope=scope)
        assert words in _html(page, em)


def test_inventory_beside_em_own_overview(page: Client, em: EnterpriseManager) -> None:
    server = make_backup_server(em)
    for number in range(3):
        make_presence(server, em, f"vm-{number}", NOW - 9 * DAY)
    make_presence(server, em, "gone", NOW - 9 * DAY, to_at=NOW - DAY)
    make_inventory(
        make_full_run(em, started_at=NOW - HOUR),
        restore_points=812,
        vms=3,
        appeared=2,
        vanished=1,
        overview_protected=5,
        overview_restore_points=9214,
    )

    html = _html(page, em)

    assert "<b>3</b>" in html
    assert "2 appeared, 1 vanished" in html
    assert "812 read, all" in html
    assert "5 protected, 3 here then" in html
    assert "difference −2" in html
    assert "9,214 restore points" in html


def test_an_inventory_that_the_role_may_not_read(page: Client, em: EnterpriseManager) -> None:
    make_inventory(make_full_run(em, started_at=NOW - 2 * HOUR), vms=7, overview_protected=7)
    assert "equal</span>" in _html(page, em)

    make_inventory(make_full_run(em, started_at=NOW - HOUR), state="not_readable")

    html = _html(page, em)
    assert "Not readable with this role" in html
    assert f"as read {NOW - 2 * HOUR:%Y-%m-%d %H:%M:%S}" in html


def test_backup_servers_with_their_figures(page: Client, em: EnterpriseManager) -> None:
    make_full_run(em, started_at=NOW - HOUR)
    east, west = make_backup_server(em, name="vbr-east"), make_backup_server(em, name="vbr-west")
    BackupServerSource.objects.update(covered_from_at=NOW - 90 * DAY)
    BackupServerSource.objects.filter(backup_server=west).update(removed_at=NOW - 2 * DAY)
    make_inventory(make_full_run(em, started_at=NOW - HOUR), vms=1)
    make_presence(east, em, "vm", NOW - DAY)
    for days in (1, 2, 40):
        make_restore_session(east, enterprise_manager=em, started_at=NOW - days * DAY)
    make_gap(em, NOW - 9 * DAY, to_at=NOW - 8 * DAY, backup_server=west)

    rows = {row.source.name: row for row in _response(page, em).context["servers"].shown}
    html = _html(page, em)

    assert (rows["vbr-east"].sessions, rows["vbr-east"].vms) == (2, 1)
    assert rows["vbr-east"].completeness.complete, "the hours since the last full sync are open every day"
    assert rows["vbr-west"].completeness.verdict == "incomplete"
    assert list(rows) == ["vbr-west", "vbr-east"], "those with something to look at first"
    assert f"removed from EM on {NOW - 2 * DAY:%Y-%m-%d %H:%M:%S}" in html
    assert len(page.get(f"/?backup_server={east.pk}").context["page"].rows) == 2, (
        "the list has the same number"
    )
    assert "Total of 2" in html


def test_what_concerns_every_backup_server_is_said_once(page: Client, em: EnterpriseManager) -> None:
    make_full_run(em, started_at=NOW - HOUR)
    for name in ("vbr-east", "vbr-west"):
        make_backup_server(em, name=name)
    BackupServerSource.objects.update(covered_from_at=em.covered_from_at)
    make_gap(em, NOW - 9 * DAY, to_at=NOW - 8 * DAY, run=em.runs.get())

    html = _html(page, em)

    words = (
        f"All of them, {NOW - 9 * DAY:%Y-%m-%d %H:%M:%S} to {NOW - 8 * DAY:%Y-%m-%d %H:%M:%S}: Syncs failed"
    )
    assert html.count(words) == 1
    assert html.count("Incomplete</span>") == 2


def test_many_backup_servers_are_capped_and_the_total_has_all(page: Client, em: EnterpriseManager) -> None:
    for number in range(53):
        make_backup_server(em, name=f"vbr-{number:02}")

    assert "50 shown of 53" in _html(page, em)
    assert "Total of 53" in _html(page, em)


def test_sync_runs_mark_full_ones_and_what_went_missing(page: Client, em: EnterpriseManager) -> None:
    plain = make_run(em, started_at=NOW - 2 * HOUR)
    assert "Gone from EM" not in _html(page, em)
    assert "Unanswered" not in _html(page, em)

    run = make_full_run(em, started_at=NOW - HOUR, missing=12, unanswered=3)
    make_reconciliation(run, state="different", listed=2, held=1)

    html = _html(page, em)
    assert '<b class="tag">full</b>' in html
    assert '<td class="num">12</td>' in html
    assert "3</span>" in html
    row = html[html.index(f'id="run-{run.pk}"') : html.index(f'id="run-{plain.pk}"')]
    assert "Not reconciled" in row


def test_the_page_asks_as_many_queries_for_a_long_history_as_for_a_short_one(
    page: Client, em: EnterpriseManager, administrator: User, django_assert_num_queries: Any
) -> None:
    server = make_backup_server(em)
    run = make_full_run(em, started_at=NOW - DAY)
    make_reconciliation(run, state="different", only_em_count=1, only_em=["a"])
    make_inventory(run)
    gap = make_gap(em, NOW - 50 * DAY, to_at=NOW - 49 * DAY)
    GapNote.objects.create(gap=gap, author=administrator, at=NOW, text="known")
    make_outage(em, NOW - DAY, backup_server=server)
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)
    with django_assert_num_queries(23) as few:
        _response(page, em)
    for number in range(30):
        other = make_backup_server(em)
        make_outage(em, NOW - DAY, backup_server=other)
        make_restore_session(other, enterprise_manager=em, started_at=NOW - DAY)
        run = make_full_run(em, started_at=NOW - number * HOUR)
        make_reconciliation(run, state="different", only_em_count=1, only_em=["a"] * 1000)
        make_inventory(run)
        gap = make_gap(em, NOW - (60 + number) * DAY, to_at=NOW - (59 + number) * DAY)
        GapNote.objects.create(gap=gap, author=administrator, at=NOW, text="known")

    with django_assert_num_queries(len(few)):
        _response(page, em)
    assert SyncRun.objects.count() > 90
