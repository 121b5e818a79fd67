"""Log lines bear the id of their run and cannot be forged."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as installation
from django.test import Client

from restorereports.audit import COMMAND_LINE
from restorereports.runlog import RunIdFilter, log_as
from restorereports.sign_in.links import make_link
from restorereports.web.first_run import first_administrator_path
from tests.factories import make_user


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


@pytest.fixture
def written(settings: Any) -> Iterator[io.StringIO]:
    """What the handler of the settings writes, with its filter and format."""
    settings.WHITENOISE_AUTOREFRESH = True  # no collected static files
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RunIdFilter())
    handler.setFormatter(logging.Formatter(installation.LOGGING["formatters"]["line"]["format"]))
    logging.getLogger().addHandler(handler)
    yield stream
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("broken", ["one_time_link.person_of", "account.is_open"])
def test_a_page_that_fails_does_not_write_its_one_time_link(
    db: None, written: io.StringIO, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    link = broken.startswith("one_time_link")
    path = make_link(make_user(), actor=COMMAND_LINE) if link else first_administrator_path()
    token = path.rstrip("/").rpartition("/")[2]

    def fail(*_args: Any) -> None:
        raise RuntimeError(f"the database went away during {path}")

    monkeypatch.setattr(f"restorereports.web.views.{broken}", fail)
    answer = Client(raise_request_exception=False).get(path)

    lines = written.getvalue()
    assert answer.status_code == 500
    assert f"Internal Server Error: {path.replace(token, '<token>')}" in lines
    assert f"went away during {path.replace(token, '<token>')}" in lines
    assert token not in lines


def test_a_one_time_link_that_opens_nothing_is_not_written_either(db: None, written: io.StringIO) -> None:
    for path in ("/link/7/c1-secret/", "/welcome/secret:x:y/", "/welcome/secret/more/"):
        assert Client().get(path).status_code == 404

    assert written.getvalue().count("Not Found: ") == 3
    assert "secret" not in written.getvalue()


def test_other_addresses_are_written_as_they_are() -> None:
    assert line("Not Found: %s", "/reports/7/") == "- Not Found: /reports/7/"
    assert line("%s", "/link/<int:pk>/<str:token>/") == "- /link/<int:pk>/<str:token>/"
