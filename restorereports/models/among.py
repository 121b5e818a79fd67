"""Many ids as one parameter of a query: no limit on their number, and one text of SQL for all of them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from django.db import connection
from django.db.models.expressions import RawSQL


def among(ids: Iterable[int]) -> RawSQL:
    """For `…__in=among(ids)`."""
    wanted = sorted(set(ids))
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", (wanted,))
    return RawSQL("SELECT value FROM json_each(%s)", (json.dumps(wanted),))
