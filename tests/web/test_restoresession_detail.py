"""The page of one restore session: every field, where it comes from, its neighbours."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client

from restorereports.models import EnterpriseManager, RestoreSession, User
from tests.factories import (
    START,
    make_backup_server,
    make_enterprise_manager,
    make_restore_session,
    make_run,
    make_source,
)


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    return make_enterprise_manager(name="em-north")


def _html(page: Client, row: RestoreSession) -> str:
    return page.get(f"/restore-sessions/{row.pk}/").content.decode()


def test_times_are_shown_in_the_readers_zone_and_in_utc(page: Client, em: EnterpriseManager) -> None:
    User.objects.update(time_zone="Europe/Berlin")

    html = _html(page, make_restore_session(enterprise_manager=em))

    assert '2026-10-14 22:10:02 CEST<br><span class="muted mono">2026-10-14T20:10:02.017Z</span>' in html
    assert "2026-10-14T20:41:02.017Z" in html
    assert "started 14 Oct 2026 22:10:02 CEST, took 00:31:00" in html


def test_every_fact(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(
        make_backup_server(em, name="vbr-east"),
        enterprise_manager=em,
        job_type="FileLevelRestore",
        result="Failed",
        progress=61,
        restore_point_uid="urn:veeam:VmRestorePoint:1",
        restore_point_name="2026-10-13 20:00:41",
        restored_object_ref="urn:VMware:Vm:vm-9689",
        failure_message="Disk full <again>\nGave up.",
    )

    html = _html(page, row)

    for text in (
        row.name,
        "vbr-east",
        "FileLevelRestore",
        "(File-level)",
        "Stopped",
        "#i-bad",
        "61 %",
        "urn:veeam:VmRestorePoint:1",
        "2026-10-13 20:00:41",
        "urn:VMware:Vm:vm-9689",
        "Disk full &lt;again&gt;",
        row.uid,
    ):
        assert text in html


def test_what_em_does_not_say_is_named_so(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(
        enterprise_manager=em, vm_name="", job_type="", progress=None, ended_at=None, result="None"
    )

    html = _html(page, row)

    # VM, type, progress, end, failure message, restore point, restored object, initiator, reason
    assert html.count("not provided by EM</span>") == 9
    assert "no VM name" in html
    assert "EM says <bdi>None</bdi>" in html


def test_a_running_one_has_no_end_yet(page: Client, em: EnterpriseManager) -> None:
    html = _html(page, make_restore_session(enterprise_manager=em, state="Working", result="None"))

    assert '<dd><span class="muted">running</span>' in html
    assert "still running when it was last read" in html


def test_sources_name_each_enterprise_manager_and_its_runs(page: Client, em: EnterpriseManager) -> None:
    other = make_enterprise_manager(name="em-south")
    row = make_restore_session(enterprise_manager=em)
    run = make_run(other, kind="full", pk=1897)
    make_source(
        row,
        other,
        run=run,
        uid="urn:veeam:RestoreSession:other",
        payload="<A>\u202e</A>",
        changed_at=START + timedelta(hours=1),
        changed_run=run,
        missing_at=START + timedelta(days=40),
    )

    html = _html(page, row)

    assert "One restore session, shown by 2 Enterprise Managers, counted once" in html
    assert "urn:veeam:RestoreSession:other" in html
    assert f"run {run.pk}, full" in html
    assert "not since first seen" in html
    assert "no longer in EM since 2026-11-23 20:10:02" in html
    assert "kept here" in html
    assert '&lt;A&gt;<span class="ctrl">U+202E</span>&lt;/A&gt;' in html, "the payload shows what is hidden"


def test_neighbours_are_the_next_by_start(page: Client, em: EnterpriseManager) -> None:
    rows = [
        make_restore_session(enterprise_manager=em, started_at=START + timedelta(hours=n)) for n in range(3)
    ]

    html = _html(page, rows[1])

    assert f'rel="prev" href="/restore-sessions/{rows[2].pk}/"' in html
    assert f'rel="next" href="/restore-sessions/{rows[0].pk}/"' in html
    assert 'rel="prev"' not in _html(page, rows[2])
    assert 'rel="next"' not in _html(page, rows[0])


def test_the_vm_leads_to_all_of_its_restore_sessions(page: Client, em: EnterpriseManager) -> None:
    html = _html(page, make_restore_session(enterprise_manager=em, vm_name="a & b"))

    assert "/?period=all&amp;vm_exact=a+%26+b" in html
    too_long = _html(page, make_restore_session(enterprise_manager=em, vm_name="数" * 1000))
    assert "vm_exact" not in too_long, "no web server takes an address as long as this"


def test_an_unknown_id_is_not_found(page: Client) -> None:
    assert page.get("/restore-sessions/999/").status_code == 404
    assert page.get("/restore-sessions/99999999999999999999999/").status_code == 404


def test_the_page_asks_a_fixed_number_of_queries(
    page: Client, em: EnterpriseManager, django_assert_num_queries
) -> None:
    row = make_restore_session(enterprise_manager=em)
    for _n in range(3):
        make_source(row, make_enterprise_manager())

    with django_assert_num_queries(14):
        page.get(f"/restore-sessions/{row.pk}/")
