"""A small EM of several pages, what it ever showed, the clock of both sides, and what people are told."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from restorereports.em import retries
from restorereports.emulator.clock import ManualClock
from restorereports.emulator.records import RestoreSessionRecord
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.mirror import sync as sync_module
from restorereports.models import EnterpriseManager, RestoreSession, RestoreSessionSource, User
from tests.expected import Row, row_of
from tests.factories import make_user

PAGE_SIZE = 50  # the pages of these tests; a world of SESSIONS has five of them
SESSIONS = 230
ROWS = "type=RestoreSession&format=Entities"  # what every question for a page of them holds
START = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


class Time:
    """One clock for the mirror and the stand-in EM; it stands still until a test turns it."""

    def __init__(self, traveller: Any, clock: ManualClock) -> None:
        self._traveller, self._clock, self.now = traveller, clock, START

    def go(self, length: timedelta) -> datetime:
        self.now += length
        self._traveller.move_to(self.now)
        self._clock.set(self.now)
        return self.now


class Shown:
    """Every restore session that EM ever showed while somebody looked, as it showed it last.

    What was seen finished stays so: the mirror does not follow an EM that goes back.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.records: dict[str, RestoreSessionRecord] = {}
        self.now: set[str] = set()

    def look(self) -> None:
        visible = self._world.visible_sessions()
        for record in visible:
            before = self.records.get(record.uid)
            if before is None or before.state != "Stopped" or record.state == "Stopped":
                self.records[record.uid] = record
        self.now = {record.uid for record in visible}

    def assert_mirrored(self, em: EnterpriseManager) -> None:
        """Row by row: each once, with EM's own values, its source beside it, marked where EM no longer has it."""
        self.look()
        found = [mirrored(row, em) for row in RestoreSession.objects.select_related("backup_server")]
        assert_same_rows(found, [row_of(record, em.name) for record in self.records.values()])
        sources = RestoreSessionSource.objects.filter(enterprise_manager=em).select_related("restore_session")
        assert sorted(source.uid for source in sources) == sorted(self.records)
        for source in sources:
            assert source.uid == source.restore_session.uid
            assert source.uid in source.payload
        gone = {source.uid for source in sources if source.missing_at is not None}
        assert gone == self.records.keys() - self.now


def mirrored(row: RestoreSession, em: EnterpriseManager) -> Row:
    """A row of the mirror as a row of the export."""
    return row_of(
        RestoreSessionRecord(
            uid=row.uid,
            name=row.name,
            vm_name=row.vm_name,
            job_type=row.job_type,
            state=row.state,
            result=row.result,
            progress=row.progress,
            created_at=row.started_at,
            created_text="",
            ended_at=row.ended_at,
            ended_text=None,
            backup_server_uid=row.backup_server.uid,
            backup_server_name=row.backup_server.name,
            restore_point_name=row.restore_point_name,
        ),
        em.name,
    )


def assert_same_rows(found: Iterable[Row], expected: Iterable[Row]) -> None:
    """The difference names the first rows that are missing, too many or of other values."""
    found, expected = list(found), list(expected)
    by_uid = {row["uid"]: row for row in found}
    assert len(by_uid) == len(found), "a restore session stands twice in the mirror"
    wanted = {row["uid"]: row for row in expected}
    lost, foreign = wanted.keys() - by_uid.keys(), by_uid.keys() - wanted.keys()
    assert not lost, f"{len(lost)} of {len(wanted)} are lost, the first: {wanted[min(lost)]}"
    assert not foreign, f"{len(foreign)} that EM never showed, the first: {by_uid[min(foreign)]}"
    wrong = [(by_uid[uid], row) for uid, row in wanted.items() if by_uid[uid] != row]
    assert not wrong, f"{len(wrong)} rows differ; found and expected of the first: {wrong[0]}"


def as_read(page: str) -> str:
    """What a person reads of an HTML page: one line of text."""
    body = re.sub(r"<(script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    text = html.unescape(re.sub(r"<[^>]+>", " ", body))
    text = re.sub("[\u200b\u2060\u2066-\u2069]", "", text)
    return re.sub(r"\s+([.,:;?])", r"\1", " ".join(text.split()))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def world(clock: ManualClock) -> World:
    """Five pages of all ages, collected at once, and nothing that happens by itself."""
    return World(sessions=SESSIONS, servers=3, vms=12, seed=11, now=clock, collect_interval=0)


@pytest.fixture
def shown(world: World) -> Shown:
    return Shown(world)


@pytest.fixture
def server(world: World) -> Iterator[StandInServer]:
    with StandInServer(world) as running:
        yield running


@pytest.fixture
def time(clock: ManualClock) -> Iterator[Time]:
    with time_machine.travel(START, tick=False) as traveller:
        yield Time(traveller, clock)


def make_em(server: StandInServer, name: str = "em-north", **fields: object) -> EnterpriseManager:
    trust = {"pin_sha256": server.fingerprint_sha256, "pinned_pem": server.certificate_pem}
    em = EnterpriseManager(**({"name": name, "url": server.url, "username": "mirror"} | trust | fields))
    em.set_password(str(fields.get("username", "mirror")), at=timezone.now())
    em.save()
    return em


@pytest.fixture
def em(db: None, time: Time, server: StandInServer) -> EnterpriseManager:
    return make_em(server)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_module, "PAGE_SIZE", PAGE_SIZE)


@pytest.fixture(autouse=True)
def collected_static_files(settings: Any) -> None:
    Path(settings.STATIC_ROOT).mkdir(exist_ok=True)


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the client waited before it asked again, without the waiting."""
    waited: list[float] = []
    monkeypatch.setattr(retries, "pause", lambda seconds, **_: waited.append(seconds))
    return waited


@pytest.fixture
def administrator(db: None, time: Time) -> Callable[[], Client]:
    """A browser that has just logged in, whatever time it is."""
    person = make_user(User.Role.ADMINISTRATOR)

    def logged_in() -> Client:
        client = Client()
        client.force_login(person)
        return client

    return logged_in


@pytest.fixture
def told(administrator: Callable[[], Client]) -> Callable[[EnterpriseManager], str]:
    """The text of the Enterprise Manager's page, the banner that every page bears included."""

    def read(em: EnterpriseManager) -> str:
        response = administrator().get(reverse("enterprisemanager-detail", args=[em.pk]))
        assert response.status_code == 200
        return as_read(response.content.decode())

    return read
