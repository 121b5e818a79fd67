"""A CSV on its way to the browser, on record: what was asked for before the first byte, what was sent after the last."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase, StreamingHttpResponse

from restorereports.audit import Action, record
from restorereports.sign_in.actor import actor_of

from .access import PersonRequest

BLOCK: Final = 200  # lines handed over at once


def export(
    request: PersonRequest, lines: Iterator[str], *, file_name: str, what: Mapping[str, Any]
) -> HttpResponseBase:
    """Stream these lines, header first, as an attachment. `what` says in the trail which rows were asked for."""
    headers = {"Content-Disposition": f'attachment; filename="{file_name}"'}
    kind = "text/csv; charset=utf-8"
    if request.method == "HEAD":  # nothing leaves
        return HttpResponse(content_type=kind, headers=headers)
    begun = record(Action.EXPORT_BEGUN, actor_of(request), name=file_name, details=what)
    sent = _Sent(request, lines, file_name=file_name, begun=begun.number)
    return StreamingHttpResponse(sent, content_type=kind, headers=headers)


class _Sent:
    """Blocks of lines, counted and hashed as they leave. Its end is recorded once, also when the browser goes away.

    Blocks count once the server has taken them: what is said of a complete export is said of exactly its bytes.
    """

    def __init__(self, request: PersonRequest, lines: Iterator[str], *, file_name: str, begun: int) -> None:
        self._actor = actor_of(request)
        self._lines = lines
        self._file_name = file_name
        self._begun = begun
        self._sha256 = hashlib.sha256()
        self._lines_sent = 0
        self._is_over = False

    def __iter__(self) -> Iterator[bytes]:
        while batch := list(islice(self._lines, BLOCK)):
            block = "".join(batch).encode()
            yield block
            self._sha256.update(block)
            self._lines_sent += len(batch)
        self._end(complete=True)

    def close(self) -> None:
        """Called by the web server in any case, at the latest when the browser has gone."""
        if close := getattr(self._lines, "close", None):
            close()  # a frozen view ends before anything is recorded
        self._end(complete=False)

    def _end(self, *, complete: bool) -> None:
        if self._is_over:
            return
        self._is_over = True
        facts = {
            "begun_as": self._begun,
            "rows": max(self._lines_sent - 1, 0),  # the header is no row
            "sha256": self._sha256.hexdigest(),
            "complete": complete,
        }
        record(Action.EXPORT_ENDED, self._actor, name=self._file_name, details=facts)
