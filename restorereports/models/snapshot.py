"""One frozen view of the database for a report or an export (evidence rule 1)."""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction


@contextlib.contextmanager
def snapshot() -> Iterator[None]:
    """Read-only and repeatable: every query inside sees the same rows, no writer is kept waiting.

    On SQLite a deferred transaction (the configured immediate one would lock every writer out), on
    PostgreSQL REPEATABLE READ READ ONLY. Must be the outermost transaction.
    """
    if connection.vendor == "postgresql":
        with transaction.atomic(durable=not connection.in_atomic_block):
            if len(connection.atomic_blocks) == 1:
                connection.cursor().execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        return
    sqlite: Any = connection
    sqlite.ensure_connection()  # before that it does not know its own mode
    configured, sqlite.transaction_mode = sqlite.transaction_mode, "DEFERRED"
    try:
        with transaction.atomic():
            yield
    finally:
        sqlite.transaction_mode = configured
