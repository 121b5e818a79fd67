"""The start page: what it shows, how it is filtered, sorted and paged, and what it says when it is empty."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.utils import timezone

from restorereports.models import BackupServerSource, EnterpriseManager, SyncRun, User
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_restore_session,
    make_run,
    make_source,
    make_user,
)
from tests.web.conftest import NOW

UGLY = [
    "<script>alert(1)</script>",
    "invoice-\u202egnp.exe",
    "データベース",
    '"quoted" & co',
    "=cmd|' /C calc'!A1",
    "🧪",
]


@pytest.fixture
def em(db: None) -> EnterpriseManager:
    em = make_enterprise_manager(
        name="em-north", shown_window=timedelta(days=30), covered_from_at=NOW - timedelta(days=400)
    )
    make_full_run(em, started_at=NOW - timedelta(minutes=3))
    return em


def _vms(page: Client, query: str) -> list[str]:
    html = page.get(query).content.decode()
    return re.findall(r'<th scope="row" class="c-vm cut"><a [^>]*><span class="name"><bdi>(.*?)</bdi>', html)


def _rows(em: EnterpriseManager, count: int, **values: Any) -> None:
    server = make_backup_server(em)
    for number in range(count):
        make_restore_session(
            server,
            enterprise_manager=em,
            vm_name=f"vm-{number:03}",
            started_at=NOW - timedelta(minutes=number + 1),
            **values,
        )


def test_newest_first_of_the_last_thirty_days(page: Client, em: EnterpriseManager) -> None:
    make_restore_session(enterprise_manager=em, vm_name="older", started_at=NOW - timedelta(days=3))
    make_restore_session(enterprise_manager=em, vm_name="newer", started_at=NOW - timedelta(days=1))
    make_restore_session(enterprise_manager=em, vm_name="gone", started_at=NOW - timedelta(days=40))

    assert _vms(page, "/") == ["newer", "older"]
    assert _vms(page, "/?period=all") == ["newer", "older", "gone"]


def test_every_cell_of_a_row(page: Client, em: EnterpriseManager) -> None:
    server = make_backup_server(em, name="vbr-east")
    start = (NOW - timedelta(days=2)).replace(hour=9, minute=10, second=11, microsecond=0)
    row = make_restore_session(
        server, enterprise_manager=em, job_type="FileLevelRestore", result="Warning", started_at=start
    )

    html = page.get("/").content.decode()

    assert "#i-warn" in html
    assert "File-level" in html
    assert f"{start:%Y-%m-%d} 09:10:11" in html
    assert ">09:41:11</time>" in html, "an end on the same day shows the time alone"
    assert "00:31:00" in html
    assert "vbr-east" in html
    assert "em-north" in html
    assert f'href="/restore-sessions/{row.pk}/"' in html


def test_an_end_on_a_later_day_says_how_many_days_later(page: Client, em: EnterpriseManager) -> None:
    start = NOW - timedelta(days=3)
    make_restore_session(enterprise_manager=em, started_at=start, ended_at=start + timedelta(days=2))

    assert '<span class="muted">+2 d</span>' in page.get("/").content.decode()


def test_running_and_absent_values_are_told_apart(page: Client, em: EnterpriseManager) -> None:
    make_restore_session(enterprise_manager=em, state="Working", result="None", started_at=NOW, vm_name="")
    make_restore_session(enterprise_manager=em, started_at=NOW, ended_at=None, job_type="", result="Exploded")

    html = page.get("/").content.decode()

    assert '<span class="muted">running</span>' in html
    assert '<span class="muted">not provided by EM</span>' in html
    assert "no VM name" in html
    assert '<span class="visually-hidden"> (Exploded)</span>' in html, "Other keeps EM's word"


@pytest.mark.parametrize("name", UGLY)
def test_hostile_names_are_shown_as_they_are(page: Client, em: EnterpriseManager, name: str) -> None:
    server = make_backup_server(em, name=name)
    row = make_restore_session(server, enterprise_manager=em, vm_name=name, started_at=NOW)

    for address in ("/", f"/restore-sessions/{row.pk}/", "/reports/add/", f"/enterprise-managers/{em.pk}/"):
        html = page.get(address).content.decode()
        assert "<script>alert" not in html
        assert "\u202e" not in html
    assert len(_vms(page, "/?" + QueryDict(mutable=True).urlencode() + "period=all")) == 1


def test_a_name_of_a_thousand_characters_has_a_page(page: Client, em: EnterpriseManager) -> None:
    row = make_restore_session(enterprise_manager=em, vm_name="x" * 1000, started_at=NOW)

    html = page.get(f"/restore-sessions/{row.pk}/").content.decode()

    assert "x" * 1000 in html
    assert 'class="long-name"' in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("outcome=Failed", ["bad"]),
        ("outcome=Failed&outcome=Running", ["runs", "bad"]),
        ("job_type=FileLevelRestore", ["files"]),
        ("state=Working", ["runs"]),
        ("vm=A", ["bad"]),
        ("vm_exact=files", ["files"]),
        ("vm_exact=file", []),
        ("vm=%25", []),
        ("vm=b&outcome=Success", []),
        ("period=30d&started_from=&started_to=&vm=&vm_exact=&outcome=Failed", ["bad"]),
    ],
)
def test_filters(page: Client, em: EnterpriseManager, query: str, found: list[str]) -> None:
    make_restore_session(enterprise_manager=em, vm_name="bad", result="Failed", started_at=NOW - timedelta(2))
    make_restore_session(
        enterprise_manager=em, vm_name="files", job_type="FileLevelRestore", started_at=NOW - timedelta(1)
    )
    make_restore_session(
        enterprise_manager=em, vm_name="runs", state="Working", result="None", started_at=NOW
    )

    assert _vms(page, f"/?{query}") == found


def test_filters_by_where_a_row_comes_from(page: Client, em: EnterpriseManager) -> None:
    other = make_enterprise_manager(name="em-south")
    server = make_backup_server(em, name="vbr-east")
    make_restore_session(server, enterprise_manager=em, vm_name="here", started_at=NOW)
    make_restore_session(make_backup_server(other), enterprise_manager=other, vm_name="there", started_at=NOW)

    assert _vms(page, f"/?backup_server={server.pk}") == ["here"]
    assert _vms(page, f"/?enterprise_manager={other.pk}") == ["there"]
    assert len(_vms(page, f"/?enterprise_manager={other.pk}&enterprise_manager={em.pk}")) == 2


def test_days_begin_at_midnight_of_the_readers_zone(
    page: Client, em: EnterpriseManager, auditor: User
) -> None:
    User.objects.update(time_zone="Europe/Berlin")
    at = timezone.datetime(2026, 7, 31, 22, 30, tzinfo=timezone.get_fixed_timezone(0))  # 1 August there
    make_restore_session(enterprise_manager=em, vm_name="august", started_at=at)

    assert _vms(page, "/?started_from=2026-08-01&started_to=2026-08-01") == ["august"]
    assert _vms(page, "/?started_to=2026-07-31") == []
    assert "Europe/Berlin" in page.get("/").content.decode()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("started_from=2026-02-30", "Enter a valid date"),
        ("started_from=9999-12-31", "less than or equal"),
        ("started_from=2026-08-02&started_to=2026-08-01", "The last day is before the first day."),
        ("period=yesterday", "Select a valid choice"),
        ("outcome=Great", "Select a valid choice"),
        ("backup_server=999", "999"),
        ("backup_server=99999999999999999999999", "99999999999999999999999"),
        ("enterprise_manager=abc", "abc"),
        ("job_type=Nothing", "Select a valid choice"),
        ("vm=a%00b", "Null characters"),
        ("vm=" + "x" * 1001, "at most 1000"),
    ],
)
def test_a_wrong_filter_says_so_and_shows_no_rows(
    page: Client, em: EnterpriseManager, query: str, message: str
) -> None:
    make_restore_session(enterprise_manager=em, vm_name="any", started_at=NOW)

    response = page.get(f"/?{query}")

    html = response.content.decode()
    assert response.status_code == 200
    assert "This filter cannot be applied, so no rows are shown" in html
    assert message in html
    assert "any" not in _vms(page, f"/?{query}")
    assert page.get(f"/restore-sessions.csv?{query}").status_code == 400
    assert page.post(f"/restore-sessions.pdf?{query}").status_code == 400


def test_chips_name_each_filter_and_lead_to_the_list_without_it(page: Client, em: EnterpriseManager) -> None:
    servers = [make_backup_server(em, name=f"vbr-{n}") for n in "abcde"]
    make_restore_session(servers[0], enterprise_manager=em, started_at=NOW)
    chosen = "&".join(f"backup_server={server.pk}" for server in servers)

    chips = page.get(f"/?period=90d&vm=pay&vm_exact=payroll-db2&state=Stopped&{chosen}").context["chips"]

    by_field = {chip.field: chip for chip in chips}
    assert by_field["period"].value.startswith("last 90 days, since 20")
    assert by_field["backup_server"].value == "vbr-a, vbr-b, vbr-c + 2"
    assert by_field["vm"].value == "contains “pay”"
    assert by_field["vm_exact"].value == "is “payroll-db2”"
    assert "vm=" not in by_field["vm"].query
    assert f"backup_server={servers[4].pk}" in by_field["vm"].query
    assert "backup_server" not in by_field["backup_server"].query
    assert "period=all" in by_field["period"].query


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("period=today", "today"),
        ("period=this-month", "this month, since"),
        ("period=last-quarter", "last quarter, 20"),
        ("started_from=2026-08-01", "since 2026-08-01"),
        ("started_to=2026-08-03", "until 2026-08-03"),
        ("started_from=2026-08-01&started_to=2026-08-03", "2026-08-01 to 2026-08-03"),
    ],
)
def test_the_period_in_words(page: Client, em: EnterpriseManager, query: str, words: str) -> None:
    chips = page.get(f"/?{query}").context["chips"]

    assert chips[0].value.startswith(words)


def test_the_form_shows_the_period_in_force(page: Client, em: EnterpriseManager) -> None:
    assert '<option value="30d" selected>' in page.get("/").content.decode()
    assert '<option value="custom" selected>' in page.get("/?started_from=2026-08-01").content.decode()
    assert page.get("/?period=all").context["chips"] == []


def test_the_sum_line_adds_up_and_links_to_its_parts(page: Client, em: EnterpriseManager) -> None:
    for result in ("Success", "Success", "Warning", "Exploded"):
        make_restore_session(enterprise_manager=em, result=result, started_at=NOW)

    line = page.get("/?vm=pay").context["sum_line"]

    assert line.total == 4
    assert [(part.label, part.count) for part in line.parts] == [
        ("Success", 2),
        ("Warning", 1),
        ("Failed", 0),
        ("No result", 0),
        ("Other", 1),
    ]
    assert line.parts[0].query == "?vm=pay&outcome=Success"


def test_beyond_ten_thousand_rows_no_parts_are_counted(
    page: Client, em: EnterpriseManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("restorereports.models.counts.count_up_to.__defaults__", (2,))
    _rows(em, 3)

    response = page.get("/")

    assert "<b>over 2</b> restore sessions" in response.content.decode()
    assert "of over 2" in response.content.decode()
    assert response.context["sum_line"] is None


@pytest.mark.parametrize(
    "sort",
    ["started_at", "-started_at", "outcome", "vm_name", "-vm_name", "job_type", "-duration_ms", "ended_at"],
)
def test_pages_forward_and_back(page: Client, em: EnterpriseManager, sort: str) -> None:
    _rows(em, 120)

    first = page.get(f"/?sort={sort}")
    second = page.get(f"/?sort={sort}&cursor={first.context['page'].older}")
    third = page.get(f"/?sort={sort}&cursor={second.context['page'].older}")
    back = page.get(f"/?sort={sort}&cursor={third.context['page'].newer}")
    start = page.get(f"/?sort={sort}&cursor={back.context['page'].newer}")

    shown = [[row.pk for row in response.context["page"].rows] for response in (first, second, third)]
    assert [len(ids) for ids in shown] == [50, 50, 20]
    assert len({pk for ids in shown for pk in ids}) == 120
    assert [row.pk for row in back.context["page"].rows] == shown[1]
    assert [row.pk for row in start.context["page"].rows] == shown[0]
    assert (first.context["page"].newer, third.context["page"].older) == ("", "")
    assert "<b>51–100</b> of 120" in second.content.decode()
    assert "<b>51–100</b> of 120" in back.content.decode()
    assert "<b>101–120</b> of 120" in third.content.decode()
    assert "<b>1–50</b> of 120" in start.content.decode()


def test_a_page_has_as_many_rows_as_asked_for(page: Client, em: EnterpriseManager) -> None:
    _rows(em, 60)

    assert len(page.get("/?rows=100").context["page"].rows) == 60
    assert '<input type="hidden" name="rows" value="100">' in page.get("/?rows=100").content.decode()


def test_a_cursor_past_the_end_shows_page_one(page: Client, em: EnterpriseManager) -> None:
    _rows(em, 60)
    cursor = page.get("/").context["page"].older

    assert page.get(f"/?cursor={cursor}&vm=vm-001").context["page"].first == 1


@pytest.mark.parametrize("query", ["cursor=zz", "sort=password", "sort=-", "rows=7", "rows=abc"])
def test_an_address_that_names_no_page_is_refused_with_a_way_on(
    page: Client, em: EnterpriseManager, query: str
) -> None:
    response = page.get(f"/?{query}")

    assert response.status_code == 400
    assert "To page one of the list" in response.content.decode()


def test_a_cursor_of_another_order_or_changed_by_hand_is_refused(page: Client, em: EnterpriseManager) -> None:
    _rows(em, 60)
    cursor = page.get("/").context["page"].older

    assert page.get(f"/?sort=vm_name&cursor={cursor}").status_code == 400
    assert page.get(f"/?cursor=x{cursor}").status_code == 400


def test_the_head_says_what_is_sorted_and_turns_it_round(page: Client, em: EnterpriseManager) -> None:
    _rows(em, 1)

    html = page.get("/").content.decode()
    by_vm = page.get("/?sort=vm_name").content.decode()

    assert '<th scope="col" aria-sort="descending"><a href="?sort=started_at">' in html
    assert '<a href="?sort=vm_name">' in html
    assert '<a href="?sort=-duration_ms">' in html, "longest first"
    assert '<th scope="col" aria-sort="ascending"><a href="?sort=-vm_name">' in by_vm
    assert "Previous" in by_vm


def test_the_page_asks_as_many_queries_for_many_rows_as_for_few(
    page: Client, em: EnterpriseManager, django_assert_num_queries: Any
) -> None:
    other = make_enterprise_manager()
    _rows(em, 3)
    with django_assert_num_queries(19) as few:
        page.get("/")
    _rows(em, 40)
    for source in list(em.restore_session_sources.all()[:30]):
        make_source(source.restore_session, other)

    with django_assert_num_queries(len(few)):
        page.get("/")


def test_never_synced_leads_to_adding_one(page: Client, admin_page: Client) -> None:
    assert "An administrator adds one." in page.get("/").content.decode()
    assert 'href="/enterprise-managers/add/"' in admin_page.get("/").content.decode()


def test_the_first_sync_and_a_failed_first_sync_are_said(page: Client) -> None:
    em = make_enterprise_manager(name="em-new")
    assert "Nothing has been read yet" in page.get("/").content.decode()

    run = make_run(em, status=SyncRun.Status.RUNNING, started_at=NOW)
    assert "The first sync is running" in page.get("/").content.decode()

    SyncRun.objects.filter(pk=run.pk).update(
        status=SyncRun.Status.FAILED, error="Nothing accepts connections."
    )
    assert "Nothing accepts connections." in page.get("/").content.decode()


def test_no_match_says_which_filter_is_to_blame(page: Client, em: EnterpriseManager) -> None:
    _rows(em, 3)
    BackupServerSource.objects.update(covered_from_at=em.covered_from_at)

    response = page.get("/?outcome=Failed&vm=vm-00")

    html = response.content.decode()
    assert "No restore sessions match these 2 filters" in html
    assert "Taking out “Result: Failed” brings back the most." in html
    assert [(w.chip.field, w.count.value) for w in response.context["empty"].without] == [
        ("outcome", 3),
        ("vm", 0),
    ]
    assert response.context["empty"].period_only.value == 3
    assert "Up to then “none” is a finding, not missing data" in html
    assert "Taking out a single one brings back none." in page.get("/?vm=q&outcome=Failed").content.decode()


def test_none_in_the_period_is_a_finding_when_the_sync_was_healthy(
    page: Client, em: EnterpriseManager
) -> None:
    make_restore_session(enterprise_manager=em, started_at=NOW - timedelta(days=40))

    html = page.get("/").content.decode()

    assert "No restore sessions in this period" in html
    assert "em-north</bdi> was last read" in html


def test_none_with_a_stale_source_may_be_missing_data(page: Client, em: EnterpriseManager) -> None:
    at = NOW - timedelta(days=3)
    SyncRun.objects.update(started_at=at, read_to_at=at)

    html = page.get("/").content.decode()

    assert "It is not yet known whether anything is missing" in html
    assert f"no full sync of <bdi>em-north</bdi> since {at:%Y-%m-%d %H:%M:%S}" in html
    assert "was last read" in html


def test_search_goes_to_a_restore_session_by_its_id_and_to_the_list_by_name(
    page: Client, em: EnterpriseManager
) -> None:
    row = make_restore_session(enterprise_manager=em, started_at=NOW - timedelta(days=400))

    by_uid = page.get("/search/", {"q": row.uid})
    by_id = page.get("/search/", {"q": row.uid.rpartition(":")[2]})
    by_name = page.get("/search/", {"q": "payroll"})

    assert by_uid.url == by_id.url == f"/restore-sessions/{row.pk}/"
    assert by_name.url == "/?period=all&vm=payroll"
    assert page.get("/search/").url == "/?period=all&vm="
    assert page.get("/search/?q=%00pay%00roll").url == "/?period=all&vm=payroll"


def test_csv_holds_what_the_list_shows(page: Client, em: EnterpriseManager) -> None:
    make_restore_session(enterprise_manager=em, vm_name="in", result="Failed", started_at=NOW)
    make_restore_session(enterprise_manager=em, vm_name="out", started_at=NOW)

    response = page.get("/restore-sessions.csv?outcome=Failed")

    text = b"".join(response.streaming_content).decode()
    assert response["Content-Type"].startswith("text/csv")
    assert response["Content-Disposition"].startswith('attachment; filename="restore-sessions-')
    assert "in" in text
    assert "out" not in text.replace("outcome", "")


def test_pages_need_a_log_in_and_are_not_kept_by_caches(client: Client, page: Client) -> None:
    anonymous = Client().get("/")

    assert anonymous.url == "/login/?next=/"
    assert "no-store" in page.get("/")["Cache-Control"]


def test_an_inactive_person_sees_nothing(em: EnterpriseManager) -> None:
    make_restore_session(enterprise_manager=em, started_at=NOW)
    person = make_user()
    client = Client()
    client.force_login(person)
    User.objects.filter(pk=person.pk).update(is_active=False)

    assert client.get("/").status_code == 302


def test_backup_servers_of_one_name_are_told_apart_by_their_em(page: Client, em: EnterpriseManager) -> None:
    other = make_enterprise_manager(name="em-south")
    make_restore_session(make_backup_server(em, name="vbr-twin"), enterprise_manager=em)
    make_restore_session(make_backup_server(other, name="vbr-twin"), enterprise_manager=other)

    html = page.get("/").content.decode()

    assert f"vbr-twin ({em.name})" in html
    assert "vbr-twin (em-south)" in html


def test_the_csv_is_safe_to_open_in_a_spreadsheet(page: Client, em: EnterpriseManager) -> None:
    make_restore_session(enterprise_manager=em, vm_name="=cmd|' /C calc'!A1", started_at=NOW)

    text = b"".join(page.get("/restore-sessions.csv").streaming_content).decode()

    assert ",'=cmd|" in text
