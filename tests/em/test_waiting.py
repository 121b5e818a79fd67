from __future__ import annotations

import socket
import threading

import pytest

from restorereports.em.failures import Stopped, Unreachable, safe_text
from restorereports.em.waiting import call_within, never, pause
from restorereports.em.wire import Wire


def test_a_pause_is_cut_into_slices() -> None:
    slept: list[float] = []

    pause(1.2, should_stop=never, sleep=slept.append)

    assert slept == pytest.approx([0.5, 0.5, 0.2])


def test_a_call_gives_its_result_or_its_error() -> None:
    def fail() -> None:
        raise KeyError("ours")

    assert call_within(lambda: 7, seconds=1) == 7
    with pytest.raises(KeyError, match="ours"):
        call_within(fail, seconds=1)


def test_a_call_is_not_even_begun_when_told_to_stop() -> None:
    begun: list[int] = []

    with pytest.raises(Stopped):
        call_within(lambda: begun.append(1), seconds=1, should_stop=lambda: True)

    assert begun == []


def test_a_call_that_lasts_too_long_is_aborted() -> None:
    aborted = threading.Event()

    with pytest.raises(Unreachable) as failed:
        call_within(lambda: aborted.wait(5), seconds=0.05, abort=aborted.set)

    assert failed.value.kind == "timeout"
    assert aborted.is_set()


def test_a_wire_that_was_cut_carries_nothing_any_more() -> None:
    ours, theirs = socket.socketpair()
    wire = Wire()
    wire.hold(ours)

    wire.cut()

    assert theirs.recv(1) == b""
    late, _ = socket.socketpair()
    with pytest.raises(ConnectionAbortedError):
        wire.hold(late)
    assert late.fileno() == -1
    for one in (ours, theirs, _):
        one.close()


def test_a_wire_may_be_cut_when_nothing_is_held_or_all_is_over() -> None:
    never_held, over = Wire(), Wire()
    ours, theirs = socket.socketpair()
    over.hold(ours)
    ours.shutdown(socket.SHUT_RDWR)
    theirs.close()

    never_held.cut()
    over.cut()

    ours.close()


def test_foreign_text_becomes_one_short_safe_line() -> None:
    text = safe_text("a\r\nb\x00\x1b[31m‮c\ud800 " + "x" * 5000, limit=20)

    assert text == "a b [31m c xxxxxxxx…"
    assert len(text) == 20
