"""What the handlers share: the state they work on, the form of a route, and the form of an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from restorereports.emulator.exchange import ApiError, Call, Document, Json, Reply
from restorereports.emulator.logons import Logons
from restorereports.emulator.switches import Switches
from restorereports.emulator.world import World

Handler = Callable[["Service", Call], Document | Reply]


@dataclass(slots=True)
class Service:
    """What the handlers work on."""

    world: World
    logons: Logons
    switches: Switches
    turn: int = 0
    tasks: list[str] = field(default_factory=list)  # server GUID of each request for collection

    def now(self) -> datetime:
        """The time by EM's own clock, which may differ from that of the backup servers (UTC)."""
        return self.world.now() + timedelta(seconds=self.switches.clock_offset_seconds)


@dataclass(slots=True, frozen=True)
class Route:
    """Who answers, and which right it takes (None: any role)."""

    handler: Handler
    right: str | None = None


def error_document(error: ApiError) -> Document:
    """The `Error` body; Status is in the schema, but real servers leave it out."""
    members: Json = {
        "FirstChanceExceptionMessage": error.message if error.status == 400 else None,
        "Message": error.message,
        "StackTrace": None,
        "Status": None,
        "StatusCode": error.status,
    }
    return Document("Error", members, status=error.status, headers=error.headers)
