"""The authenticator app and the recovery codes: each code once, nothing in clear in the database."""

from __future__ import annotations

import base64
import threading
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

import pyotp
import pytest
from django.db import connection

from restorereports.audit import COMMAND_LINE
from restorereports.models import AuditEntry, RecoveryCode, SecondFactor, User
from restorereports.models.account import SYSTEM
from restorereports.sign_in import second_factor
from tests.factories import make_user

AT = datetime(2026, 10, 14, 8, 0, 10, tzinfo=UTC)
STEP = timedelta(seconds=30)


@pytest.fixture
def person(db: None) -> User:
    return make_user()


def code_of(person: User, at: datetime = AT) -> str:
    return pyotp.TOTP(second_factor.decrypt(person.second_factor.secret_token)).at(at)


def set_up(person: User, at: datetime = AT) -> list[str]:
    pyotp_secret = second_factor.secret_being_set_up(person)
    codes = second_factor.confirm(person, pyotp.TOTP(pyotp_secret).at(at), actor=COMMAND_LINE, at=at)
    assert codes is not None
    person.refresh_from_db()
    return codes


def test_it_counts_from_its_first_right_code_on(person: User) -> None:
    secret = second_factor.secret_being_set_up(person)

    assert second_factor.confirm(person, "000000", actor=COMMAND_LINE, at=AT) is None
    assert second_factor.confirmed(person) is None
    assert not second_factor.accepts(person, pyotp.TOTP(secret).at(AT), at=AT)
    assert second_factor.secret_being_set_up(person) == secret  # the page may be loaded again

    codes = second_factor.confirm(person, pyotp.TOTP(secret).at(AT), actor=COMMAND_LINE, at=AT)

    assert codes is not None
    assert len(set(codes)) == 10
    assert second_factor.confirmed(person)
    with pytest.raises(ValueError, match="already"):
        second_factor.secret_being_set_up(person)


def test_the_secret_is_encrypted_and_recovery_codes_are_digests(person: User) -> None:
    codes = set_up(person)

    stored = str(list(SecondFactor.objects.values())) + str(list(RecoveryCode.objects.values()))
    secret = second_factor.decrypt(person.second_factor.secret_token)
    assert len(base64.b32decode(secret)) >= 20
    assert secret not in stored
    assert not any(code in stored or code.replace(" ", "") in stored for code in codes)


def test_a_code_works_once_and_an_older_one_not_after_it(person: User) -> None:
    set_up(person)
    later = AT + 3 * STEP
    code, before = code_of(person, later), code_of(person, later - STEP)

    assert not second_factor.accepts(person, code_of(person), at=AT)  # the one it was set up with
    assert second_factor.accepts(person, code, at=later)
    assert not second_factor.accepts(person, code, at=later)
    assert not second_factor.accepts(person, before, at=later)


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_half_a_minute_off(person: User, steps: int, right: bool) -> None:
    set_up(person)
    now = AT + 10 * STEP

    assert second_factor.accepts(person, code_of(person, now + steps * STEP), at=now) is right


@pytest.mark.parametrize(
    "code", ["", "abcdef", "12345", "1234567", "\uff11\uff12\uff13\uff14\uff15\uff16", "é" * 6]
)
def test_what_is_no_code_is_refused(person: User, code: str) -> None:
    set_up(person)

    assert not second_factor.accepts(person, code, at=AT)
    assert not second_factor.accepts_recovery_code(person, code, actor=COMMAND_LINE, at=AT)


def test_a_recovery_code_works_once_however_it_is_typed(person: User) -> None:
    first, second = set_up(person)[:2]

    assert second_factor.accepts_recovery_code(person, first, actor=COMMAND_LINE, at=AT)
    assert not second_factor.accepts_recovery_code(person, first, actor=COMMAND_LINE, at=AT)
    typed = second.replace(" ", "-").upper()
    assert second_factor.accepts_recovery_code(person, typed, actor=COMMAND_LINE, at=AT)
    told = [entry.details for entry in AuditEntry.objects.visible_to(SYSTEM).order_by("number")]
    assert [one.get("recovery codes left") for one in told] == [None, 9, 8]
    assert not any(first in str(one) for one in told)


def test_recovery_codes_of_somebody_else_are_worth_nothing(person: User) -> None:
    other = make_user()
    set_up(other)

    code = set_up(person)[0]

    assert not second_factor.accepts_recovery_code(other, code, actor=COMMAND_LINE, at=AT)


def test_new_recovery_codes_end_the_old_ones(person: User) -> None:
    old = set_up(person)

    new = second_factor.renew_recovery_codes(person, actor=COMMAND_LINE)

    assert not second_factor.accepts_recovery_code(person, old[0], actor=COMMAND_LINE, at=AT)
    assert second_factor.accepts_recovery_code(person, new[0], actor=COMMAND_LINE, at=AT)


def test_removing_forgets_app_and_recovery_codes(person: User) -> None:
    code = set_up(person)[0]

    second_factor.remove(person, actor=COMMAND_LINE)
    second_factor.remove(person, actor=COMMAND_LINE)

    assert second_factor.confirmed(person) is None
    assert not second_factor.accepts_recovery_code(person, code, actor=COMMAND_LINE, at=AT)
    what = [entry.details["what"] for entry in AuditEntry.objects.visible_to(SYSTEM).order_by("number")]
    assert what == ["set up", "removed"]


def test_the_qr_code_needs_no_style_and_is_dark_on_light(person: User) -> None:
    drawn = unquote(second_factor.qr_code(person, second_factor.secret_being_set_up(person)))

    assert drawn.startswith("data:image/svg+xml")
    assert "style" not in drawn
    assert "#fff" in drawn
    assert "#000" in drawn


def test_of_one_code_sent_many_times_at_once_one_counts(transactional_db: None) -> None:
    person = make_user()
    recovery = set_up(person)[0]
    later = AT + 5 * STEP
    code = code_of(person, later)
    right: list[str] = []
    together = threading.Barrier(6)

    def one(number: int) -> None:
        try:
            together.wait()
            if number % 2 and second_factor.accepts(person, code, at=later):
                right.append("app")
            if not number % 2 and second_factor.accepts_recovery_code(
                person, recovery, actor=COMMAND_LINE, at=later
            ):
                right.append("recovery")
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(right) == ["app", "recovery"]
