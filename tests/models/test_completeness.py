"""Complete, incomplete, not yet known: cases made by hand, then an independent model, minute by minute."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from restorereports.models import BackupServer, BackupServerSource, EnterpriseManager
from restorereports.models.completeness import (
    Completeness,
    Verdict,
    completeness,
    completeness_in,
    completeness_of,
    overall,
)
from restorereports.models.enterprise_manager import LEAST_WINDOW
from tests.factories import (
    make_backup_server,
    make_enterprise_manager,
    make_full_run,
    make_gap,
    make_outage,
    make_reconciliation,
    make_run,
)
from tests.sizes import examples

DAY_0 = datetime(2026, 1, 1, tzinfo=UTC)


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


@dataclass
class Estate:
    """One backup server that two Enterprise Managers may show; the period is [day 10, day 20)."""

    server: BackupServer
    a: EnterpriseManager
    b: EnterpriseManager

    def show(self, manager: EnterpriseManager, *, covered: float | None = 0, **values: Any) -> None:
        covered_at = None if covered is None else day(covered)
        if manager.covered_from_at is None:
            manager.covered_from_at = covered_at
            manager.save()
        BackupServerSource.objects.create(
            enterprise_manager=manager,
            backup_server=self.server,
            uid=values.pop("uid", self.server.uid),
            name=self.server.name,
            first_seen_at=DAY_0,
            covered_from_at=covered_at,
            **values,
        )

    def close(self, manager: EnterpriseManager, at: float, **values: Any) -> Any:
        return make_full_run(manager, started_at=day(at), **values)

    def complete(self, manager: EnterpriseManager) -> None:
        self.show(manager)
        self.close(manager, 21)


@pytest.fixture
def estate(db) -> Estate:
    return Estate(
        make_backup_server(name="vbr-a"), make_enterprise_manager(name="A"), make_enterprise_manager(name="B")
    )


def said(found: Completeness) -> list[tuple[str, float, float, str, str]]:
    """(verdict, from day, to day, cause, Enterprise Manager / backup server)."""
    return [
        (
            one.verdict.value,
            (one.from_at - DAY_0) / timedelta(days=1),
            (one.to_at - DAY_0) / timedelta(days=1),
            one.cause.value,
            f"{one.enterprise_manager}/{one.backup_server}".rstrip("/"),
        )
        for one in found.intervals
    ]


Case = tuple[Callable[[Estate], object], list[tuple[str, float, float, str, str]]]
LOST, WAITS = "incomplete", "not_yet_known"


def _several(*steps: Callable[[Estate], object]) -> Callable[[Estate], object]:
    def all_of_them(estate: Estate) -> None:
        for step in steps:
            step(estate)

    return all_of_them


CASES: dict[str, Case] = {
    "closed by a full run after its end": (lambda e: e.complete(e.a), []),
    "closed at its very end": (_several(lambda e: e.show(e.a), lambda e: e.close(e.a, 20)), []),
    "no source at all": (lambda e: None, [(WAITS, 10, 20, "never_read", "")]),
    "listed and never read": (
        lambda e: e.show(e.a, covered=None),
        [(WAITS, 10, 20, "never_read", "A")],
    ),
    "covered, and no full run left a mark": (lambda e: e.show(e.a), [(WAITS, 10, 20, "not_closed", "A")]),
    "a good incremental run closes nothing": (
        _several(lambda e: e.show(e.a), lambda e: make_run(e.a, started_at=day(21), read_to_at=day(21))),
        [(WAITS, 10, 20, "not_closed", "A")],
    ),
    "a failed full run closes nothing": (
        _several(lambda e: e.show(e.a), lambda e: e.close(e.a, 21, status="failed")),
        [(WAITS, 10, 20, "not_closed", "A")],
    ),
    "closed in its middle": (
        _several(lambda e: e.show(e.a), lambda e: e.close(e.a, 15)),
        [(WAITS, 15, 20, "not_closed", "A")],
    ),
    "a full run that lacked rows closes nothing, the one before it does": (
        _several(
            lambda e: e.show(e.a),
            lambda e: make_reconciliation(e.close(e.a, 15), state="equal"),
            lambda e: make_reconciliation(e.close(e.a, 21), state="different", only_em_count=1),
        ),
        [(WAITS, 15, 20, "not_reconciled", "A")],
    ),
    "rows that only the mirror has hinder nothing": (
        _several(
            lambda e: e.show(e.a),
            lambda e: make_reconciliation(e.close(e.a, 21), state="different", only_mirror_count=3),
        ),
        [],
    ),
    "a full run that could not tell to when it read takes nothing back": (
        _several(lambda e: e.complete(e.a), lambda e: e.close(e.a, 22, read_to_at=None)),
        [],
    ),
    "before what EM showed at first": (
        _several(lambda e: e.show(e.a, covered=12), lambda e: e.close(e.a, 21)),
        [(LOST, 10, 12, "before_first", "A")],
    ),
    "a backup server that came later is named": (
        _several(
            lambda e: setattr(e.a, "covered_from_at", day(1)),
            lambda e: e.show(e.a, covered=12),
            lambda e: e.a.save(),
            lambda e: e.close(e.a, 21),
        ),
        [(LOST, 10, 12, "before_first", "A/vbr-a")],
    ),
    "a closed gap inside": (
        _several(lambda e: e.complete(e.a), lambda e: make_gap(e.a, day(12), to_at=day(14))),
        [(LOST, 12, 14, "failed", "A")],
    ),
    "a closed gap over its start": (
        _several(lambda e: e.complete(e.a), lambda e: make_gap(e.a, day(2), to_at=day(11), cause="not_run")),
        [(LOST, 10, 11, "not_run", "A")],
    ),
    "gaps that only touch the period": (
        _several(
            lambda e: e.complete(e.a),
            lambda e: make_gap(e.a, day(2), to_at=day(10)),
            lambda e: make_gap(e.a, day(20), to_at=day(25)),
        ),
        [],
    ),
    "a recovered gap lost nothing": (
        _several(lambda e: e.complete(e.a), lambda e: make_gap(e.a, day(12), to_at=day(12))),
        [],
    ),
    "a gap of this backup server": (
        _several(
            lambda e: e.complete(e.a),
            lambda e: make_gap(e.a, day(12), to_at=day(14), backup_server=e.server, cause="server_away"),
        ),
        [(LOST, 12, 14, "server_away", "A/vbr-a")],
    ),
    "a gap of another backup server": (
        _several(
            lambda e: e.complete(e.a),
            lambda e: make_gap(e.a, day(12), to_at=day(14), backup_server=make_backup_server(e.a)),
        ),
        [],
    ),
    "a growing gap: lost what is out of EM's reach, the rest can still come": (
        _several(
            lambda e: e.show(e.a),
            lambda e: e.close(e.a, 11),
            lambda e: make_gap(e.a, day(11)),
            lambda e: make_run(e.a, started_at=day(13) + LEAST_WINDOW, status="failed"),
        ),
        [(LOST, 11, 13, "failed", "A"), (WAITS, 13, 20, "not_closed", "A")],
    ),
    "EM's collector stands still": (
        _several(lambda e: e.complete(e.a), lambda e: make_outage(e.a, day(16))),
        [(WAITS, 16, 20, "collector", "A")],
    ),
    "EM does not collect from this backup server": (
        _several(lambda e: e.complete(e.a), lambda e: make_outage(e.a, day(16), backup_server=e.server)),
        [(WAITS, 16, 20, "collector", "A/vbr-a")],
    ),
    "EM does not collect from another one": (
        _several(
            lambda e: e.complete(e.a),
            lambda e: make_outage(e.a, day(16), backup_server=make_backup_server(e.a)),
        ),
        [],
    ),
    "EM collects again, and no full run came since": (
        _several(lambda e: e.complete(e.a), lambda e: make_outage(e.a, day(16), to_at=day(22))),
        [(WAITS, 16, 20, "not_closed", "A")],
    ),
    "EM collected again before the full run": (
        _several(lambda e: make_outage(e.a, day(16), to_at=day(18)), lambda e: e.complete(e.a)),
        [],
    ),
    "removed from EM: asked only until then": (
        _several(lambda e: e.show(e.a, removed_at=day(14)), lambda e: e.close(e.a, 14.1)),
        [],
    ),
    "removed from EM before anything was closed": (
        _several(lambda e: e.show(e.a, removed_at=day(14)), lambda e: e.close(e.a, 12)),
        [(WAITS, 12, 14, "not_closed", "A")],
    ),
    "listed anew under another UID": (
        _several(
            lambda e: e.show(e.a, removed_at=day(14)),
            lambda e: e.show(e.a, covered=13, uid="new"),
            lambda e: e.close(e.a, 21),
        ),
        [],
    ),
    "two EMs with gaps at different times are complete together": (
        _several(
            lambda e: e.complete(e.a),
            lambda e: e.complete(e.b),
            lambda e: make_gap(e.a, day(11), to_at=day(13)),
            lambda e: make_gap(e.b, day(14), to_at=day(16)),
        ),
        [],
    ),
    "two EMs with gaps that overlap lack the overlap": (
        _several(
            lambda e: e.complete(e.a),
            lambda e: e.complete(e.b),
            lambda e: make_gap(e.a, day(11), to_at=day(13)),
            lambda e: make_gap(e.b, day(12), to_at=day(16), cause="not_run"),
        ),
        [(LOST, 12, 13, "failed", "A"), (LOST, 12, 13, "not_run", "B")],
    ),
    "what one EM lost the other may still bring": (
        _several(
            lambda e: e.complete(e.a),
            lambda e: make_gap(e.a, day(11), to_at=day(13)),
            lambda e: e.show(e.b),
            lambda e: e.close(e.b, 12),
        ),
        [(WAITS, 12, 13, "not_closed", "B")],
    ),
    "moved from one EM to the other": (
        _several(
            lambda e: e.show(e.a, removed_at=day(15)),
            lambda e: e.close(e.a, 15),
            lambda e: e.show(e.b, covered=15),
            lambda e: e.close(e.b, 21),
        ),
        [],
    ),
    "moved, with days between": (
        _several(
            lambda e: e.show(e.a, removed_at=day(14)),
            lambda e: e.close(e.a, 15),
            lambda e: e.show(e.b, covered=15),
            lambda e: e.close(e.b, 21),
        ),
        [(LOST, 14, 15, "before_first", "B")],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(estate: Estate, name: str) -> None:
    arrange, expected = CASES[name]
    arrange(estate)

    found = completeness(estate.server, day(10), day(20))

    assert said(found) == expected
    verdicts = {one[0] for one in expected}
    assert found.verdict == next((word for word in (LOST, WAITS) if word in verdicts), "complete")
    assert found.complete == (not expected)


def test_what_runs_found_after_as_of_is_left_out(estate: Estate) -> None:
    estate.complete(estate.a)
    later = make_run(estate.a, started_at=day(40))
    make_gap(estate.a, day(12), to_at=day(14), run=later)
    make_outage(estate.a, day(11), run=later)
    estate.a.backup_server_sources.update(removed_at=day(41))

    assert completeness(estate.server, day(10), day(20), as_of=day(30)).complete
    assert said(completeness(estate.server, day(10), day(20), as_of=day(15))) == [
        (WAITS, 10, 20, "not_closed", "A")
    ]
    assert not completeness(estate.server, day(10), day(20)).complete


def test_a_gap_that_was_closed_after_as_of_still_grew_then(estate: Estate) -> None:
    estate.show(estate.a)
    estate.close(estate.a, 11)
    failed = make_run(estate.a, started_at=day(12) + LEAST_WINDOW, status="failed")
    closing = estate.close(estate.a, 30)
    make_gap(estate.a, day(11), run=failed, to_at=day(11), closed_at=closing.started_at, closed_run=closing)

    assert completeness(estate.server, day(10), day(20)).complete
    assert said(completeness(estate.server, day(10), day(20), as_of=day(25))) == [
        (LOST, 11, 12, "failed", "A"),
        (WAITS, 12, 20, "not_closed", "A"),
    ]


def test_a_gap_carries_its_id_and_the_failing_run_s_sentence(estate: Estate) -> None:
    estate.complete(estate.a)
    gap = make_gap(estate.a, day(12), to_at=day(14), detail="Log-on refused.")

    (interval,) = completeness(estate.server, day(10), day(20)).intervals

    assert (interval.gap, interval.detail) == (gap.pk, "Log-on refused.")


def test_several_backup_servers_name_a_shared_gap_once(estate: Estate) -> None:
    estate.complete(estate.a)
    other = make_backup_server(estate.a)
    other.sources.update(covered_from_at=day(0))
    make_gap(estate.a, day(12), to_at=day(14))

    parts = completeness_of([estate.server.pk, other.pk], day(10), day(20))

    assert said(overall(parts)) == [(LOST, 12, 14, "failed", "A")]
    assert overall({}).complete


def test_only_the_enterprise_managers_asked_for_count(estate: Estate) -> None:
    estate.complete(estate.a)
    estate.complete(estate.b)
    make_gap(estate.a, day(12), to_at=day(14))

    both = completeness_in([estate.a.pk, estate.b.pk], day(10), day(20))
    one = completeness_in([estate.a.pk], day(10), day(20))

    assert both.overall.complete
    assert [both.enterprise_managers[em.pk].verdict for em in (estate.a, estate.b)] == [LOST, "complete"]
    assert said(one.overall) == [(LOST, 12, 14, "failed", "A")]
    assert one.closed_to == {estate.a.pk: day(21)}


def test_only_the_backup_servers_asked_for_count(estate: Estate) -> None:
    estate.complete(estate.a)
    other = make_backup_server(estate.a, name="never-read")

    assert said(completeness_in([estate.a.pk], day(10), day(20)).overall) == [
        (WAITS, 10, 20, "never_read", "A/never-read")
    ]
    only = completeness_in([estate.a.pk], day(10), day(20), backup_servers=[estate.server.pk])
    assert only.overall.complete
    assert list(only.servers) == [estate.server.pk]
    assert said(
        completeness_in([estate.b.pk], day(10), day(20), backup_servers=[other.pk]).servers[other.pk]
    ) == [(WAITS, 10, 20, "never_read", "")]


def test_an_enterprise_manager_without_a_backup_server_is_asked_for_itself(estate: Estate) -> None:
    estate.complete(estate.a)
    read = make_enterprise_manager(name="empty", covered_from_at=day(0))
    make_full_run(read, started_at=day(21))
    make_gap(read, day(12), to_at=day(13))

    found = completeness_in([estate.a.pk, estate.b.pk, read.pk], day(10), day(20))

    assert said(found.overall) == [(WAITS, 10, 20, "never_read", "B"), (LOST, 12, 13, "failed", "empty")]
    assert found.overall.verdict == Verdict.INCOMPLETE
    assert said(found.enterprise_managers[estate.b.pk]) == [(WAITS, 10, 20, "never_read", "B")]


def test_nobody_asked_for_lacks_nothing(db) -> None:
    assert completeness_in([], day(10), day(20)).overall.complete


def test_a_period_ends_after_its_start(estate: Estate) -> None:
    with pytest.raises(ValueError, match="ends after its start"):
        completeness(estate.server, day(10), day(10))


def test_the_number_of_queries_grows_with_nothing(estate: Estate, django_assert_num_queries) -> None:
    for manager in (estate.a, estate.b):
        estate.complete(manager)
        for number in range(4):
            make_gap(manager, day(11 + number), to_at=day(11.5 + number))
            make_outage(manager, day(12 + number), to_at=day(12.5 + number))
            make_backup_server(manager)
    servers = list(BackupServer.objects.values_list("pk", flat=True))

    with django_assert_num_queries(4):  # sources, Enterprise Managers with their last runs, gaps, outages
        completeness_of(servers, day(10), day(20), as_of=day(30))
    with django_assert_num_queries(4):
        completeness_in([estate.a.pk, estate.b.pk], day(10), day(20), as_of=day(30))


# An independent model: every minute of a short time line by itself.

END = 12
_MINUTE = st.integers(0, END)
_SPAN = st.tuples(_MINUTE, st.one_of(st.none(), _MINUTE)).map(
    lambda span: (span[0], span[1] if span[1] is None else max(span))
)


@dataclass
class View:
    """What one Enterprise Manager has of the server. Gaps: (from, to or growing, of this server alone)."""

    covered: int | None
    removed: int | None
    runs: list[tuple[int, str, int | None]]  # (minute, good | lacking | failed | incremental, read to)
    gaps: list[tuple[tuple[int, int | None], bool]]
    outages: list[tuple[int, int | None]]  # from minute; closed after so many runs
    window: int = 3
    closed_to: int | None = field(default=None)


def _views() -> st.SearchStrategy[View]:
    kinds = st.sampled_from(["good", "good", "lacking", "failed", "incremental"])
    runs = st.lists(st.tuples(_MINUTE, kinds, st.one_of(st.none(), _MINUTE, _MINUTE)), max_size=3)
    return st.builds(
        View,
        covered=st.one_of(st.none(), _MINUTE, st.just(0), st.just(0)),
        removed=st.one_of(st.none(), st.none(), _MINUTE),
        runs=runs,
        gaps=st.lists(st.tuples(_SPAN, st.booleans()), max_size=2),
        outages=st.lists(st.tuples(_MINUTE, st.one_of(st.none(), st.integers(0, 2))), max_size=1),
    )


def _state(view: View, minute: int) -> str:
    """away, ok, lost or waits: what this Enterprise Manager alone has of one minute."""
    if view.removed is not None and minute >= view.removed:
        return "away"
    if view.covered is None:
        return "waits"
    if minute < view.covered:
        return "lost"
    reach = view.runs[-1][0] - view.window if view.runs else None
    for (start, stop), _alone in view.gaps:
        if stop is None:
            stop = reach if reach is not None else END + 1
        if start <= minute < stop:
            return "lost"
    closing = [number for number, run in enumerate(view.runs) if run[1] == "good" and run[2] is not None]
    if not closing or minute >= view.runs[closing[-1]][2]:  # type: ignore[operator]
        return "waits"
    for start, closed_with in view.outages:
        still_open = closed_with is None or closed_with >= len(view.runs)
        if minute >= start and (still_open or closed_with > closing[-1]):
            return "waits"
    return "ok"


def _together(states: list[str]) -> str:
    here = [state for state in states if state != "away"]
    if not states:
        return "waits"
    if not here or "ok" in here:
        return "ok"
    return "waits" if "waits" in here else "lost"


def _minute(number: int) -> datetime:
    return DAY_0 + timedelta(minutes=number)


def _make(view: View, server: BackupServer) -> None:
    """The rows of a view. Its minutes are stretched, so that its window is the least that EM can have."""
    manager = make_enterprise_manager()
    manager.covered_from_at = None if view.covered is None else _minute(view.covered)
    manager.save()
    BackupServerSource.objects.create(
        enterprise_manager=manager,
        backup_server=server,
        uid=server.uid,
        name=server.name,
        first_seen_at=DAY_0,
        covered_from_at=manager.covered_from_at,
        removed_at=None if view.removed is None else _minute(view.removed),
    )
    opener = make_run(make_enterprise_manager(), status="failed")
    made = []
    for minute, kind, read_to in view.runs:
        run = make_run(
            manager,
            # the reach is measured back from the start of the last run
            started_at=_minute(minute - view.window) + LEAST_WINDOW,
            kind="incremental" if kind == "incremental" else "full",
            status="failed" if kind == "failed" else "good",
            read_to_at=None if read_to is None else _minute(read_to),
        )
        if kind == "lacking":
            make_reconciliation(run, state="different", only_em_count=1)
        made.append(run)
    for (start, stop), alone in view.gaps:
        make_gap(
            manager,
            _minute(start),
            to_at=None if stop is None else _minute(stop),
            backup_server=server if alone else None,
            run=opener,
        )
    for start, closed_with in view.outages:
        is_open = closed_with is None or closed_with >= len(made)
        make_outage(
            manager,
            _minute(start),
            run=opener,
            **({} if is_open else {"to_at": _minute(END), "closed_run": made[closed_with]}),
        )


def _one_growing(views: list[View]) -> list[View]:
    """At most one gap of an Enterprise Manager grows: a second one is a recovered one."""
    for view in views:
        grows = False
        for number, ((start, stop), alone) in enumerate(view.gaps):
            if stop is None and grows:
                view.gaps[number] = ((start, start), alone)
            grows = grows or stop is None
    return views


class AgainstMinutes(TestCase):
    @settings(max_examples=examples(60))
    @given(
        views=st.lists(_views(), max_size=3).map(_one_growing),
        start=st.integers(0, END - 1),
        more=st.integers(1, END),
    )
    def test_every_minute_is_as_the_model_says(self, views: list[View], start: int, more: int) -> None:
        server = make_backup_server()
        for view in views:
            _make(view, server)
        end = min(start + more, END)
        expected = {n: _together([_state(view, n) for view in views]) for n in range(start, end)}

        found = completeness(server, _minute(start), _minute(end))

        said = dict.fromkeys(range(start, end), "ok")
        for interval in found.intervals:
            assert _minute(start) <= interval.from_at < interval.to_at <= _minute(end)
            for n in range(start, end):
                if interval.from_at <= _minute(n) < interval.to_at:
                    word = "lost" if interval.verdict == Verdict.INCOMPLETE else "waits"
                    assert said[n] in ("ok", word)
                    said[n] = word
        assert said == expected
        worst = next((w for w in ("lost", "waits") if w in expected.values()), "ok")
        assert found.verdict == {"lost": "incomplete", "waits": "not_yet_known", "ok": "complete"}[worst]
