"""Log lines bear the id of their run and cannot be forged."""

import logging

from restorereports.runlog import RunIdFilter, log_as


def line(text: str, *args: object) -> str:
    record = logging.LogRecord("x", logging.INFO, "x", 1, text, args, None)
    RunIdFilter().filter(record)
    return f"{record.run_id} {record.getMessage()}"


def test_a_line_names_its_run() -> None:
    with log_as("sync-7"):
        inside = line("seen %d", 3)

    assert inside == "sync-7 seen 3"
    assert line("after") == "- after"


def test_a_foreign_name_cannot_forge_a_line() -> None:
    assert line("VM %s", "a\n2026 INFO forged\x1b[31m") == "- VM a\\u000a2026 INFO forged\\u001b[31m"
