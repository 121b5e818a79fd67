"""Who comes in: tokens, scopes, limits, and what is put on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import ApiToken, AuditEntry, Identity, User
from restorereports.sign_in import tokens
from tests.api.conftest import NOW, Caller, World, caller
from tests.factories import make_user

LIST = "/api/v1/restore-sessions"


def _spoil_expiry(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(expires_at=NOW)


def _spoil_by_revoking(token: ApiToken) -> None:
    ApiToken.objects.filter(pk=token.pk).update(revoked_at=NOW)


def _spoil_by_switching_off(token: ApiToken) -> None:
    User.objects.filter(pk=token.user_id).update(is_active=False)


def _spoil_by_a_new_password(token: ApiToken) -> None:
    token.user.set_password("another long password")
    token.user.save()


def _spoil_by_a_new_role(token: ApiToken) -> None:
    token.user.become(role=User.Role.VIEWER, is_active=True)
    token.user.save()


def _spoil_by_groups_of_long_ago(token: ApiToken) -> None:
    _came_from_the_provider(token, days=7, seconds=1)


def _came_from_the_provider(token: ApiToken, **ago: int) -> None:
    read_at = NOW - timedelta(**ago)
    Identity.objects.update_or_create(
        user=token.user,
        defaults={
            "issuer": "i",
            "subject": "s",
            "first_seen_at": NOW - timedelta(days=90),
            "read_at": read_at,
        },
    )


SPOILED = [
    _spoil_by_groups_of_long_ago,
    _spoil_expiry,
    _spoil_by_revoking,
    _spoil_by_switching_off,
    _spoil_by_a_new_password,
    _spoil_by_a_new_role,
]


def test_groups_count_for_a_week_after_a_log_in(scoped: Caller, clock_begins_at_now: Any) -> None:
    """Who loses his groups and never logs in again would else keep what his tokens open."""
    token = ApiToken.objects.get()

    _came_from_the_provider(token, days=6, hours=23)
    assert scoped.get(LIST).status_code == 200
    _came_from_the_provider(token, days=8)
    assert scoped.get(LIST).status_code == 401
    _came_from_the_provider(token, days=0)
    assert scoped.get(LIST).status_code == 200


@pytest.mark.parametrize("spoil", SPOILED)
def test_an_ended_token_is_answered_like_none(scoped: Caller, spoil: Any) -> None:
    assert scoped.get(LIST).status_code == 200
    without = Client().get(LIST)

    spoil(ApiToken.objects.get())
    ended = scoped.get(LIST)

    assert (ended.status_code, ended.content) == (without.status_code, without.content)
    assert without.status_code == 401
    assert ended["WWW-Authenticate"] == without["WWW-Authenticate"] == 'Bearer realm="restore-reports"'


@pytest.mark.parametrize("sent", ["", "Basic Og==", "Bearer", "Bearer ", "Bearer rr_", "Bearer rr_é", "rr_x"])
def test_what_is_no_token_is_refused_alike(world: World, sent: str) -> None:
    answer = Client().get(LIST, headers={"Authorization": sent})

    assert answer.status_code == 401
    assert answer.content == Client().get(LIST).content


@pytest.mark.parametrize(
    "address", ["", "openapi.json", "nothing", "restore-sessions/1", "restore-sessions/x", "reports/1/file"]
)
@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options", "trace"])
def test_nothing_answers_without_a_token(world: World, address: str, method: str) -> None:
    answer = getattr(Client(), method)(f"/api/v1/{address}")

    assert answer.status_code == 401


def test_a_log_in_by_cookie_opens_the_document_and_nothing_else(world: World) -> None:
    browser = Client()
    browser.force_login(make_user())

    assert browser.get("/api/v1/openapi.json").status_code == 200
    assert browser.post("/api/v1/openapi.json").status_code == 405
    assert browser.get(LIST).status_code == 401
    assert browser.get(f"/api/v1/reports/{world.report.pk}/file").status_code == 401


def test_a_token_wins_over_the_cookie_of_somebody_else(scoped: Caller) -> None:
    scoped.force_login(make_user(User.Role.ADMINISTRATOR))

    names = {row["backup_server"]["name"] for row in scoped.json("restore-sessions")["items"]}

    assert names == {"vbr-own"}


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete", "head", "options"])
def test_the_api_only_reads(scoped: Caller, method: str) -> None:
    answer = getattr(scoped, method)(LIST)

    assert answer.status_code == 405
    assert answer["Allow"] == "GET"
    if method != "head":
        assert answer.json()["error"] == "method_not_allowed"


def test_an_address_that_is_none_is_not_found_in_json(scoped: Caller) -> None:
    known = scoped.get("/api/v1/restore-sessions/987654321")

    for address in ("", "x", "restore-sessions/0", "restore-sessions/x", "a%0Ab", f"reports/{'9' * 5000}"):
        answer = scoped.get(f"/api/v1/{address}")
        assert (answer.status_code, answer.content) == (404, known.content)


def test_a_scope_that_is_lacking_is_refused_before_any_lookup(world: World) -> None:
    program = caller(make_user(), ApiToken.Scope.ESTATE)

    there = program.get(f"/api/v1/restore-sessions/{world.own.pk}")
    unknown = program.get("/api/v1/restore-sessions/987654321?limit=x")
    badly_asked = program.get(f"{LIST}?limit=x")

    assert {there.status_code, unknown.status_code, badly_asked.status_code} == {403}
    assert there.content == unknown.content == badly_asked.content
    assert "restore_sessions" in there.json()["message"]


def test_a_refusal_is_on_record_once_a_minute(world: World, clock_begins_at_now: Any) -> None:
    person = make_user()
    program = caller(person, ApiToken.Scope.ESTATE)
    refused = AuditEntry.objects.filter(action="refused")

    for _ in range(5):
        program.get(LIST)
    assert refused.count() == 1
    clock_begins_at_now.shift(timedelta(seconds=61))
    program.get(LIST)

    assert refused.count() == 2
    entry = refused.first()
    assert (entry.person, entry.via) == (person, "api")
    assert entry.details == {"path": LIST, "needs": "restore_sessions"}
    assert program.text not in str(entry.__dict__)


def test_a_viewer_reads_no_reports_even_with_a_token_for_them(world: World) -> None:
    program = caller(make_user(User.Role.VIEWER), ApiToken.Scope.REPORTS)

    assert program.get("/api/v1/reports").status_code == 403
    assert program.get(f"/api/v1/reports/{world.report.pk}/file").status_code == 403


def test_a_token_has_120_requests_a_minute(scoped: Caller, clock_begins_at_now: Any) -> None:
    answers = [scoped.get("/api/v1/backup-servers").status_code for _ in range(121)]
    assert answers == [200] * 120 + [429]

    clock_begins_at_now.shift(timedelta(seconds=20))
    refused = scoped.get(LIST)
    assert refused.status_code == 429
    assert 1 <= int(refused["Retry-After"]) <= 40
    clock_begins_at_now.shift(timedelta(seconds=int(refused["Retry-After"])))

    assert scoped.get(LIST).status_code == 200


def test_a_clock_that_was_set_back_locks_no_token_out(scoped: Caller, clock_begins_at_now: Any) -> None:
    ApiToken.objects.update(window_from_at=NOW + timedelta(hours=3), window_requests=120)

    assert scoped.get(LIST).status_code == 200


def test_the_last_use_is_kept(scoped: Caller) -> None:
    scoped.get(LIST)

    assert ApiToken.objects.get().last_used_at >= NOW


def test_after_20_bad_tokens_an_address_waits_but_good_tokens_work(
    scoped: Caller, clock_begins_at_now: Any
) -> None:
    bad = Client(headers={"Authorization": "Bearer rr_" + "x" * 43})

    answers = [bad.get(LIST).status_code for _ in range(21)]

    assert answers == [401] * 20 + [429]
    assert scoped.get(LIST).status_code == 200
    assert bad.get(LIST, REMOTE_ADDR="192.0.2.7").status_code == 401
    assert int(bad.get(LIST)["Retry-After"]) <= 60
    clock_begins_at_now.shift(timedelta(seconds=60))
    assert bad.get(LIST).status_code == 401


def test_addresses_of_one_ipv6_network_count_together(db: None) -> None:
    for number in range(tokens.BAD_TRIES_A_MINUTE):
        assert tokens.note_bad_try(f"2001:db8::{number:x}", at=NOW) == 0

    assert tokens.note_bad_try("2001:db8::ffff", at=NOW) > 0
    assert tokens.note_bad_try("2001:db8:0:1::1", at=NOW) == 0


def test_a_failure_inside_is_told_in_json_without_its_cause(
    scoped: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: Any, **_options: Any) -> Any:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr("restorereports.api.restore_sessions.page_by_start", fail)
    scoped.raise_request_exception = False

    answer = scoped.get(LIST)

    assert answer.status_code == 500
    assert answer.json()["error"] == "server_error"
    assert b"swordfish" not in answer.content
    assert "GET /api/v1/<path:rest>" in caplog.text or "GET /api/v1/restore-sessions" in caplog.text


def test_more_parameters_than_are_read_are_refused_with_a_sentence(scoped: Caller) -> None:
    answer = scoped.get(LIST + "?" + "&".join(["backup_server=1"] * 1001))

    assert answer.status_code == 422
    assert "too many parameters" in answer.json()["message"]
