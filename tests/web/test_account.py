"""Log-in, log-out, the reader's own settings, and the first administrator."""

from __future__ import annotations

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from restorereports.models import AuditEntry, User
from restorereports.models.account import SYSTEM
from restorereports.web.first_run import first_administrator_path
from tests.factories import PASSWORD, make_user

NEW = "another long pass phrase"
FIRST = {"username": "a.muster", "time_zone": "Europe/Berlin", "password1": NEW, "password2": NEW}


def test_logging_in_and_out(client: Client, auditor: User) -> None:
    page = client.post(
        "/login/?next=/reports/", {"username": "c.specimen", "password": PASSWORD, "next": "/reports/"}
    )
    assert page.url == "/reports/"
    assert client.get("/reports/").status_code == 200

    assert client.post("/logout/").url == "/login/"
    assert client.get("/").status_code == 302


def test_a_refused_log_in_says_so_and_keeps_no_password(client: Client, auditor: User) -> None:
    html = client.post("/login/", {"username": "c.specimen", "password": "wrong-one"}).content.decode()

    assert "correct username and password" in html
    assert "wrong-one" not in html


def test_an_open_redirect_is_not_followed(client: Client, auditor: User) -> None:
    page = client.post(
        "/login/", {"username": "c.specimen", "password": PASSWORD, "next": "https://evil.example/"}
    )

    assert page.url == "/"


def test_zone_and_theme(page: Client, auditor: User) -> None:
    response = page.post("/account/", {"time_zone": "Asia/Tokyo", "theme": "dark"}, follow=True)

    html = response.content.decode()
    assert "Saved." in html
    assert '<html lang="en" data-theme="dark">' in html
    assert "Times in Asia/Tokyo (JST, UTC+09:00)" in html


def test_a_zone_that_does_not_exist_is_refused(page: Client, auditor: User) -> None:
    html = page.post("/account/", {"time_zone": "Mars/Base", "theme": ""}).content.decode()

    assert "“Mars/Base” is no IANA time zone" in html
    auditor.refresh_from_db()
    assert auditor.time_zone == ""


def test_changing_the_password_keeps_the_log_in(page: Client, auditor: User) -> None:
    fields = {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}

    html = page.post("/account/", fields, follow=True).content.decode()

    assert "The password is changed." in html
    auditor.refresh_from_db()
    assert auditor.check_password(NEW)


def test_a_short_password_is_refused(page: Client) -> None:
    fields = {"old_password": PASSWORD, "new_password1": "short", "new_password2": "short"}

    assert "at least 12 characters" in page.post("/account/", fields).content.decode()


def test_the_first_administrator_goes_on_to_add_an_enterprise_manager(client: Client, db: None) -> None:
    path = first_administrator_path()
    assert "Make the first administrator" in client.get(path).content.decode()

    response = client.post(path, FIRST)

    assert response.url == "/enterprise-managers/add/"
    user = User.objects.get()
    assert (user.username, user.is_administrator, user.zone) == ("a.muster", True, "Europe/Berlin")
    assert client.get(response.url).status_code == 200
    added, logged_in = AuditEntry.objects.visible_to(SYSTEM).order_by("number")
    assert (added.action, added.object_name, added.details["by"]) == (
        "person_added",
        "a.muster",
        "first link",
    )
    assert (logged_in.action, logged_in.details) == ("logged_in", {"method": "password"})
    assert "works once" in Client().get(path).content.decode()
    assert Client().post(path, FIRST | {"username": "eve"}).status_code == 404


def test_the_first_link_ends_after_a_day_or_when_changed(client: Client, db: None) -> None:
    path = first_administrator_path()

    assert client.get(path.rstrip("/") + "x/").status_code == 404
    with time_machine.travel(timezone.now() + timezone.timedelta(hours=25), tick=False):
        assert client.get(path).status_code == 404
    make_user()
    assert client.get(path).status_code == 404


def test_looking_at_the_first_link_holds_nobody_up(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock holds every change of people; only somebody with the link gets that far, and only with the form."""
    locked: list[str] = []
    monkeypatch.setattr("restorereports.web.views.account.wait_for_others", lambda: locked.append("users"))
    path = first_administrator_path()

    client.get("/welcome/x/")
    client.post("/welcome/x/", FIRST)
    client.get(path)
    assert locked == []
    client.post(path, FIRST)
    assert locked == ["users"]


def test_of_two_who_send_the_first_form_the_second_finds_a_user(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "restorereports.web.views.account.wait_for_others", lambda: make_user(username="first")
    )

    assert client.post(first_administrator_path(), FIRST).status_code == 404
    assert [user.username for user in User.objects.all()] == ["first"]


def test_a_browser_names_the_first_link_to_nobody(db: None) -> None:
    """It then says that its origin is null, also to us."""
    browser, path = Client(enforce_csrf_checks=True), first_administrator_path()

    assert browser.get(path)["Referrer-Policy"] == "no-referrer"
    assert browser.get("/welcome/x/")["Referrer-Policy"] == "no-referrer"
    assert browser.post(path, FIRST, HTTP_ORIGIN="null").url == "/enterprise-managers/add/"


def test_the_first_administrator_needs_a_good_password(client: Client, db: None) -> None:
    html = client.post(
        first_administrator_path(), FIRST | {"password1": "x", "password2": "x"}
    ).content.decode()

    assert "Nothing was saved." in html
    assert not User.objects.exists()
