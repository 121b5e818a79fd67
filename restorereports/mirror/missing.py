"""Which restore sessions Enterprise Manager no longer shows, found by a full run without writing what it did show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from restorereports.models import Outcome, RestoreSession, RestoreSessionSource, SyncRun
from restorereports.models.restore_session import FINAL_STATE

from .lock import still_ours

CHUNK = 2000


class Seen:
    """Ids of sources that came in this run, a bit each: a million cost 125 KB."""

    def __init__(self) -> None:
        self._bits = bytearray()
        self.count = 0

    def add(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            byte, bit = divmod(id_, 8)
            if byte >= len(self._bits):
                self._bits.extend(bytes(byte + 4096 - len(self._bits)))
            self.count += not self._bits[byte] >> bit & 1
            self._bits[byte] |= 1 << bit

    def __contains__(self, id_: int) -> bool:
        byte, bit = divmod(id_, 8)
        return byte < len(self._bits) and bool(self._bits[byte] >> bit & 1)


def not_seen(run: SyncRun, seen: Seen) -> Iterator[list[RestoreSessionSource]]:
    """Sources that EM showed until now and not in this run, in chunks, with their restore session's start."""
    shown = RestoreSessionSource.objects.filter(enterprise_manager=run.enterprise_manager_id, missing_at=None)
    last = 0
    while ids := list(shown.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:CHUNK]):
        last = ids[-1]
        if gone := [id_ for id_ in ids if id_ not in seen]:
            sources = RestoreSessionSource.objects.filter(pk__in=gone).select_related("restore_session")
            yield list(sources.defer("payload_zlib", "payload_digest").order_by("pk"))


def mark_missing(run: SyncRun, sources: list[RestoreSessionSource], *, at: datetime) -> None:
    """EM no longer knows these; a restore session that nobody shows and that never ended has an unknown end."""
    ids = [source.pk for source in sources]
    sessions = sorted({source.restore_session_id for source in sources})
    with transaction.atomic():
        list(  # held in one order: two workers over one backup server cannot deadlock
            RestoreSession.objects.select_for_update()
            .filter(pk__in=sessions)
            .order_by("pk")
            .values_list("pk", flat=True)
        )
        RestoreSessionSource.objects.filter(pk__in=ids).update(missing_at=at, missing_run=run)
        shown = RestoreSessionSource.objects.filter(restore_session=OuterRef("pk"), missing_at=None)
        RestoreSession.objects.filter(~Exists(shown), pk__in=sessions).exclude(state=FINAL_STATE).update(
            outcome=Outcome.UNKNOWN, changed_at=timezone.now()
        )
        still_ours(run, missing=run.missing + len(ids))
    run.missing += len(ids)
