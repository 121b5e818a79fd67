"""Error pages: in the design, with a way on, and none of them needs what may be broken."""

from __future__ import annotations

import logging
import re

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client, RequestFactory

from restorereports.web.errors import bad_request, server_error


def test_not_found(page: Client) -> None:
    response = page.get("/nothing/")

    assert response.status_code == 404
    assert "There is nothing at this address" in response.content.decode()


def test_not_found_without_a_log_in(client: Client, db: None) -> None:
    assert client.get("/nothing/").status_code == 404


def test_bad_request() -> None:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()

    assert bad_request(request).status_code == 400


def test_a_form_without_its_token_is_refused(db: None) -> None:
    client = Client(enforce_csrf_checks=True)

    response = client.post("/login/", {"username": "a", "password": "b"})

    assert response.status_code == 403
    assert "This form could not be checked" in response.content.decode()


def test_a_failure_is_logged_under_the_id_that_the_page_shows(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        response = server_error(RequestFactory().get("/reports/"))

    found = re.search(r"[0-9a-f]{4}-[0-9a-f]{4}", response.content.decode())
    assert response.status_code == 500
    assert found
    assert f"error id {found[0]}: GET /reports/" in caplog.text


def test_a_failing_page_shows_the_error_page(page: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    page.raise_request_exception = False
    monkeypatch.setattr("restorereports.web.context.healths", lambda *_a, **_k: 1 / 0)

    response = page.get("/enterprise-managers/")

    assert response.status_code == 500
    assert "Something went wrong on our side" in response.content.decode()
    assert "ZeroDivisionError" not in response.content.decode()


def test_pages_carry_a_strict_policy(page: Client) -> None:
    policy = page.get("/")["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    html = page.get("/").content.decode()
    assert " style=" not in html
    assert "<style" not in html
    assert not re.search(r"<script(?! src=)", html)
