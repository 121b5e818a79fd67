"""A stand-in EM on a real TLS socket and the Enterprise Manager row that points at it."""

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone

from restorereports.emulator.server import StandInServer
from restorereports.emulator.world import World
from restorereports.models import EnterpriseManager


@pytest.fixture
def world() -> World:
    return World.empty(servers=2)


@pytest.fixture
def server(world: World) -> Iterator[StandInServer]:
    with StandInServer(world) as running:
        yield running


@pytest.fixture
def add_em(db: None) -> Callable[..., EnterpriseManager]:
    def add(server: StandInServer, name: str = "em-north", **fields: object) -> EnterpriseManager:
        trust = {"pin_sha256": server.fingerprint_sha256, "pinned_pem": server.certificate_pem}
        enterprise_manager = EnterpriseManager(
            **({"name": name, "url": server.url, "username": "mirror"} | trust | fields)
        )
        enterprise_manager.set_password("mirror", at=timezone.now())
        enterprise_manager.save()
        return enterprise_manager

    return add


@pytest.fixture
def em(server: StandInServer, add_em: Callable[..., EnterpriseManager]) -> EnterpriseManager:
    return add_em(server)
