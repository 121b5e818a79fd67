"""The run id in every log line: which sync, report or request a line belongs to.

Knows nothing but the standard library, so that every layer may use it.
"""

import contextlib
import logging
from collections.abc import Iterator
from contextvars import ContextVar

_run_id: ContextVar[str] = ContextVar("run_id", default="-")


@contextlib.contextmanager
def log_as(run_id: str) -> Iterator[None]:
    """Name the current run in every log line written inside the block."""
    token = _run_id.set(run_id)
    try:
        yield
    finally:
        _run_id.reset(token)


class RunIdFilter(logging.Filter):
    """Adds `run_id` to each record; control characters of foreign texts cannot forge a line."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.run_id = _run_id.get()
        text = record.getMessage()
        record.msg = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
        record.args = ()
        return True
