"""Policies and verdicts as programs read them: the hand's figures, page by page, and nothing foreign."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from restorereports.audit import THE_INSTALLATION
from restorereports.models import ApiToken, User
from restorereports.policies.terms import sha256_of
from restorereports.sign_in.tokens import make_token
from tests import golden
from tests.api.conftest import Caller
from tests.factories import make_user
from tests.golden import AS_OF, TERMS, Golden, make_golden

END = "2028-03-31T22:00:00Z"


@pytest.fixture
def population(db: None, clock_begins_at_now: Any) -> Golden:
    clock_begins_at_now.move_to(AS_OF, tick=False)
    with time_machine.travel(AS_OF, tick=False):
        return make_golden()


def caller(person: User) -> Caller:
    scopes, ends = ApiToken.Scope.values, AS_OF + timedelta(days=1)
    _token, text = make_token(
        person, name="a program", scopes=scopes, expires_at=ends, actor=THE_INSTALLATION, at=AS_OF
    )
    return Caller(text)


@pytest.fixture
def program(population: Golden, clock_begins_at_now: Any) -> Caller:
    return caller(make_user(User.Role.VIEWER))


def ask(program: Caller, population: Golden, **query: Any) -> Any:
    query = {"at": END, "zone": "Europe/Berlin"} | query
    return program.json(f"policies/{population.version.policy_id}/coverage", **query)


def test_a_policy_says_what_it_asks(program: Caller, population: Golden) -> None:
    (policy,) = program.json("policies")["items"]

    assert (policy["number"], policy["version"]) == (str(population.version.policy), 1)
    assert policy["terms_sha256"] == sha256_of(TERMS)
    assert [
        (tier["name"], tier["window_days"], tier["target"], tier["rto_minutes"]) for tier in policy["tiers"]
    ] == [
        ("Gold", 30, 90, 60),
        ("Silver", 90, 50, 240),
        ("Bronze", 365, 40, None),
    ]
    assert (policy["classes"], policy["job_types"]) == (["test", "real"], ["RestoreVm"])


def test_coverage_has_the_figures_of_the_hand(program: Caller, population: Golden) -> None:
    found = ask(program, population)

    assert {
        tier["name"]: (
            tier["in_scope"],
            tier["tested"],
            tier["measured"],
            tier["judgement"],
            tier["below_on"],
        )
        for tier in found["tiers"]
    } == golden.TIERS
    verdicts: dict[str, list[str]] = {}
    for item in found["items"]:
        verdicts.setdefault(item["verdict"], []).append(item["name"])
    assert verdicts == {verdict: sorted(names) for verdict, names in golden.VERDICTS.items()}
    assert (found["judgement"], found["protected"], found["excluded"]) == ("not_met", 26, 1)


def test_pages_together_are_the_whole_and_of_one_moment(program: Caller, population: Golden) -> None:
    names, cursor = [], ""
    while cursor is not None:
        page = ask(program, population, limit=4, **({"cursor": cursor} if cursor else {}))
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        assert page["at"] == "2028-03-31T22:00:00.000000Z"

    assert names == sorted(name for found in golden.VERDICTS.values() for name in found)


def test_items_are_narrowed_by_verdict_and_the_figures_are_not(program: Caller, population: Golden) -> None:
    found = ask(program, population, verdict=["overdue", "new"])

    assert [item["name"] for item in found["items"]] == ["gold-02", "gold-11", "s-03"]
    assert found["tiers"][0]["in_scope"] == 19


def test_who_was_granted_one_server_is_told_of_that_one(population: Golden) -> None:
    program = caller(make_user(User.Role.AUDITOR, population.b))

    found = ask(program, population)

    assert {item["name"] for item in found["items"]} == {"s-01", "s-02", "s-03", "s-04"}
    foreign = ask(program, population, backup_server=population.a.pk)
    unknown = ask(program, population, backup_server=987_654_321)
    assert foreign == unknown
    assert foreign["items"] == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"zone": "Mars/Base"}, "zone"),
        ({"at": "2029-01-01T00:00:00Z"}, "at"),
        ({"verdict": "fine"}, "verdict"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    program: Caller, population: Golden, query: dict[str, str], name: str
) -> None:
    response = program.get(f"/api/v1/policies/{population.version.policy_id}/coverage", query)

    assert response.status_code == 422
    assert name in response.content.decode()


def test_a_policy_that_is_not_there_is_not_found(program: Caller) -> None:
    assert program.get("/api/v1/policies/999/coverage").status_code == 404


def test_restore_sessions_tell_their_class(program: Caller, population: Golden) -> None:
    page = program.json("restore-sessions", session_class=["real"])

    assert sorted(item["vm_name"] for item in page["items"]) == ["gold-03", "gold-14"]
    assert {item["session_class"] for item in page["items"]} == {"real"}
