"""Failed tries slow guessing down, the same for accounts that do not exist, and for many processes at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from restorereports.models import FailedTries
from restorereports.sign_in import tries
from restorereports.sign_in.tries import TooManyTries, of_account, of_address

AT = datetime(2026, 10, 14, 8, tzinfo=UTC)


def fail(name: str = "b.sample", address: str = "192.0.2.1", *, at: datetime = AT) -> None:
    tries.take(of_account(name), of_address(address), at=at)


def wait_of(name: str = "b.sample", address: str = "192.0.2.1", *, at: datetime = AT) -> timedelta:
    """How long the next try must wait; it does not count."""
    with pytest.raises(TooManyTries) as refused:
        fail(name, address, at=at)
    return refused.value.wait


def test_five_failures_begin_a_wait_that_doubles_up_to_fifteen_minutes(db: None) -> None:
    at, waits = AT, []
    for _ in range(4):
        fail(at=at)
    for _ in range(8):
        fail(at=at)
        waits.append(wait_of(at=at).total_seconds())
        at += timedelta(seconds=waits[-1])

    assert waits == [30, 60, 120, 240, 480, 900, 900, 900]


def test_what_waits_counts_nothing_more(db: None) -> None:
    for _ in range(5):
        fail()
    for _ in range(50):
        wait_of()

    assert wait_of(at=AT + timedelta(seconds=29)) == timedelta(seconds=1)
    fail(at=AT + timedelta(seconds=30))


def test_a_name_in_other_letters_is_the_same_account(db: None) -> None:
    for name in ("b.sample", "B.Sample", "\uff42.sample", "B.SAMPLE", "b.sample"):
        fail(name)

    assert wait_of("b.Sample") == timedelta(seconds=30)
    fail("another")


def test_twenty_failures_of_an_address_hold_every_account(db: None) -> None:
    for number in range(20):
        fail(f"person-{number}")

    assert wait_of("nobody-yet") == timedelta(seconds=30)
    fail("nobody-yet", "192.0.2.2")


def test_an_ipv6_network_is_one_address(db: None) -> None:
    for number in range(20):
        fail(f"person-{number}", f"2001:db8::{number}")

    assert wait_of("nobody-yet", "2001:db8::ffff:1") == timedelta(seconds=30)
    fail("nobody-yet", "2001:db8:0:1::1")


def test_success_forgets_the_accounts_failures_and_keeps_the_addresses(db: None) -> None:
    account, address = of_account("b.sample"), of_address("192.0.2.1")
    assert address is not None
    for _ in range(4):
        fail()
    tries.take(account, address, at=AT)
    tries.succeeded(account, address, at=AT)

    fail()

    counts = {row.digest: row.count for row in FailedTries.objects.all()}
    assert counts == {account.digest: 1, address.digest: 5}


def test_a_day_without_failures_forgets_them(db: None) -> None:
    for _ in range(5):
        fail()
    wait_of()

    fail(at=AT + timedelta(hours=24))
    assert not FailedTries.objects.filter(count__gt=1).exists()
    fail("another", "192.0.2.9", at=AT + timedelta(hours=49))

    assert FailedTries.objects.count() == 2  # old rows are gone


def test_nothing_that_was_typed_is_stored(db: None) -> None:
    fail("my password by mistake")

    stored = str(list(FailedTries.objects.values()))
    assert "password" not in stored
    assert "192.0.2.1" not in stored


def test_digests_need_the_key_of_this_installation(settings: object) -> None:
    here = of_account("b.sample")
    settings.SECRET_KEY = "another"  # type: ignore[attr-defined]

    assert of_account("b.sample") != here
    assert of_account("192.0.2.1").digest != getattr(of_address("192.0.2.1"), "digest", "")


def test_many_at_once_get_no_more_tries_than_one_after_the_other(transactional_db: None) -> None:
    let, refused, together = [], [], threading.Barrier(12)

    def one(number: int) -> None:
        try:
            together.wait()
            fail(address=f"192.0.2.{number}")
            let.append(number)
        except TooManyTries:
            refused.append(number)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(let), len(refused)) == (5, 7)
