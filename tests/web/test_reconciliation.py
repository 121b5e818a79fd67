"""The comparison with EM's own list on an Enterprise Manager's page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import EnterpriseManager
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_reconciliation,
    make_restore_session,
)
from tests.web.conftest import NOW

HOUR = timedelta(hours=1)


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    return make_enterprise_manager(name="em-north")


def _reconcile(em: EnterpriseManager, hours: int = 1, **values: Any) -> None:
    make_reconciliation(make_full_run(em, started_at=NOW - hours * HOUR), **values)


def _html(page: Client, em: EnterpriseManager) -> str:
    return " ".join(page.get(f"/enterprise-managers/{em.pk}/").content.decode().split())


def test_never_compared_says_so(page: Client, em: EnterpriseManager) -> None:
    assert "Not compared yet: the next full sync does it." in _html(page, em)


def test_equal_sides(page: Client, em: EnterpriseManager) -> None:
    server = make_backup_server(em, name="vbr-east")
    _reconcile(em, listed=31, held=31, counted=2031, mirrored=2031, servers=[[server.pk, 31, 31]])

    html = _html(page, em)

    assert "EM lists 31 of the last 30 days = 31 here," in html
    assert "equal</span>" in html
    assert "All that EM lists is here. There is nothing to do." in html
    assert "EM’s own count of all that it shows: 2,031 = 2,031 here." in html
    assert '<span class="verdict good">' in html


def test_different_sides_name_servers_and_uids(page: Client, em: EnterpriseManager) -> None:
    east, west = make_backup_server(em, name="vbr-east"), make_backup_server(em, name="vbr-west")
    row = make_restore_session(east, enterprise_manager=em, started_at=NOW - HOUR)
    _reconcile(
        em,
        state="different",
        retried=True,
        listed=33,
        held=30,
        counted=100,
        mirrored=98,
        servers=[[east.pk, 10, 10], [west.pk, 20, 18], [None, 3, 2]],
        only_em_count=23,
        only_em=[f"urn:only-em-{n}" for n in range(23)],
        only_mirror_count=1,
        only_mirror=[row.uid],
    )

    html = _html(page, em)

    assert '<a href="#reconciliation"><span class="result warn">' in html
    assert "EM lists 33 of the last 30 days, 30 here," in html
    assert "compared twice" in html
    assert html.index("vbr-west</bdi></span>") < html.index("not known here")
    assert "−2</span>" in html
    assert "−3</span>" in html, "the total"
    assert "2,0" not in html
    assert "urn:only-em-19" in html
    assert "urn:only-em-20" not in html
    assert "and 3 more" in html
    assert f'<a href="/restore-sessions/{row.pk}/"><bdi>{row.uid}</bdi></a>' in html
    assert "EM’s own count of all that it shows: 100, but 98 here." in html
    assert "EM lists restore sessions that it did not give when it was asked for them." in html


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"state": "not_readable", "listed": None, "held": None, "mirrored": None},
            "EM does not show this list",
        ),
        ({"state": "failed", "listed": None, "held": None, "error": "<500> twice."}, "&lt;500&gt; twice."),
        (
            {"state": "different", "only_mirror_count": 1, "only_mirror": ["x"]},
            "They are kept here, nothing is lost",
        ),
        ({"state": "different", "counted": 2, "mirrored": 1}, "Every UID agrees, EM’s count does not"),
        ({"counted": None, "mirrored": 7}, "not provided by EM; 7 here."),
    ],
)
def test_what_a_result_means(page: Client, em: EnterpriseManager, values: dict[str, Any], words: str) -> None:
    _reconcile(em, **values)

    assert words in _html(page, em)


def test_many_servers_are_capped_with_the_largest_differences_first(
    page: Client, em: EnterpriseManager
) -> None:
    servers = [make_backup_server(em, name=f"vbr-{n:02}") for n in range(30)]
    counts = [[server.pk, n, 0] for n, server in enumerate(servers)]
    _reconcile(em, state="different", listed=435, held=0, servers=counts)

    found = page.get(f"/enterprise-managers/{em.pk}/").context["compared"]

    assert [found.servers[0].name, len(found.servers), found.servers_more] == ["vbr-29", 20, 10]
    assert "and 10 more, with smaller differences or none" in _html(page, em)


def test_earlier_results_are_a_short_list(page: Client, em: EnterpriseManager) -> None:
    for hours in range(14, 0, -1):
        _reconcile(em, hours, state="different" if hours == 5 else "equal", listed=hours, held=hours)

    html = _html(page, em)

    assert "The last 10 results before" in html
    assert "EM 11, here 11" in html
    assert "EM 12, here 12" not in html
