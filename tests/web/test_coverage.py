"""Coverage now and over 13 months: figures that add up, each with the list behind it, of one's own VMs alone."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import AuditEntry, BackupServer, PolicyVersion, User
from restorereports.policies.terms import Machine, Rule, Terms, Tier
from restorereports.web.views import coverage as views
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_inventory,
    make_policy,
    make_presence,
    make_restore_session,
    make_user,
)
from tests.web.conftest import NOW, logged_in

pytestmark = pytest.mark.django_db
TERMS = Terms(
    tiers=(
        Tier(name="Gold", window_days=60, target=60, rules=(Rule(name="gold-*"),)),
        Tier(name="Rest", window_days=90, target=50),
    ),
    other_tier="Rest",
    machines=(Machine(name="listed", owner="Sales"),),
    grace_days=30,
    due_soon_days=14,
)
AGES = {
    "gold-met": 10,
    "gold-soon": 55,
    "gold-late": 61,
    "rest-met": 20,
    "rest-never": None,
    "rest-new": None,
}


@pytest.fixture
def server(db: None) -> BackupServer:
    em = make_enterprise_manager(name="em", covered_from_at=NOW - timedelta(days=900))
    server = make_backup_server(em, name="vbr")
    server.sources.update(covered_from_at=em.covered_from_at)
    for days in range(500, -1, -20):
        run = make_full_run(em, started_at=NOW - timedelta(days=days, hours=20))
        if days == 500:
            make_inventory(run)
    for name, age in AGES.items():
        make_presence(server, em, name, NOW - timedelta(days=5 if name == "rest-new" else 300))
        if age:
            started_at = NOW - timedelta(days=age)
            make_restore_session(
                server, enterprise_manager=em, vm_name=name, started_at=started_at, session_class="test"
            )
    return server


@pytest.fixture
def version(server: BackupServer) -> PolicyVersion:
    return make_policy(TERMS, name="Restore tests")


def listed(page: Client, query: str = "") -> list[str]:
    html = page.get(f"/coverage/{query}").content.decode()
    return re.findall(r'<th scope="row" class="cut">\s*<(?:a|span)[^>]*><bdi>(.*?)</bdi>', html)


def test_without_a_policy_there_is_nothing_to_measure_against(page: Client) -> None:
    for address in ("/coverage/", "/coverage/history/"):
        assert "No policy is in force" in page.get(address).content.decode()
    assert page.get("/coverage.csv").status_code == 404


def test_figures_add_up_and_every_part_leads_to_its_lines(page: Client, version: PolicyVersion) -> None:
    response = page.get("/coverage/")
    figures, html = response.context["figures"], response.content.decode()

    assert (figures.tested, figures.measured, figures.in_scope) == (3, 6, 7)
    assert figures.measured == figures.in_scope - figures.exempt.count - figures.new.count
    assert sum(part.count for part in figures.parts) == figures.measured
    for part in (*figures.parts, figures.new, figures.exempt):
        assert len(listed(page, part.query.removesuffix("#vms"))) == part.count, part.verdict
    assert len(listed(page, figures.query_of_tested.removesuffix("#vms"))) == figures.tested
    assert "50.0 %" in html
    assert abs(sum(float(part.width[:-1]) for part in figures.parts) - 100) < 0.01


def test_the_worst_come_first(page: Client, version: PolicyVersion) -> None:
    assert listed(page) == [
        "gold-late",
        "listed",
        "rest-never",
        "gold-soon",
        "gold-met",
        "rest-met",
        "rest-new",
    ]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("verdict=overdue", ["gold-late"]),
        ("verdict=never&verdict=new", ["listed", "rest-never", "rest-new"]),
        ("tier=Gold", ["gold-late", "gold-soon", "gold-met"]),
        ("tier=Gold&verdict=met", ["gold-met"]),
        ("vm=NEVER", ["rest-never"]),
        ("server=-", ["listed"]),
        ("server=vbr&vm=met", ["gold-met", "rest-met"]),
        ("vm=nothing", []),
    ],
)
def test_filters_stand_in_the_address(
    page: Client, version: PolicyVersion, query: str, names: list[str]
) -> None:
    assert listed(page, f"?{query}") == names


@pytest.mark.parametrize("query", ["verdict=good", "tier=None", "server=other"])
def test_a_filter_that_nothing_can_have_is_refused(page: Client, version: PolicyVersion, query: str) -> None:
    response = page.get(f"/coverage/?{query}")

    assert response.status_code == 400
    assert "The filter cannot be read" in response.content.decode()
    assert page.get(f"/coverage.csv?{query}").status_code == 400


@pytest.mark.parametrize("policy", ["0", "x", "9" * 30, "²"])
def test_a_policy_that_is_not_there_is_not_found(page: Client, version: PolicyVersion, policy: str) -> None:
    assert page.get(f"/coverage/?policy={policy}").status_code == 404


def test_a_policy_is_chosen_among_several(page: Client, version: PolicyVersion) -> None:
    other = make_policy(Terms(tiers=(Tier(name="All", window_days=1, target=1),), other_tier="All"))

    html = page.get(f"/coverage/?policy={other.policy_id}").content.decode()

    assert f'<option value="{other.policy_id}" selected>' in html


def test_pages_of_a_long_list(page: Client, version: PolicyVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "ROWS", 3)

    second = page.get("/coverage/?tier=Rest&tier=Gold&page=2")

    assert second.context["page"].start_index() == 4
    assert second.context["pages"]["after"] == "?tier=Rest&tier=Gold&page=3#vms"
    assert listed(page, "?page=3") == ["rest-new"]


def test_the_csv_has_the_filtered_lines_and_is_on_record(page: Client, version: PolicyVersion) -> None:
    response = page.get("/coverage.csv?tier=Gold")
    text = b"".join(response.streaming_content).decode()  # type: ignore[attr-defined]
    rows = list(csv.DictReader(io.StringIO(text)))

    assert [(row["vm_name"], row["verdict"]) for row in rows] == [
        ("gold-late", "overdue"),
        ("gold-soon", "due_soon"),
        ("gold-met", "met"),
    ]
    begun = AuditEntry.objects.get(action="export_begun")
    assert begun.details["filter"] == {"tier": ["Gold"]}
    assert begun.details["policy"] == str(version)


def test_when_it_falls_below_its_target_is_foretold(page: Client, version: PolicyVersion) -> None:
    covered = page.get("/coverage/").context["covered"]
    html = page.get("/coverage/").content.decode()

    assert covered.below_on is not None
    assert f"falls below its target from {covered.below_on} on" in html


def test_a_gap_makes_negative_findings_doubtful_and_positive_ones_stand(
    page: Client, version: PolicyVersion, server: BackupServer
) -> None:
    em = server.sources.get().enterprise_manager
    make_gap(em, NOW - timedelta(days=30), to_at=NOW - timedelta(days=29))

    figures = page.get("/coverage/").context["figures"]

    assert {part.verdict.value: part.count for part in figures.parts} == {
        "met": 2,
        "due_soon": 1,
        "overdue": 0,
        "never": 1,  # listed, on no backup server that could have a gap
        "inconclusive": 2,
    }


def test_who_sees_a_part_is_shown_that_part(client: Client, version: PolicyVersion) -> None:
    other = make_backup_server(make_enterprise_manager(name="other-em"), name="other-vbr")
    reader = make_user(User.Role.VIEWER, other)

    html = logged_in(client, reader).get("/coverage/").content.decode()

    assert "gold-late" not in html
    assert "<bdi>listed</bdi>" not in html
    assert "vbr" not in html.replace("other-vbr", "")


def test_the_months_say_what_was_so_at_their_ends(page: Client, version: PolicyVersion) -> None:
    response = page.get("/coverage/history/")
    chart = response.context["chart"]
    html = response.content.decode()

    assert len(chart.marks) == 13
    last = chart.marks[-1]
    assert (last.month.tested, last.month.measured) == (3, 6)
    assert last.share == "50.0"
    assert html.count('<th scope="row" class="fit">') == 13
    assert all(0 <= (mark.y or 0) <= 132 for mark in chart.marks)


def test_a_month_before_anything_was_read_has_no_data(page: Client, db: Any) -> None:
    em = make_enterprise_manager(name="fresh")
    make_inventory(make_full_run(em, started_at=NOW - timedelta(hours=3)))
    make_policy(TERMS)

    response = page.get("/coverage/history/")

    assert [mark.month.no_data for mark in response.context["chart"].marks][:12] == [True] * 12
    assert "no data" in response.content.decode()
