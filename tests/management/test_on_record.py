"""What commands leave in the audit trail."""

from __future__ import annotations

import hashlib
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from restorereports.audit import faults
from restorereports.management.commands import restore
from restorereports.models import AuditEntry, EnterpriseManager
from tests.factories import make_enterprise_manager, make_restore_session

pytestmark = pytest.mark.django_db


def only(action: str) -> AuditEntry:
    found = AuditEntry.objects.get(action=action)
    assert (found.via, found.person) == ("command", None)
    return found


def test_an_enterprise_manager_that_is_added(monkeypatch) -> None:
    monkeypatch.setenv("PASSWORD", "a very secret one")

    call_command(
        *("add_em", "em-prod", "em.example.test", "--username", "svc", "--password-env", "PASSWORD"),
        stdout=StringIO(),
    )

    entry = only("em_added")
    assert entry.enterprise_manager == EnterpriseManager.objects.get()
    assert entry.details["url"] == "https://em.example.test:9398"
    assert "password" not in entry.details
    assert "a very secret one" not in str(entry.details)


def test_a_sync_that_is_asked_for() -> None:
    em = make_enterprise_manager(url="https://127.0.0.1:9")

    with pytest.raises(SystemExit):
        call_command("sync", em.name, "--full", stdout=StringIO())

    assert (only("em_sync_requested").object_id, only("em_sync_requested").details) == (em.pk, {"full": True})


def test_passwords_under_a_new_key() -> None:
    make_enterprise_manager()

    call_command("rotate_credentials", stdout=StringIO())

    assert only("keys_rotated").details == {"passwords": 1}


def test_an_export_with_its_hash(transactional_db, tmp_path) -> None:
    make_restore_session(vm_name="a\nb")
    path = tmp_path / "out.csv"

    call_command("export_sessions", "-o", str(path), "--vm-contains", "a", stderr=StringIO())

    begun, ended = only("export_begun"), only("export_ended")
    assert (begun.object_name, begun.details["filter"]) == ("out.csv", {"vm": "a"})
    assert ended.details == {
        "begun_as": begun.number,
        "rows": 1,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "complete": True,
    }
    assert faults() == ()


def test_an_export_that_cannot_be_written(transactional_db, tmp_path) -> None:
    with pytest.raises(CommandError):
        call_command("export_sessions", "-o", str(tmp_path / "missing" / "out.csv"), stderr=StringIO())

    assert only("export_ended").details["complete"] is False


def test_a_restored_trail_names_the_one_before(monkeypatch) -> None:
    from datetime import UTC, datetime

    from restorereports.management.archive import Manifest

    call_command("rotate_credentials", stdout=StringIO())
    before = restore._trail_before()
    made_at = datetime(2026, 11, 23, 12, tzinfo=UTC)

    restore._record(Manifest(made_at, "1.0.0", "sqlite", (), {}), Path("b.tar").name, before)

    entry = only("restored")
    assert entry.details == {
        "made_at": made_at.isoformat(),
        "version": "1.0.0",
        "trail_before": {"length": 1, "hash": AuditEntry.objects.get(number=1).hash},
    }
