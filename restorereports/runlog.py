"""What every log line gets: the id of its run, and no address that still opens something.

Knows nothing but the standard library, so that every layer may use it.
"""

import contextlib
import logging
import re
from collections.abc import Iterator
from contextvars import ContextVar

# The pages whose address is a secret (web/urls.py); Django logs the address of a page that fails or is not found.
_SECRET = re.compile(r"(/link/\d+/|/welcome/)(?!<)[^/\s\"'<>]+")
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
    """Adds `run_id` to each record; control characters cannot forge a line, and one-time links become routes."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.run_id = _run_id.get()
        text = without_secrets(record.getMessage())
        record.msg = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)
        record.args = ()
        if record.exc_info:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = without_secrets(record.exc_text) if record.exc_text else None
        return True


def without_secrets(text: str) -> str:
    """The text with the route in place of the token of a one-time link."""
    return _SECRET.sub(r"\1<token>", text)
