"""What a PDF needs of a filter: a period with both ends."""

from __future__ import annotations

import dataclasses
from datetime import datetime

from restorereports.models import RestoreSessionScope, User


def bounded(scope: RestoreSessionScope, reader: User, *, as_of: datetime) -> RestoreSessionScope:
    """An open end closes now, an open start at the oldest restore session within the scope."""
    end = scope.end or as_of
    start = scope.start
    if start is None:
        oldest = scope.rows(reader).order_by("started_at", "id").values_list("started_at", flat=True)
        start = oldest.first() or end
    return dataclasses.replace(scope, start=min(start, end), end=end)
