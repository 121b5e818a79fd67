"""What the tests of the stand-in share: a clock, worlds, servers on plain HTTP, and a client without opinions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from restorereports.emulator.clock import ManualClock
from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from tests.emulator.client import Caller

EPOCH = datetime(2031, 5, 6, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    """Noon of the day that begins with the epoch."""
    return ManualClock(datetime(2031, 5, 6, 12, 0, tzinfo=UTC))


@pytest.fixture
def world(clock: ManualClock) -> World:
    """One backup server, nothing restored yet; what is added is seen at once."""
    return World.empty(now=clock)


@pytest.fixture
def serve() -> Iterator[Callable[..., StandInServer]]:
    """Starts servers on plain HTTP, and stops them."""
    started: list[StandInServer] = []

    def start(world: World, **options: Any) -> StandInServer:
        server = StandInServer(world, **{"tls": False, **options}).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def server(world: World, serve: Callable[..., StandInServer]) -> StandInServer:
    """Serves the empty world."""
    return serve(world)


@pytest.fixture
def caller() -> Iterator[Callable[..., Caller]]:
    """Callers of servers, logged on as mirror unless told otherwise (`name=None`: not at all)."""
    made: list[Caller] = []

    def make(server: StandInServer, name: str | None = "mirror", password: str | None = None) -> Caller:
        found = Caller(server.url)
        made.append(found)
        if name is not None:
            found.log_on(name, password or name)
        return found

    yield make
    for found in made:
        found.close()


@pytest.fixture
def em(server: StandInServer, caller: Callable[..., Caller]) -> Caller:
    """Logged on to the server of the empty world."""
    return caller(server)


@pytest.fixture(scope="session")
def history() -> World:
    """A drawn history of 1,200 rows; nobody may change it."""
    return World(
        sessions=1200,
        servers=4,
        epoch=EPOCH,
        now=ManualClock(datetime(2031, 5, 6, 12, 0, tzinfo=UTC)),
        collect_interval=0,
    )


@pytest.fixture(scope="session")
def history_server(history: World) -> Iterator[StandInServer]:
    with StandInServer(history, tls=False) as server:
        yield server


@pytest.fixture
def em_with_history(history_server: StandInServer, caller: Callable[..., Caller]) -> Caller:
    """Logged on to a server with a drawn history."""
    return caller(history_server)
