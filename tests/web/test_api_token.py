"""The page of one's own API tokens: made and shown once, listed, revoked."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from restorereports.models import ApiToken, AuditEntry, Identity, User
from restorereports.sign_in.tokens import MOST_GOOD
from tests.factories import make_user
from tests.web.conftest import NOW

PAGE = "/account/tokens/"
ASKED = {"name": "Audit platform", "scopes": ["restore_sessions", "reports"], "days": "90"}


def _made(page: Client, **values: Any) -> tuple[str, ApiToken]:
    html = page.post(PAGE, ASKED | values).content.decode()
    (text,) = re.findall(r">(rr_[\w-]{43})</code>", html)
    return text, ApiToken.objects.latest("pk")


def test_a_token_is_shown_once_and_kept_as_a_digest(page: Client, auditor: User) -> None:
    text, token = _made(page)

    assert token.user == auditor
    assert token.digest == hashlib.sha256(text.encode()).hexdigest()
    assert (token.name, token.scopes) == ("Audit platform", ["reports", "restore_sessions"])
    assert text.startswith(token.starts_with)
    assert timedelta(days=90) <= token.expires_at - NOW < timedelta(days=90, minutes=1)
    assert text not in str(token.__dict__)
    assert text not in page.get(PAGE).content.decode()


def test_the_answer_that_shows_it_is_kept_nowhere(page: Client) -> None:
    answer = page.post(PAGE, ASKED)

    assert "no-store" in answer["Cache-Control"]
    assert answer.status_code == 200


def test_it_opens_the_api_within_its_scope(page: Client) -> None:
    text, _token = _made(page, scopes=["restore_sessions"])
    program = Client(headers={"Authorization": f"Bearer {text}"})

    assert program.get("/api/v1/restore-sessions").status_code == 200
    assert program.get("/api/v1/backup-servers").status_code == 403


def test_making_one_is_on_record_without_the_token(page: Client, auditor: User) -> None:
    text, token = _made(page)

    entry = AuditEntry.objects.get(action="token_made")
    assert (entry.person, entry.via, entry.object_id) == (auditor, "web", token.pk)
    assert entry.details["scopes"] == ["reports", "restore_sessions"]
    assert text not in str(entry.__dict__)


def test_the_list_tells_what_each_is(page: Client) -> None:
    text, _token = _made(page)
    Client(headers={"Authorization": f"Bearer {text}"}).get("/api/v1/restore-sessions")

    html = page.get(PAGE).content.decode()

    for told in ("Audit platform", text[:10], "Restore sessions", "Reports", "Works", "Revoke"):
        assert told in html
    assert ">never</span>" not in html


def test_revoking_ends_it_and_is_on_record(page: Client) -> None:
    text, token = _made(page)

    answer = page.post(f"{PAGE}{token.pk}/revoke/", follow=True)

    assert "The token is revoked." in answer.content.decode()
    assert "Revoked" in answer.content.decode()
    program = Client(headers={"Authorization": f"Bearer {text}"})
    assert program.get("/api/v1/restore-sessions").status_code == 401
    page.post(f"{PAGE}{token.pk}/revoke/")
    assert AuditEntry.objects.filter(action="token_revoked").count() == 1


def test_tokens_of_others_are_unknown(page: Client, admin_page: Client) -> None:
    _text, token = _made(admin_page, name="Somebody else’s")

    assert page.post(f"{PAGE}{token.pk}/revoke/").status_code == 404
    assert page.post(f"{PAGE}987654321/revoke/").status_code == 404
    assert "Somebody else’s" not in page.get(PAGE).content.decode()
    token.refresh_from_db()
    assert token.revoked_at is None


def test_revoking_needs_a_post(page: Client) -> None:
    _text, token = _made(page)

    assert page.get(f"{PAGE}{token.pk}/revoke/").status_code == 405


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": "x" * 101}, "at most 100 characters"),
        ({"name": "a\0b"}, "Null characters are not allowed."),
        ({"scopes": []}, "Choose at least one"),
        ({"scopes": ["everything"]}, "Select a valid choice"),
        ({"days": "0"}, "greater than or equal to 1"),
        ({"days": "366"}, "less than or equal to 365"),
        ({"days": "soon"}, "Enter a whole number"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_made(page: Client, values: dict[str, Any], words: str) -> None:
    html = page.post(PAGE, ASKED | values).content.decode()

    assert words in html
    assert not ApiToken.objects.exists()


def test_reports_are_no_scope_for_viewers(db: None) -> None:
    page = Client()
    page.force_login(make_user(User.Role.VIEWER))

    html = page.get(PAGE).content.decode()
    refused = page.post(PAGE, ASKED).content.decode()

    assert 'value="reports"' not in html
    assert "Select a valid choice" in refused
    assert not ApiToken.objects.exists()


def test_nobody_has_more_than_twenty_that_work(page: Client) -> None:
    for _ in range(MOST_GOOD):
        _text, token = _made(page)

    assert "nobody may have more" in page.post(PAGE, ASKED).content.decode()
    assert ApiToken.objects.count() == MOST_GOOD
    page.post(f"{PAGE}{token.pk}/revoke/")
    _made(page)


def test_a_token_that_is_over_or_ended_with_the_log_ins_is_told_as_such(page: Client, auditor: User) -> None:
    _text, over = _made(page, name="over")
    _text, ended = _made(page, name="ended")
    ApiToken.objects.filter(pk=over.pk).update(expires_at=NOW)
    ApiToken.objects.filter(pk=ended.pk).update(sign_ins_end=auditor.sign_ins_end + 7)

    html = page.get(PAGE).content.decode()

    assert "Over" in html
    assert "Ended with your log-ins" in html
    assert 'class="button small"' not in html


def test_who_comes_from_the_provider_is_told_that_tokens_rest(page: Client, auditor: User) -> None:
    words = "7 days after your last log-in"
    assert words not in page.get(PAGE).content.decode()

    Identity.objects.create(user=auditor, issuer="i", subject="s", first_seen_at=NOW, read_at=NOW)

    assert words in " ".join(page.get(PAGE).content.decode().split())


def test_names_that_are_markup_are_shown_as_text(page: Client) -> None:
    html = page.post(PAGE, ASKED | {"name": "<script>alert(1)</script>"}).content.decode()

    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html


def test_the_number_of_queries_does_not_grow_with_the_tokens(
    page: Client, django_assert_max_num_queries: Any
) -> None:
    for _ in range(9):
        _made(page)

    with django_assert_max_num_queries(10):
        page.get(PAGE)


def test_nobody_sees_the_page_without_a_log_in(db: None) -> None:
    assert Client().get(PAGE)["Location"].startswith("/login/")
