"""Every test reaches nothing but 127.0.0.1; the randomised ones are ten times as many with SOAK=1."""

import os
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings

from tests.sizes import examples

hypothesis_settings.register_profile("sized", deadline=None, max_examples=examples(100))
hypothesis_settings.load_profile("sized")


@pytest.hookimpl(trylast=True)
def pytest_runtest_setup() -> None:
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """On SQLite the test database is a file, as in real use: threads and processes share it."""
    from django.db import connections

    connection = connections["default"]
    if connection.vendor == "sqlite":
        worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        connection.settings_dict["TEST"]["NAME"] = str(Path(os.environ["VAR_DIR"]) / f"test-{worker}.sqlite3")


@pytest.fixture(autouse=True)
def _plain_static_files(settings) -> None:  # type: ignore[no-untyped-def]
    """Tests of single pages need no collected static files; the browser tests collect them."""
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
