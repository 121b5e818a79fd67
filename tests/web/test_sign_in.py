"""Log-in, its slowing down, the second factor's pages, single sign-on, and when a sign-in ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pyotp
import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from restorereports.models import ApiToken, AuditEntry, GroupRule, Identity, SecondFactor, User
from restorereports.models.account import SYSTEM
from restorereports.models.credential import decrypt
from restorereports.sign_in import second_factor
from restorereports.web.middleware import POLLING, WAITING
from tests.factories import PASSWORD, make_enterprise_manager, make_report, make_user
from tests.sign_in import lying_provider
from tests.sign_in.lying_provider import CLIENT_ID, LyingProvider

TEMPLATES = Path(__file__).parent.parent.parent / "templates"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def identity_provider(settings: Any) -> Iterator[LyingProvider]:
    with lying_provider.running() as provider:
        settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = provider.issuer, CLIENT_ID
        settings.OIDC_CLIENT_SECRET, settings.OIDC_NAME = "the client's secret", "Example ID"
        yield provider


def trail() -> list[tuple[str, str, dict[str, Any]]]:
    """Action, person and details, oldest first."""
    entries = AuditEntry.objects.visible_to(SYSTEM).order_by("number")
    return [(entry.action, entry.person_name, entry.details) for entry in entries]


def log_in(client: Client, name: str = "c.specimen", password: str = PASSWORD, **more: str) -> Any:
    return client.post("/login/", {"username": name, "password": password} | more)


def set_up(user: User) -> tuple[pyotp.TOTP, list[str]]:
    """The app and the recovery codes; the codes of the last minutes stay unused."""
    from restorereports.audit import COMMAND_LINE

    app = pyotp.TOTP(second_factor.secret_being_set_up(user))
    before = timezone.now() - timedelta(minutes=10)
    codes = second_factor.confirm(user, app.at(before), actor=COMMAND_LINE, at=before)
    assert codes is not None
    return app, codes


def is_logged_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


# --- The password --------------------------------------------------------------------------------------------
def test_a_log_in_is_on_record(client: Client, auditor: User) -> None:
    log_in(client)
    client.post("/logout/")

    assert trail() == [("logged_in", "c.specimen", {"method": "password"}), ("logged_out", "c.specimen", {})]


def test_a_failed_log_in_names_an_account_and_never_what_was_typed(client: Client, auditor: User) -> None:
    log_in(client, password="wrong")
    log_in(client, name=PASSWORD, password="c.specimen")

    assert trail() == [
        ("log_in_failed", "c.specimen", {"why": "password"}),
        ("log_in_failed", "", {"why": "password"}),
    ]
    assert PASSWORD not in str(list(AuditEntry.objects.visible_to(SYSTEM).values()))


def test_known_and_unknown_names_get_the_same_answers(auditor: User) -> None:
    """Word for word, on the way to the wait and in it."""
    answers = []
    for name in ("c.specimen", "nobody"):
        browser = Client(REMOTE_ADDR=f"192.0.2.{len(name)}")
        answers.append([])
        for _ in range(6):
            response = log_in(browser, name=name, password="wrong")
            shown = re.sub(r'value="[^"]*"', "", response.content.decode())
            answers[-1].append((response.status_code, shown, response.headers.get("Retry-After")))

    assert answers[0] == answers[1]
    assert [status for status, _html, _retry in answers[0]] == [200] * 5 + [429]


def test_an_unknown_name_costs_a_hash_like_a_known_one(
    client: Client, auditor: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.auth.hashers import MD5PasswordHasher

    hashed: list[str] = []
    original = MD5PasswordHasher.encode

    def encode(self: MD5PasswordHasher, password: str, salt: str) -> str:
        hashed.append(password)
        return original(self, password, salt)

    monkeypatch.setattr(MD5PasswordHasher, "encode", encode)
    counts = []
    for name in ("c.specimen", "nobody"):
        hashed.clear()
        log_in(client, name=name, password="wrong")
        counts.append(len(hashed))

    assert counts == [1, 1]


def test_while_waiting_the_right_password_is_not_tried(client: Client, auditor: User) -> None:
    for _ in range(5):
        log_in(client, password="wrong")

    response = log_in(client)

    assert response.status_code == 429
    assert "Wait 30 seconds" in response.content.decode()
    assert response["Retry-After"] == "30"
    assert not is_logged_in(client)
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert log_in(client).status_code == 302


def test_an_address_that_tries_many_names_waits(client: Client, auditor: User) -> None:
    for number in range(20):
        log_in(client, name=f"person-{number}", password="wrong")

    assert log_in(client).status_code == 429
    assert log_in(Client(REMOTE_ADDR="192.0.2.7")).status_code == 302


def test_who_signs_in_elsewhere_has_no_password_here(client: Client, auditor: User) -> None:
    now = timezone.now()
    Identity.objects.create(user=auditor, issuer="i", subject="s", first_seen_at=now, read_at=now)

    assert "correct username and password" in log_in(client).content.decode()
    assert not is_logged_in(client)


def test_a_switched_off_account_is_refused_in_the_same_words(client: Client, auditor: User) -> None:
    User.objects.update(is_active=False)

    assert "correct username and password" in log_in(client).content.decode()


def test_a_password_hashed_in_an_older_way_lets_in_for_good(
    client: Client, auditor: User, settings: Any
) -> None:
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        *settings.PASSWORD_HASHERS,
    ]

    log_in(client)

    auditor.refresh_from_db()
    assert auditor.password.startswith("scrypt")
    assert is_logged_in(client)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/login/",
        "/login/openid/",
        "/" + "x" * 5000,
        "reports",
        "foo",
        "?a=b",
        "%2f%2fevil.example",
        "login",
        "/\x00\r\nlogin/../login/",
    ],
)
def test_no_next_leads_away_or_round_in_circles(client: Client, auditor: User, address: str) -> None:
    assert client.get("/login/", {"next": address}).status_code == 200
    assert log_in(client, next=address).url == "/"
    assert is_logged_in(client)
    assert client.get("/login/", {"next": address}).url == "/"


def test_no_next_of_the_address_stands_in_the_way_of_code_and_provider(
    client: Client, auditor: User, identity_provider: LyingProvider
) -> None:
    GroupRule.objects.create(group="auditors", role="auditor", everything=True)
    app, _codes = set_up(auditor)
    client.post("/login/?next=foo", {"username": "c.specimen", "password": PASSWORD})

    assert client.post("/login/code/", {"code": app.now()}).url == "/"

    other = Client()
    identity_provider.claims |= {"groups": ["auditors"]}
    assert come_back(other, begin(other, identity_provider, "foo")).url == "/"


def test_the_http_session_has_a_new_key_after_the_log_in(client: Client, auditor: User) -> None:
    fixed = client.session
    fixed["planted"] = 1
    fixed.save()
    client.cookies["sessionid"] = fixed.session_key

    log_in(client)

    assert client.cookies["sessionid"].value != fixed.session_key
    client.cookies["sessionid"] = fixed.session_key
    assert not is_logged_in(client)


@pytest.mark.parametrize(
    "address",
    [
        "/login/",
        "/login/code/",
        "/logout/",
        "/account/",
        "/account/second-factor/",
        "/account/second-factor/remove/",
        "/account/recovery-codes/",
        "/account/log-out-everywhere/",
    ],
)
def test_every_form_needs_its_token(auditor: User, address: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(auditor)

    assert client.post(address, {"password": PASSWORD}).status_code == 403
    assert is_logged_in(client)


# --- The second factor ---------------------------------------------------------------------------------------
def test_the_code_is_asked_after_the_password(client: Client, auditor: User) -> None:
    app, _codes = set_up(auditor)

    assert log_in(client, next="/reports/").url == "/login/code/"
    assert not is_logged_in(client)
    refused = client.post("/login/code/", {"code": "000000"})
    assert "wrong, or was used already" in refused.content.decode()
    assert "000000" not in refused.content.decode()
    code = app.now()
    assert client.post("/login/code/", {"code": f"{code[:3]} {code[3:]}"}).url == "/reports/"

    assert is_logged_in(client)
    assert trail()[1:] == [
        ("log_in_failed", "c.specimen", {"why": "second factor"}),
        ("logged_in", "c.specimen", {"method": "second factor"}),
    ]
    again = Client()
    log_in(again)
    assert "used already" in again.post("/login/code/", {"code": code}).content.decode()


def test_a_recovery_code_instead(client: Client, auditor: User) -> None:
    _app, codes = set_up(auditor)
    log_in(client)

    assert client.post("/login/code/", {"code": codes[0]}).url == "/"

    assert trail()[-1] == ("logged_in", "c.specimen", {"method": "recovery code"})
    assert "9 recovery codes are left" in client.get("/account/").content.decode().replace("\n", " ")


def test_codes_are_slowed_down_too_in_every_window(client: Client, auditor: User) -> None:
    app, _codes = set_up(auditor)
    for _ in range(5):
        other = Client()
        log_in(other)
        other.post("/login/code/", {"code": "000000"})
    log_in(client)

    response = client.post("/login/code/", {"code": app.now()})

    assert (response.status_code, "Wait 30 seconds" in response.content.decode()) == (429, True)


@pytest.mark.parametrize("why", ["late", "password", "switched off", "without password"])
def test_what_was_begun_with_the_password_ends(client: Client, auditor: User, why: str) -> None:
    app, _codes = set_up(auditor)
    if why != "without password":
        log_in(client)
    if why == "password":
        auditor.set_password("another long pass phrase")
        auditor.save()
    if why == "switched off":
        User.objects.update(is_active=False)

    with time_machine.travel(timezone.now() + timedelta(minutes=5 if why == "late" else 0)):
        response = client.post("/login/code/", {"code": app.now()})

    assert response.url == "/login/"
    assert not is_logged_in(client)


def test_setting_it_up_shows_secret_and_recovery_codes_once(page: Client, auditor: User) -> None:
    assert "Your password" in page.get("/account/second-factor/").content.decode()
    assert "not your password" in page.post("/account/second-factor/", {"password": "wrong"}).content.decode()
    assert not SecondFactor.objects.exists()

    page.post("/account/second-factor/", {"password": PASSWORD})
    shown = page.get("/account/second-factor/")
    secret = decrypt(SecondFactor.objects.get().secret_token)
    done = page.post("/account/second-factor/", {"code": pyotp.TOTP(secret).now()})

    assert second_factor.in_groups(secret) in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    assert len(re.findall(r"<li>[a-z0-9 ]{23}</li>", done.content.decode())) == 10
    assert "no-store" in done["Cache-Control"]
    assert page.get("/account/second-factor/").url == "/account/"
    assert ("second_factor_changed", "c.specimen", {"what": "set up"}) in trail()


def test_renewing_and_removing_ask_for_the_password(page: Client, auditor: User) -> None:
    set_up(auditor)
    for address in ("/account/recovery-codes/", "/account/second-factor/remove/"):
        assert "Your password" in page.get(address).content.decode()
        assert "not your password" in page.post(address, {"password": "wrong"}).content.decode()
    assert second_factor.confirmed(auditor)

    renewed = page.post("/account/recovery-codes/", {"password": PASSWORD}).content.decode()
    removed = page.post("/account/second-factor/remove/", {"password": PASSWORD}, follow=True)

    assert len(re.findall(r"<li>[a-z0-9 ]{23}</li>", renewed)) == 10
    assert "The second factor is removed." in removed.content.decode()
    assert second_factor.confirmed(auditor) is None
    assert page.get("/account/recovery-codes/").url == "/account/"


def test_asking_for_the_password_again_is_slowed_down(page: Client, auditor: User) -> None:
    set_up(auditor)
    for _ in range(5):
        page.post("/account/second-factor/remove/", {"password": "wrong"})

    for address in ("/account/second-factor/remove/", "/account/recovery-codes/"):
        assert page.post(address, {"password": PASSWORD}).status_code == 429
    fields = {"old_password": PASSWORD, "new_password1": "x" * 20, "new_password2": "x" * 20}
    assert page.post("/account/", fields).status_code == 429


def test_where_it_is_required_nothing_else_is_shown_before(
    client: Client, auditor: User, settings: Any
) -> None:
    settings.SECOND_FACTOR = "required"
    log_in(client)

    for address in ("/", "/account/", "/reports/", "/account/recovery-codes/"):
        assert client.get(address).url == "/account/second-factor/"
    html = client.get("/account/second-factor/").content.decode()  # the password has just been given
    assert "nothing else is shown before" in html
    secret = decrypt(SecondFactor.objects.get().secret_token)
    client.post("/account/second-factor/", {"code": pyotp.TOTP(secret).now()})

    assert client.get("/reports/").status_code == 200


def test_somebody_who_must_set_it_up_can_leave(client: Client, auditor: User, settings: Any) -> None:
    settings.SECOND_FACTOR = "required"
    log_in(client)

    assert client.post("/logout/").url == "/login/"
    assert trail()[-1][0] == "logged_out"


def test_single_sign_on_needs_none_here(page: Client, auditor: User, settings: Any) -> None:
    settings.SECOND_FACTOR = "required"
    now = timezone.now()
    Identity.objects.create(user=auditor, issuer="i", subject="s", first_seen_at=now, read_at=now)

    assert page.get("/account/").status_code == 200
    for address in ("second-factor/", "second-factor/remove/", "recovery-codes/"):
        assert page.get(f"/account/{address}").status_code == 404
    html = page.get("/account/").content.decode()
    assert "new_password1" not in html
    assert page.post("/account/", {"new_password1": "x", "time_zone": "UTC"}).status_code == 302


# --- Single sign-on ------------------------------------------------------------------------------------------
def begin(client: Client, provider: LyingProvider, onwards: str = "/") -> str:
    """Press the button; gives the state."""
    address = client.get("/login/openid/", {"next": onwards}).url
    sent = parse_qs(urlsplit(address).query)
    provider.nonce = sent["nonce"][0]
    return sent["state"][0]


def come_back(client: Client, state: str, **answer: str) -> Any:
    return client.get("/login/openid/callback/", {"state": state, "code": "c"} | answer)


def test_without_a_provider_there_is_no_such_page(client: Client, db: None) -> None:
    assert client.get("/login/openid/").status_code == 404
    assert client.get("/login/openid/callback/").status_code == 404
    assert "openid" not in client.get("/login/").content.decode()


def test_single_sign_on_from_button_to_page(
    client: Client, db: None, identity_provider: LyingProvider
) -> None:
    GroupRule.objects.create(group="auditors", role="auditor", everything=True)
    identity_provider.claims |= {"groups": ["auditors"]}
    assert "Example ID" in client.get("/login/").content.decode()
    state = begin(client, identity_provider, "/reports/")
    before = client.session.session_key

    response = come_back(client, state)

    assert response.url == "/reports/"
    assert client.session.session_key != before
    assert is_logged_in(client)
    assert [entry[0] for entry in trail()] == ["person_added", "grants_changed", "logged_in"]
    assert trail()[-1][1:] == ("j.doe", {"method": "openid"})
    assert "id_token" not in str(dict(client.session))
    assert come_back(client, state).status_code == 400  # taken once


def test_nobody_gets_in_without_a_group_and_is_told_whom_to_ask(
    client: Client, db: None, identity_provider: LyingProvider
) -> None:
    identity_provider.claims |= {"groups": ["others"]}

    response = come_back(client, begin(client, identity_provider))

    assert response.status_code == 403
    assert "Ask an administrator" in response.content.decode()
    assert not is_logged_in(client)
    assert not User.objects.exists()


def test_an_account_that_is_switched_off_is_told_so_after_the_provider(
    client: Client, db: None, identity_provider: LyingProvider
) -> None:
    GroupRule.objects.create(group="auditors", role="auditor", everything=True)
    identity_provider.claims |= {"groups": ["auditors"]}
    come_back(client, begin(client, identity_provider))
    User.objects.update(is_active=False)

    response = come_back(client, begin(client, identity_provider))

    assert response.status_code == 403
    assert "switched off here" in response.content.decode()
    assert trail()[-1][2]["why"] == "switched off"


def test_losing_the_group_ends_the_sign_in_that_is_open(
    client: Client, db: None, identity_provider: LyingProvider
) -> None:
    GroupRule.objects.create(group="auditors", role="auditor", everything=True)
    identity_provider.claims |= {"groups": ["auditors"]}
    come_back(client, begin(client, identity_provider))
    other = Client()
    identity_provider.claims |= {"groups": []}

    assert come_back(other, begin(other, identity_provider)).status_code == 403

    assert not is_logged_in(client)


def test_another_browser_cannot_bring_the_answer(
    client: Client, db: None, identity_provider: LyingProvider
) -> None:
    state = begin(client, identity_provider)

    assert come_back(Client(), state).status_code == 400
    assert come_back(client, "another").status_code == 502
    assert come_back(client, state).status_code == 400
    assert trail() == [("log_in_failed", "", {"why": "openid", "what": "unexpected answer"})]


def test_an_answer_after_ten_minutes_is_too_late(
    client: Client, db: None, identity_provider: LyingProvider
) -> None:
    state = begin(client, identity_provider)

    with time_machine.travel(timezone.now() + timedelta(minutes=10)):
        assert come_back(client, state).status_code == 400


def test_the_providers_refusal_is_said_and_recorded(
    client: Client, db: None, identity_provider: LyingProvider
) -> None:
    state = begin(client, identity_provider)

    response = come_back(client, state, error="access_denied", error_description="<b>x</b>")

    assert response.status_code == 502
    assert "refused the log-in" in response.content.decode()
    assert trail() == [("log_in_failed", "", {"why": "openid", "what": "refused: access_denied"})]


def test_a_provider_that_is_down_leaves_the_local_log_in(
    client: Client, auditor: User, settings: Any
) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:9"

    response = client.get("/login/openid/")

    assert response.status_code == 502
    assert "local accounts can still log in" in response.content.decode()
    assert log_in(client).status_code == 302


def test_failures_from_outside_do_not_fill_the_trail(client: Client, db: None, settings: Any) -> None:
    settings.OIDC_ISSUER = "http://127.0.0.1:9"

    statuses = [client.get("/login/openid/").status_code for _ in range(25)]

    assert statuses == [502] * 20 + [429] * 5
    assert len(trail()) == 20


# --- When a sign-in ends -------------------------------------------------------------------------------------
def later(minutes: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False)


def test_thirty_minutes_without_a_request_end_it(client: Client, auditor: User) -> None:
    log_in(client)
    for minutes in (29, 58, 87):
        with later(minutes):
            assert is_logged_in(client)

    with later(117):
        response = client.get("/reports/?status=ready")
        assert response.url == "/login/?next=/reports/%3Fstatus%3Dready&ended=idle"
        assert "after 30 minutes without a request" in client.get(response.url).content.decode()
    assert trail()[-1] == ("sign_in_ended", "c.specimen", {"why": "idle"})


def test_twelve_hours_end_it_whatever_somebody_does(client: Client, auditor: User) -> None:
    log_in(client)
    for minutes in range(20, 720, 20):
        with later(minutes):
            assert is_logged_in(client)

    with later(720):
        response = client.get("/")
        assert response.url == "/login/?next=/&ended=whole"
        assert "lasts 12 hours" in client.get(response.url).content.decode()


def test_what_a_page_asks_by_itself_is_no_request_of_the_person(client: Client, auditor: User) -> None:
    report = make_report(requested_by=auditor)
    log_in(client)
    polling = {
        "HTTP_HX_REQUEST": "true",
        "HTTP_HX_TRIGGER": "report-status",
        "HTTP_HX_CURRENT_URL": f"http://testserver/reports/{report.pk}/",
    }
    for minutes in range(2, 30, 2):
        with later(minutes):
            assert client.get(f"/reports/{report.pk}/", **polling).status_code == 200

    with later(30):
        ended = client.get(f"/reports/{report.pk}/", **polling)

    assert (ended.status_code, ended.content) == (200, b"")
    assert ended["HX-Redirect"] == f"/login/?next=/reports/{report.pk}/&ended=idle"


def test_a_page_that_loads_itself_without_javascript_is_no_request_of_the_person(
    client: Client, auditor: User
) -> None:
    report = make_report(requested_by=auditor, status="waiting")
    log_in(client)
    address = f"/reports/{report.pk}/"
    again = re.findall(r'http-equiv="refresh" content="5; url=([^"]+)"', client.get(address).content.decode())
    for minutes in range(2, 30, 2):
        with later(minutes):
            html = client.get(address + again[0]).content.decode()
            assert 'http-equiv="refresh" content="5; url=?waiting=1"' in html

    with later(30):
        assert client.get(address + again[0]).url.endswith("&ended=idle")


def test_htmx_is_led_to_the_log_in_also_when_the_password_was_changed_elsewhere(
    page: Client, auditor: User
) -> None:
    auditor.set_password("another long pass phrase")
    auditor.save()

    response = page.get("/", HTTP_HX_REQUEST="true", HTTP_HX_CURRENT_URL="http://testserver/?vm=a")

    assert response["HX-Redirect"] == "/login/?next=/%3Fvm%3Da"


def test_everything_that_asks_by_itself_is_known() -> None:
    """Else a page that is left open would keep its sign-in alive."""
    asking = re.compile(r'<\w+[^<]*?hx-trigger="every[^"]*"', re.DOTALL)
    found = [tag for path in TEMPLATES.rglob("*.html") for tag in asking.findall(_plain(path))]

    assert len(found) == sum(
        path.read_text().count('hx-trigger="every') for path in TEMPLATES.rglob("*.html")
    )
    assert {re.findall(r'\bid="([^"]+)"', tag)[0] for tag in found} == POLLING
    anew = [
        tag
        for path in TEMPLATES.rglob("*.html")
        for tag in re.findall(r"<meta [^>]*refresh[^>]*>", _plain(path))
    ]
    assert len(anew) == 2
    assert all(f"url=?{WAITING}=1" in tag for tag in anew)


def _plain(path: Path) -> str:
    return re.sub(r"{[%{].*?[%}]}", "", path.read_text())


def test_the_last_request_is_written_once_a_minute(client: Client, auditor: User) -> None:
    log_in(client)
    before = client.session["seen_at"]
    with later(0.9):
        is_logged_in(client)
        assert client.session["seen_at"] == before
    with later(1):
        is_logged_in(client)
        assert client.session["seen_at"] >= before + 60


def test_the_log_in_page_is_open_when_the_sign_in_has_ended(client: Client, auditor: User) -> None:
    log_in(client)

    with later(31):
        assert client.get("/healthz").status_code in (200, 503)
        client.get("/login/")
        assert client.get("/login/").status_code == 200


@pytest.mark.parametrize("change", ["password", "role", "switched off"])
def test_password_role_and_switching_off_end_what_is_open(client: Client, auditor: User, change: str) -> None:
    log_in(client)
    token = make_token(auditor)
    if change == "password":
        auditor.set_password("another long pass phrase")
    else:
        role = User.Role.VIEWER if change == "role" else auditor.role
        auditor.become(role=role, is_active=change == "role")
    auditor.save()

    assert not is_logged_in(client)
    assert token not in ApiToken.objects.good(timezone.now())


def make_token(user: User) -> ApiToken:
    now = timezone.now()
    return ApiToken.objects.create(
        user=user,
        name="t",
        digest="d" * 64,
        starts_with="rr_",
        scopes=[],
        sign_ins_end=user.sign_ins_end,
        created_at=now,
        expires_at=now + timedelta(days=1),
    )


def test_logging_out_everywhere(page: Client, auditor: User) -> None:
    other = Client()
    other.force_login(auditor)
    token = make_token(auditor)

    response = page.post("/account/log-out-everywhere/")

    assert response.url == "/login/?ended=everywhere"
    assert "logged out everywhere" in page.get(response.url).content.decode()
    assert not is_logged_in(page)
    assert not is_logged_in(other)
    assert token not in ApiToken.objects.good(timezone.now())
    assert trail()[-1] == ("logged_out", "c.specimen", {"where": "everywhere"})


def test_changing_ones_own_password_keeps_this_browser_alone(page: Client, auditor: User) -> None:
    other = Client()
    other.force_login(auditor)
    token = make_token(auditor)
    before = page.session.session_key
    new = "another long pass phrase"

    page.post("/account/", {"old_password": PASSWORD, "new_password1": new, "new_password2": new})

    assert is_logged_in(page)
    assert page.session.session_key != before
    assert not is_logged_in(other)
    assert token not in ApiToken.objects.good(timezone.now())
    assert trail()[-1] == ("password_changed", "c.specimen", {"how": "account page"})


def test_saving_the_zone_takes_no_role_back(page: Client, auditor: User) -> None:
    """The page's row may be older than an administrator's change of a moment ago."""
    make_enterprise_manager()
    make_user()

    page.post("/account/", {"time_zone": "Asia/Tokyo", "theme": ""})

    auditor.refresh_from_db()
    assert (auditor.time_zone, auditor.role) == ("Asia/Tokyo", "auditor")
