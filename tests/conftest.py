"""Every test runs in a VAR_DIR of its own and reaches nothing but 127.0.0.1."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ["VAR_DIR"] = tempfile.mkdtemp(prefix="restore-reports-tests-")
atexit.register(shutil.rmtree, os.environ["VAR_DIR"], ignore_errors=True)
os.environ.setdefault("SECRET_KEY", "a key for the tests alone, of sufficient length to satisfy the checks")
for name in (
    "CELERY_BROKER_URL",
    "EMAIL_URL",
    "CREDENTIALS_KEY",
    "TRUSTED_PROXY",
    "TIME_ZONE",
    "ALLOWED_HOSTS",
):
    os.environ.pop(name, None)


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
