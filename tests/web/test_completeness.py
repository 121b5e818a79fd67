"""Whether what the list shows is complete: its quiet line, and what "none" means when it is empty."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import BackupServer, BackupServerSource, EnterpriseManager, Gap, SyncRun
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_outage,
    make_reconciliation,
    make_restore_session,
)
from tests.web.conftest import NOW

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    em = make_enterprise_manager(
        name="em-north", shown_window=30 * DAY, covered_from_at=NOW - 200 * DAY, is_active=True
    )
    make_full_run(em, started_at=NOW - HOUR)
    return em


@pytest.fixture
def server(em: EnterpriseManager) -> BackupServer:
    found = make_backup_server(em, name="vbr-east")
    BackupServerSource.objects.update(covered_from_at=NOW - 200 * DAY)
    return found


def _html(page: Client, address: str = "/") -> str:
    return " ".join(page.get(address).content.decode().split())


def test_a_complete_list_says_nothing(page: Client, em: EnterpriseManager, server: BackupServer) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)

    assert 'class="incomplete' not in _html(page)


def test_gaps_in_the_shown_period_are_one_quiet_line(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)
    run = em.runs.get()
    for days in (5, 9, 90):
        make_gap(em, NOW - days * DAY, to_at=NOW - days * DAY + HOUR, run=run, cause=Gap.Cause.NOT_RUN)

    html = _html(page)

    assert "<b>Incomplete:</b>" in html
    assert f'<a href="/enterprise-managers/{em.pk}/#gaps">2 gaps on <bdi>em-north</bdi></a>' in html
    assert "3 gaps on" in _html(page, "/?period=all")
    assert "Incomplete" not in _html(
        page, f"/?started_from={NOW - 3 * DAY:%Y-%m-%d}&started_to={NOW:%Y-%m-%d}"
    )


def test_only_the_backup_servers_of_the_filter_count(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    other = make_backup_server(em, name="vbr-west")
    BackupServerSource.objects.update(covered_from_at=NOW - 200 * DAY)
    for one in (server, other):
        make_restore_session(one, enterprise_manager=em, started_at=NOW - DAY)
    make_gap(em, NOW - 5 * DAY, to_at=NOW - 4 * DAY, backup_server=server, run=em.runs.get())

    assert "1 gap on" in _html(page)
    assert "1 gap on" in _html(page, f"/?backup_server={server.pk}")
    assert "1 gap on" in _html(page, f"/?enterprise_manager={em.pk}")
    assert "Incomplete" not in _html(page, f"/?backup_server={other.pk}")
    assert "Incomplete" not in _html(page, f"/?backup_server={other.pk}&enterprise_manager={em.pk}")


def test_a_period_before_the_first_sync_says_from_when_on_there_is_data(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)
    EnterpriseManager.objects.update(covered_from_at=NOW - 9 * DAY)
    BackupServerSource.objects.update(covered_from_at=NOW - 9 * DAY)

    words = f"showed nothing from before {NOW - 9 * DAY:%Y-%m-%d %H:%M:%S} when it was first read"
    assert words in _html(page)
    assert 'class="incomplete' not in _html(page, "/?period=all"), "nobody claims more"


def test_an_outage_of_the_collector_makes_it_unknown(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)
    make_outage(em, NOW - 4 * DAY, backup_server=server, run=em.runs.get())

    html = _html(page)

    assert "Not yet known whether complete:" in html
    assert f"has not collected from every backup server since {NOW - 4 * DAY:%Y-%m-%d %H:%M:%S}" in html


def test_an_enterprise_manager_that_was_never_read_makes_it_unknown(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)
    make_enterprise_manager(name="em-new")

    assert "<bdi>em-new</bdi> was never read in full" in _html(page)
    assert 'class="incomplete' not in _html(page, f"/?enterprise_manager={em.pk}")


def test_none_up_to_the_last_full_sync_is_a_finding(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - 100 * DAY)

    html = _html(page)
    past = _html(page, f"/?started_from={NOW - 9 * DAY:%Y-%m-%d}&started_to={NOW - 5 * DAY:%Y-%m-%d}")

    assert "No restore sessions in this period" in html
    assert "The mirror is complete up to" in html
    assert "the next full sync closes the time since" in html
    assert "The mirror is complete in this period" in past
    assert "“None” is therefore a finding, not missing data." in past


def test_none_in_an_incomplete_period_may_be_missing_data(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - 100 * DAY)
    make_gap(em, NOW - 5 * DAY, to_at=NOW - 4 * DAY, run=em.runs.get())

    html = _html(page)

    assert "“None” may be missing data: the period is incomplete" in html
    assert "1 gap on <bdi>em-north</bdi></a>." in html


def test_none_that_no_full_sync_has_closed_is_not_yet_known(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - 100 * DAY)
    SyncRun.objects.update(kind="incremental")

    assert "It is not yet known whether anything is missing" in _html(page)


def test_what_em_lists_and_the_mirror_lacks_makes_it_unknown(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)
    SyncRun.objects.update(started_at=NOW - 4 * DAY, read_to_at=NOW - 4 * DAY)
    run = make_full_run(em, started_at=NOW - HOUR)
    make_reconciliation(run, state="different", only_em_count=3, only_em=["a", "b", "c"])

    html = _html(page)

    assert "Not yet known whether complete:" in html
    assert f"since {NOW - 4 * DAY:%Y-%m-%d %H:%M:%S}</a>" in html


def test_a_backup_server_that_the_chosen_enterprise_manager_does_not_show(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    other = make_enterprise_manager(covered_from_at=NOW - 200 * DAY)
    make_full_run(other, started_at=NOW - HOUR)

    html = _html(page, f"/?backup_server={server.pk}&enterprise_manager={other.pk}")

    assert "“None” is therefore a finding" not in html


def test_a_period_in_the_future_claims_nothing(
    page: Client, em: EnterpriseManager, server: BackupServer
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW)

    html = _html(page, f"/?started_from={NOW + 9 * DAY:%Y-%m-%d}")

    assert "“None” is therefore a finding" not in html
    assert "It is not yet known whether anything is missing" in html


def test_the_line_costs_a_fixed_number_of_queries(
    page: Client, em: EnterpriseManager, server: BackupServer, django_assert_num_queries: Any
) -> None:
    make_restore_session(server, enterprise_manager=em, started_at=NOW - DAY)
    with django_assert_num_queries(19) as few:
        page.get("/")
    for number in range(20):
        other = make_enterprise_manager(covered_from_at=NOW - 9 * DAY)
        make_full_run(other, started_at=NOW - HOUR)
        make_backup_server(other)
        make_gap(other, NOW - (number + 1) * DAY, to_at=NOW)

    with django_assert_num_queries(len(few)):
        page.get("/")
