"""What differs between EM's words before and now, and its record. Knows the raw XML and the columns."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from restorereports.em.entities import RestoreSessionEntity, read_restore_session
from restorereports.em.failures import EnterpriseManagerError
from restorereports.em.markup import parse_xml, without_hosts
from restorereports.models import RestoreSession, RestoreSessionChange, RestoreSessionSource, SyncRun

from .columns import DERIVED, fields_of

Words = Mapping[str, list[Any]]  # column -> [before, after]
_PROGRESS = re.compile(rb"<Progress>[^<]*</Progress>")


class Difference:
    """A known restore session as one Enterprise Manager worded it before and words it now."""

    def __init__(self, source: RestoreSessionSource, entity: RestoreSessionEntity, *, before: bytes) -> None:
        self.source = source
        self.entity = entity
        self.before = before

    @property
    def is_none(self) -> bool:
        """The same words, and it was not gone meanwhile: only an older rule made another digest of them."""
        return without_hosts(self.before) == self.entity.digest_basis and not self.source.missing_at

    @property
    def is_worth_a_record(self) -> bool:
        """More than a tick of the progress: polling must not grow the record."""
        if self.source.missing_at:
            return True
        return _PROGRESS.sub(b"", without_hosts(self.before)) != _PROGRESS.sub(b"", self.entity.digest_basis)

    def words(self) -> Words:
        """The columns that this Enterprise Manager changed; a return after it was gone counts as one."""
        words: dict[str, list[Any]] = {}
        if self.source.missing_at:
            words["missing_at"] = [self.source.missing_at, None]
        try:
            earlier = fields_of(read_restore_session(parse_xml(self.before)))
        except EnterpriseManagerError:
            return (
                words  # an older release kept what today's reading refuses; the record holds the XML itself
            )
        now = fields_of(self.entity)
        return words | {
            name: [earlier[name], value]
            for name, value in now.items()
            if name not in DERIVED and earlier[name] != value
        }


def record_change(
    run: SyncRun, session: RestoreSession, fields: Words, kept: Words, *, replaced: bytes, at: datetime
) -> None:
    """Append to the history of this restore session; `replaced` is EM's XML before (empty at first sight)."""
    RestoreSessionChange.objects.create(
        restore_session=session,
        enterprise_manager=run.enterprise_manager,
        run=run,
        at=at,
        fields=_plain(fields),
        kept=_plain(kept),
        payload_zlib=zlib.compress(replaced),
    )


def _plain(words: Words) -> dict[str, list[Any]]:
    return {
        name: [value.isoformat() if isinstance(value, datetime) else value for value in pair]
        for name, pair in words.items()
    }
