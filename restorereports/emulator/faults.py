"""Faults to order: each is armed for certain requests, fires so often, and is gone.

A fault is chosen by a part of the request's target (path and query, any case), optionally by method, skips
the first `nth - 1` requests that fit, and fires for the next `count` (None: for ever). Several may fire at once.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypedDict, Unpack

from restorereports.emulator.exchange import ApiError, Reply, Request
from restorereports.emulator.service import error_document
from restorereports.emulator.switches import Switches
from restorereports.emulator.wire import write_reply

_HTML = b"<!DOCTYPE html><html><head><title>Service</title></head><body><h1>Please wait</h1></body></html>"
_PAGES_COUNT = re.compile(rb'(pagescount"?[=:]"?)\d+', re.IGNORECASE)

_ROW = re.compile(rb"<(RestoreSession|VmRestorePoint|RestorePoint|BackupServer|Ref)[ >].*?</\1>", re.DOTALL)


class When(TypedDict, total=False):
    """Which requests a fault strikes; see the module."""

    path: str
    method: str | None
    nth: int
    count: int | None


@dataclass(slots=True)
class Fault:
    """One armed fault: something to do before answering, an answer instead, or a change of the answer."""

    name: str
    path: str = ""
    method: str | None = None
    nth: int = 1
    count: int | None = 1
    before: Callable[[], object] | None = None
    instead: Callable[[Request], Reply] | None = None
    after: Callable[[Reply], object] | None = None
    seen: int = 0
    fired: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether it fires for this request; counts."""
        if self.path.lower() not in request.target.lower():
            return False
        if self.method is not None and self.method != request.method:
            return False
        self.seen += 1
        if self.seen < self.nth or (self.count is not None and self.fired >= self.count):
            return False
        self.fired += 1
        return True


class Faults:
    """The armed faults of one server."""

    def __init__(self, *, drop_logons: Callable[[], None], switches: Switches) -> None:
        self._drop_logons = drop_logons
        self._switches = switches
        self._armed: list[Fault] = []
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Disarm everything."""
        with self._lock:
            self._armed.clear()

    def striking(self, request: Request) -> list[Fault]:
        """The faults that fire for a request."""
        with self._lock:
            return [fault for fault in self._armed if fault.strikes(request)]

    def drop_logon_sessions(self, **when: Unpack[When]) -> Fault:
        """All logon sessions die before the request is answered: 401 in the middle of a run."""
        return self._arm(Fault("drop logon sessions", **when, before=self._drop_logons))

    def call(self, callback: Callable[[], object], **when: Unpack[When]) -> Fault:
        """Run a function before answering, for instance to insert or delete rows between two pages."""
        return self._arm(Fault("call", **when, before=callback))

    def answer(
        self,
        status: int = 503,
        *,
        body: Literal["error", "empty", "html"] = "error",
        retry_after: int | None = None,
        message: str = "The service is not available.",
        **when: Unpack[When],
    ) -> Fault:
        """Answer with a status: with an Error body, with nothing, or with a proxy's HTML."""
        return self._arm(
            Fault(
                "answer",
                **when,
                instead=lambda request: self._refusal(request, status, body, retry_after, message),
            )
        )

    def html(self, status: int = 200, **when: Unpack[When]) -> Fault:
        """Answer with an HTML page, as a proxy or a half-started service does."""
        return self.answer(status, body="html", **when)

    def error_with_200(self, message: str = "Something failed.", **when: Unpack[When]) -> Fault:
        """Status 200, but the body is an Error."""

        def instead(request: Request) -> Reply:
            reply = self._refusal(request, 500, "error", None, message)
            reply.status = 200
            return reply

        return self._arm(Fault("error with 200", **when, instead=instead))

    def truncate(self, keep: float = 0.5, **when: Unpack[When]) -> Fault:
        """Promise the whole body, send a part of it and close the connection."""

        def cut(reply: Reply) -> None:
            reply.promised_length = len(reply.body)
            reply.body = reply.body[: int(len(reply.body) * keep)]

        return self._arm(Fault("truncate", **when, after=cut))

    def garble(self, **when: Unpack[When]) -> Fault:
        """A body of the right length that is neither XML nor JSON any more."""

        def spoil(reply: Reply) -> None:
            middle = len(reply.body) // 2
            reply.body = reply.body[:middle] + b'<&"{' + reply.body[middle + 4 :]

        return self._arm(Fault("garble", **when, after=spoil))

    def slow(self, seconds: float = 1.0, **when: Unpack[When]) -> Fault:
        """Spread the body over so many seconds; the head comes at once."""
        return self._arm(Fault("slow", **when, after=lambda reply: setattr(reply, "seconds", seconds)))

    def reset(self, **when: Unpack[When]) -> Fault:
        """Break the connection instead of answering."""
        return self._arm(Fault("reset", **when, after=lambda reply: setattr(reply, "reset", True)))

    def pages_count(self, value: int, **when: Unpack[When]) -> Fault:
        """Lie about the number of pages."""

        def lie(reply: Reply) -> None:
            reply.body = _PAGES_COUNT.sub(rb"\g<1>%d" % value, reply.body)

        return self._arm(Fault("pages count", **when, after=lie))

    def repeat_rows(self, rows: int = 1, **when: Unpack[When]) -> Fault:
        """The first rows of an answer (XML) come a second time, right behind themselves."""

        def repeat(reply: Reply) -> None:
            found = [match.end() for match in islice(_ROW.finditer(reply.body), rows)]
            first = _ROW.search(reply.body)
            if first is not None:
                reply.body = reply.body[: found[-1]] + reply.body[first.start() :]

        return self._arm(Fault("repeat rows", **when, after=repeat))

    def bom(self, **when: Unpack[When]) -> Fault:
        """Put a byte order mark before the body."""

        def mark(reply: Reply) -> None:
            reply.body = b"\xef\xbb\xbf" + reply.body

        return self._arm(Fault("byte order mark", **when, after=mark))

    def body(self, content: bytes, *, content_type: str = "application/xml", **when: Unpack[When]) -> Fault:
        """Answer 200 with exactly this body."""
        return self._arm(
            Fault("body", **when, instead=lambda _: Reply(200, content, {"Content-Type": content_type}))
        )

    def _arm(self, fault: Fault) -> Fault:
        with self._lock:
            self._armed.append(fault)
        return fault

    def _refusal(
        self, request: Request, status: int, body: str, retry_after: int | None, message: str
    ) -> Reply:
        if body == "error":
            document = error_document(ApiError(status, message))
            reply = write_reply(document, as_json=request.wants_json, switches=self._switches, turn=0)
        elif body == "html":
            reply = Reply(status, _HTML, {"Content-Type": "text/html; charset=utf-8"})
        else:
            reply = Reply(status)
        if retry_after is not None:
            reply.headers["Retry-After"] = str(retry_after)
        return reply
