"""The rules for classes: a table whose saving makes the next number, and a run over old restore sessions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import AuditEntry, ClassChange, ClassRules, RestoreSession, User
from restorereports.policies.class_rules import ClassRule, plain_rules, read_rules
from restorereports.web.views import class_rules as views
from tests.factories import make_backup_server, make_restore_session, make_user
from tests.web.conftest import NOW, logged_in

pytestmark = pytest.mark.django_db
LAB = ClassRule(
    session_class="test", name="lab-*", weekdays=(5, 6), from_hour=22, to_hour=6, zone="Europe/Berlin"
)
REST = ClassRule(session_class="real", backup_server="vbr-*")


@pytest.fixture
def owner_page(client: Client, db: None) -> Client:
    return logged_in(client, make_user(User.Role.POLICY_OWNER, username="p.owner", time_zone="UTC"))


@pytest.fixture
def rules(db: None) -> ClassRules:
    made: ClassRules = ClassRules.objects.create(
        number=1, rules=plain_rules((LAB, REST)), note="As agreed.", made_at=NOW
    )
    return made


def row(number: int, **values: str) -> dict[str, Any]:
    plain = {"name": "", "zone": "UTC", "session_class": "test", "ORDER": str(number + 1)} | values
    return {f"rule-{number}-{name}": value for name, value in plain.items()}


def table(*rows: dict[str, Any], based_on: int, **more: str) -> dict[str, Any]:
    head = {"rule-TOTAL_FORMS": str(len(rows)), "rule-INITIAL_FORMS": "0", "based_on": str(based_on)}
    return {key: value for one in rows for key, value in one.items()} | head | more


def test_the_page_shows_rules_and_their_numbers(owner_page: Client, rules: ClassRules) -> None:
    html = owner_page.get("/classes/").content.decode()

    assert 'name="rule-0-name" value="lab-*"' in html
    assert "name lab-*, Sat Sun, 22 to 6 o’clock in Europe/Berlin: Test" in html
    assert "server vbr-*: Real" in html
    assert "As agreed." in html


def test_saving_makes_the_next_number(owner_page: Client, rules: ClassRules) -> None:
    data = table(
        row(0, name="b", ORDER="2"), row(1, name="a", ORDER="1"), row(2, name="c", DELETE="on"), based_on=1
    )

    owner_page.post("/classes/", data | {"note": "Order."})

    latest = ClassRules.objects.get(number=2)
    assert [rule.name for rule in read_rules(latest.rules)] == ["a", "b"]
    assert (latest.note, latest.made_by.username) == ("Order.", "p.owner")
    assert AuditEntry.objects.first().action == "class_rules_changed"


def test_what_is_shown_reads_back_alike(owner_page: Client, rules: ClassRules) -> None:
    context = owner_page.get("/classes/").context
    data: dict[str, Any] = {"based_on": "1"}
    for form in (context["table"].management_form, *context["table"]):
        for bound in form:
            if bound.value() not in (None, False, ""):
                data[bound.html_name] = bound.value()

    owner_page.post("/classes/", data)

    assert ClassRules.objects.get(number=2).rules == rules.rules


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"name": ""}, "Rule 1 fits every restore session"),
        ({"name": "x", "zone": "Mars/Base"}, "no IANA time zone"),
        ({"name": "x", "from_hour": "24"}, "less than or equal to 23"),
        ({"name": "x", "weekdays": "7"}, "not one of the available choices"),
        ({"name": "x", "session_class": ""}, "This field is required."),
    ],
)
def test_wrong_rules_are_refused(owner_page: Client, change: dict[str, str], sentence: str) -> None:
    response = owner_page.post("/classes/", table(row(0, **change), based_on=0))

    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not ClassRules.objects.exists()


def test_rules_saved_meanwhile_are_not_overwritten(owner_page: Client, rules: ClassRules) -> None:
    response = owner_page.post("/classes/", table(row(0, name="x"), based_on=0))

    assert response.status_code == 422
    assert "Somebody else saved the rules meanwhile" in response.content.decode()
    assert ClassRules.objects.count() == 1


def test_a_rule_more_needs_no_script(owner_page: Client) -> None:
    response = owner_page.post("/classes/", table(row(0, name="typed"), based_on=0, add_row=""))

    forms = response.context["table"].forms
    assert [form["name"].value() for form in forms] == ["typed", None]
    assert forms[1]["zone"].value() == "UTC"


@pytest.fixture
def old(rules: ClassRules) -> list[RestoreSession]:
    server = make_backup_server(name="vbr-1")
    rows = [
        make_restore_session(server, vm_name=f"db-{days}", started_at=NOW - timedelta(days=days))
        for days in (1, 2, 100)
    ]
    RestoreSession.objects.filter(pk=rows[1].pk).update(class_by_hand=True, session_class="test")
    return rows


def test_a_run_is_previewed_and_then_done_with_a_reason(
    owner_page: Client, old: list[RestoreSession]
) -> None:
    since = (NOW - timedelta(days=10)).date().isoformat()

    shown = " ".join(owner_page.get(f"/classes/run/?since={since}").content.decode().split())
    assert not ClassChange.objects.exists()
    refused = owner_page.post("/classes/run/", {"since": since, "number": "1", "reason": ""})
    done = owner_page.post(
        "/classes/run/", {"since": since, "number": "1", "reason": "New rules."}, follow=True
    )

    assert "Of 1 restore sessions" in shown
    assert "Unset → Real: <b>1</b>" in shown
    assert "1 more were set by hand" in shown
    assert "without a reason nothing is run" in refused.content.decode()
    assert "1 changed their class" in done.content.decode()
    classes = RestoreSession.objects.order_by("pk").values_list("session_class", flat=True)
    assert list(classes) == ["real", "test", ""]
    assert AuditEntry.objects.first().action == "class_rules_run"


def test_other_rules_are_not_run_unseen(owner_page: Client, old: list[RestoreSession]) -> None:
    ClassRules.objects.create(number=2, rules=plain_rules((REST,)), made_at=NOW)
    since = (NOW - timedelta(days=10)).date().isoformat()

    response = owner_page.post("/classes/run/", {"since": since, "number": "1", "reason": "New rules."})

    assert response.status_code == 422
    assert "Other rules were saved meanwhile" in response.content.decode()
    assert not ClassChange.objects.exists()


def test_a_run_over_too_many_is_refused(
    owner_page: Client, old: list[RestoreSession], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_ROWS", 1)

    response = owner_page.get("/classes/run/?since=2020-01-01")

    assert response.status_code == 422
    assert "choose a later day" in response.content.decode()


@pytest.mark.parametrize("since", ["", "soon", "0001-01-01"])
def test_a_day_that_is_none_is_asked_again(owner_page: Client, rules: ClassRules, since: str) -> None:
    response = owner_page.get(f"/classes/run/?since={since}")

    assert response.status_code == 422
    assert "What it would change" not in response.content.decode()


def test_without_rules_there_is_nothing_to_run(owner_page: Client) -> None:
    response = owner_page.get("/classes/run/", follow=True)

    assert "There are no rules yet to run." in response.content.decode()


def test_who_sees_a_part_may_not_change_rules_of_all(client: Client, rules: ClassRules) -> None:
    reader = make_user(User.Role.POLICY_OWNER, make_backup_server())

    page = logged_in(client, reader)

    assert page.get("/classes/").status_code == 403
    assert page.get("/classes/run/?since=2026-01-01").status_code == 403
