"""The gaps on an Enterprise Manager's page: bar, table, and what people say about them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import EnterpriseManager, Gap, GapNote, User
from tests.factories import make_backup_server, make_enterprise_manager, make_full_run, make_gap
from tests.web.conftest import NOW

DAY = timedelta(days=1)


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    em = make_enterprise_manager(
        name="em-north", shown_window=30 * DAY, window_is_cut=True, covered_from_at=NOW - 200 * DAY
    )
    make_full_run(em, started_at=NOW - timedelta(hours=1))
    return em


def _page(page: Client, em: EnterpriseManager) -> Any:
    return page.get(f"/enterprise-managers/{em.pk}/")


def _html(page: Client, em: EnterpriseManager) -> str:
    return " ".join(_page(page, em).content.decode().split())


def _explain(client: Client, gap: Gap, text: str) -> Any:
    address = f"/enterprise-managers/{gap.enterprise_manager_id}/gaps/{gap.pk}/explain/"
    return client.post(address, {"text": text})


def test_without_gaps_the_page_says_since_when_it_is_covered(page: Client, em: EnterpriseManager) -> None:
    html = _html(page, em)

    assert "No gap: everything that EM showed since" in html
    assert f"{(NOW - 200 * DAY).year}" in html


def test_before_the_first_full_sync_there_is_no_data(page: Client, em: EnterpriseManager) -> None:
    EnterpriseManager.objects.update(covered_from_at=None)

    html = _html(page, em)

    assert "No data: no full sync has ended well yet." in html
    assert 'class="chart"' not in html


def test_each_state_of_a_gap_is_said(page: Client, em: EnterpriseManager) -> None:
    server = make_backup_server(em, name="vbr-east")
    at = NOW - 100 * DAY
    make_gap(em, at, to_at=at + 18 * DAY, detail="The account <was> locked.")
    make_gap(em, NOW - 60 * DAY, to_at=NOW - 60 * DAY, cause=Gap.Cause.NOT_RUN)
    make_gap(em, NOW - 50 * DAY, to_at=NOW - 49 * DAY, backup_server=server, cause=Gap.Cause.SERVER_AWAY)
    make_gap(em, NOW - 40 * DAY)

    html = _html(page, em)
    rows = _page(page, em).context["gaps"].rows

    assert [row.state for row in rows] == ["growing", "lost", "recovered", "lost"], "growing ones first"
    assert "Growing</span>" in html
    assert "nothing was lost" in html
    assert f"losing since {NOW - 10 * DAY:%Y-%m-%d %H:%M}" in html
    assert "18 d 00:00:00" in html
    assert "The account &lt;was&gt; locked." in html
    assert "vbr-east" in html
    assert "Backup server was removed from Enterprise Manager" in html


def test_a_growing_gap_says_until_when_it_can_be_recovered(page: Client, em: EnterpriseManager) -> None:
    gap = make_gap(em, NOW - 5 * DAY)

    assert f"recoverable until {gap.from_at + 30 * DAY:%Y-%m-%d %H:%M}" in _html(page, em)


def test_of_a_window_that_was_not_seen_cut_more_may_come_back(page: Client, em: EnterpriseManager) -> None:
    EnterpriseManager.objects.update(window_is_cut=False)
    make_gap(em, NOW - 40 * DAY)

    assert "what EM still shows is read by the next good sync" in _html(page, em)


def test_the_bar_has_every_stretch_where_it_lies(page: Client, em: EnterpriseManager) -> None:
    server = make_backup_server(em)
    EnterpriseManager.objects.update(covered_from_at=NOW - 28 * DAY)
    make_gap(em, NOW - 14 * DAY, to_at=NOW - 7 * DAY)
    make_gap(em, NOW - 2 * DAY, to_at=NOW - 2 * DAY + timedelta(seconds=1), backup_server=server)

    response = _page(page, em)

    bar = response.context["gaps"].bar
    by_kind = {(span.kind, span.half): span for span in bar.spans}
    covered, lost, short = (by_kind[key] for key in (("covered", False), ("lost", False), ("lost", True)))
    month = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = min(month - timedelta(seconds=1), NOW - 28 * DAY)
    start = start.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    whole = NOW - start

    def share(length: timedelta) -> float:
        return 100 * (length / whole)

    assert float(covered.x[:-1]) == pytest.approx(share(whole - 28 * DAY), abs=0.02)
    assert float(lost.x[:-1]) == pytest.approx(share(whole - 14 * DAY), abs=0.02)
    assert float(lost.width[:-1]) == pytest.approx(share(7 * DAY), abs=0.02)
    assert short.width == "0.35%", "the shortest gap can still be seen"
    html = response.content.decode()
    assert 'role="img"' in html
    assert "2 gaps in which something may be lost" in html
    assert "Half as high: one backup server" in html
    assert "style=" not in html


@pytest.mark.parametrize("days", [1, 40, 400, 4000, 20_000])
def test_the_axis_names_at_most_a_dozen_months_whatever_the_span(
    page: Client, em: EnterpriseManager, days: int
) -> None:
    EnterpriseManager.objects.update(covered_from_at=NOW - days * DAY)

    months = _page(page, em).context["gaps"].bar.months

    assert len(months) <= 12
    assert not months or re.fullmatch(r"[A-Z][a-z]{2} \d{4}", months[0].label)
    assert all(float(month.x[:-1]) <= 93 for month in months)


def test_administrators_explain_and_everybody_reads(
    page: Client, admin_page: Client, em: EnterpriseManager, administrator: User
) -> None:
    gap = make_gap(em, NOW - 50 * DAY, to_at=NOW - 45 * DAY)
    assert "Keep this explanation" not in _html(page, em)

    answer = _explain(admin_page, gap, "  Locked on 2 May,\r\n<b>unlocked</b> on 19 June.  ")
    _explain(admin_page, gap, "Ticket CHG-1.")

    assert answer.url == f"/enterprise-managers/{em.pk}/#gap-{gap.pk}"
    first = GapNote.objects.earliest("pk")
    assert first.text == "Locked on 2 May,\n<b>unlocked</b> on 19 June."
    assert (first.author, first.at - NOW < timedelta(minutes=1)) == (administrator, True)
    html = page.get(f"/enterprise-managers/{em.pk}/").content.decode()
    assert "<bdi>Locked on 2 May,</bdi>\n<bdi>&lt;b&gt;unlocked&lt;/b&gt; on 19 June.</bdi>" in html
    assert html.index("Locked on 2 May") < html.index("Ticket CHG-1.")
    assert "b.sample" in html


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty explanation is not kept"),
        (" \n ", "an empty"),
        ("x" * 4001, "at most 4000"),
        ("a\0", "Null"),
    ],
)
def test_an_explanation_that_is_empty_or_too_long_is_refused_where_it_was_written(
    admin_page: Client, em: EnterpriseManager, text: str, words: str
) -> None:
    gap, other = make_gap(em, NOW - 50 * DAY, to_at=NOW - 45 * DAY), make_gap(em, NOW - 40 * DAY)

    response = _explain(admin_page, gap, text)

    html = response.content.decode()
    assert response.status_code == 422
    assert words in html
    assert html.count('<details class="explain" open>') == 1
    assert f'id="gap-{other.pk}-text"' in html
    assert not GapNote.objects.exists()


def test_four_thousand_characters_with_line_breaks_are_kept(
    admin_page: Client, em: EnterpriseManager
) -> None:
    gap = make_gap(em, NOW - 50 * DAY, to_at=NOW - 45 * DAY)

    assert _explain(admin_page, gap, "x\r\n" * 1999 + "xx").status_code == 302
    assert len(GapNote.objects.get().text) == 4000


def test_auditors_and_wrong_addresses_explain_nothing(
    page: Client, admin_page: Client, em: EnterpriseManager
) -> None:
    gap = make_gap(em, NOW - 50 * DAY, to_at=NOW - 45 * DAY)
    other = make_enterprise_manager()
    elsewhere = f"/enterprise-managers/{other.pk}/gaps/{gap.pk}/explain/"

    assert _explain(page, gap, "no").status_code == 403
    assert admin_page.post(elsewhere, {"text": "no"}).status_code == 404
    assert admin_page.get(f"/enterprise-managers/{em.pk}/gaps/{gap.pk}/explain/").status_code == 405
    assert not GapNote.objects.exists()


def test_a_long_list_of_gaps_is_capped_and_says_so(
    page: Client, em: EnterpriseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restorereports.web.gaps.ROWS", 2)
    monkeypatch.setattr("restorereports.web.gaps.DRAWN", 4)
    for days in range(50, 55):
        make_gap(em, NOW - days * DAY, to_at=NOW - days * DAY + timedelta(hours=1))

    html = _html(page, em)

    assert "2 shown of 4 and more, growing ones first, then the newest." in html
