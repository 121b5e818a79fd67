"""What somebody with the database does to a final report past the register: each column that says something is held."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from restorereports.audit.chain import GENESIS, TRAIL
from restorereports.models import AuditEntry, PolicyVersion, RegisterEntry, Report, User
from restorereports.reports.register import REGISTER
from tests.factories import make_policy, make_schedule, make_user
from tests.granted_world import TERMS

from .issued import final, sql, told
from .issued import written as written
from .population import JULY, make_population

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("written")]

CHANGED = {
    "scope": {**JULY.as_json(), "vm": "vm1"},
    "zone": "Europe/Berlin",
    "language": "de",
    "paper": "letter",
    "organisation": "Somebody Else Ltd",
    "classification": "public",
    "distribution": "nobody",
    "size": 7,
    "pages": 7,
    "rows": 7,
    "key_figures": {"success": 999},
    "as_of": datetime(2026, 8, 9, tzinfo=UTC),
    "finalised_at": datetime(2026, 8, 9, tzinfo=UTC),
    "audit_length": 7,
    "audit_hash": "7" * 64,
    "covers_everything": False,
    "file_name": "another.pdf",
}


@pytest.mark.parametrize("column", CHANGED)
def test_a_changed_column_of_a_final_report_is_found(column: str) -> None:
    make_population()
    report = final()
    assert told() == []

    Report.objects.filter(pk=report.pk).update(**{column: CHANGED[column]})

    assert any(what.startswith(f"{report}: its row and ") for what in told())


@pytest.mark.parametrize(
    "column", ["requested_by", "finalised_by", "schedule", "policy_version", "supersedes"]
)
def test_a_changed_reference_of_a_final_report_is_found(column: str) -> None:
    other = {
        "requested_by": lambda: make_user(User.Role.AUDITOR, everything=True),
        "finalised_by": lambda: make_user(User.Role.AUDITOR, everything=True),
        "schedule": make_schedule,
        "policy_version": lambda: make_policy(TERMS),
        "supersedes": final,
    }[column]()
    report = final()
    assert told() == []

    Report.objects.filter(pk=report.pk).update(**{column: other})

    assert any(what.startswith(f"{report}: its row and the register differ") for what in told())


@pytest.mark.parametrize(
    "terms",
    [lambda terms: terms | {"job_types": ["Another"]}, lambda _terms: {"nothing": "that can be read"}, None],
)
def test_terms_of_a_policy_that_were_changed_afterwards_are_found(terms: Any) -> None:
    version = make_policy(TERMS)
    report = final(policy_version=version)
    assert told() == []

    if terms is None:
        sql("UPDATE restorereports_policyversion SET terms_sha256=%s WHERE id=%s", "7" * 64, version.pk)
    else:
        changed = json.dumps(terms(version.terms))
        sql("UPDATE restorereports_policyversion SET terms=%s WHERE id=%s", changed, version.pk)

    assert told() == [f"{report}: the terms of {version} are not those that it was judged by"]


def test_a_person_and_a_schedule_may_be_renamed_without_a_fault() -> None:
    person = make_user(User.Role.AUDITOR, everything=True)
    asked, scheduled = final(requested_by=person), final(schedule=make_schedule())
    User.objects.filter(pk=person.pk).update(username="renamed", first_name="An", last_name="Other")
    type(scheduled.schedule).objects.update(name="renamed", organisation="renamed", language="de")

    assert told() == []
    assert asked.manifest["made_final_by"] != "renamed"


@pytest.mark.parametrize("removed", [1, 2, 3])
def test_a_removed_entry_is_named_wherever_it_stood(removed: int) -> None:
    reports = [final() for _ in range(3)]

    sql("DELETE FROM restorereports_registerentry WHERE number=%s", removed)

    found = told()
    chain = (
        "the tail is cut: 3 entries were written, 2 are here"
        if removed == 3
        else f"entry {removed} is missing"
    )
    assert found[0] == chain
    assert found[1].startswith(f"{reports[removed - 1]}: the register has no entry of its issue")
    assert len(found) == 2


def test_a_missing_seal_and_an_exchanged_one_are_named() -> None:
    final()
    final()
    seals = [entry.seal for entry in RegisterEntry.objects.order_by("number")]
    sql("UPDATE restorereports_registerentry SET seal=%s WHERE number=1", seals[1])
    assert told() == ["the seal of entry 1 was changed"]

    sql("UPDATE restorereports_registerentry SET seal='' WHERE number=1")
    assert told() == ["the seal of entry 1 was changed"]


def test_an_entry_that_was_hung_on_another_report_is_named() -> None:
    first, second = final(), final()

    sql("UPDATE restorereports_registerentry SET report_id=%s WHERE number=1", second.pk)

    found = told()
    assert "entry 1 was changed after it was written" in found
    assert any(what.startswith(f"{first}: the register has no entry") for what in found)
    assert f"{second}: the register issued it more than once" in found


def test_a_final_report_that_somebody_wrote_into_the_table_has_no_entry() -> None:
    report = final()
    copy = Report.objects.get(pk=report.pk)
    copy.pk = None
    copy.save()

    words = "the register has no entry of its issue: it was removed, or the report was never issued"
    assert f"{copy}: {words}" in told()


def test_the_same_value_under_the_same_key_is_hashed_and_sealed_as_ever(settings: Any) -> None:
    """By an own computation: what was written before both chains shared their code is still vouched for."""
    settings.AUDIT_KEY = "k" * 40
    at = datetime(2026, 3, 2, 1, 2, 3, 4, tzinfo=UTC)
    trail = AuditEntry(
        number=1, at=at, action="em_changed", via="web", details={"ä": [1, None]}, previous_hash=GENESIS
    )
    entry = RegisterEntry(number=1, at=at, kind="issued", report_id=5, facts={"ä": 1}, previous_hash=GENESIS)
    plain = {
        **dict.fromkeys(("person_id", "object_id", "enterprise_manager_id", "address")),
        "number": 1,
        "action": "em_changed",
        "via": "web",
        "details": {"ä": [1, None]},
        "person_name": "",
        "object_type": "",
        "object_name": "",
        "at": "2026-03-02T01:02:03.000004+00:00",
        "previous_hash": GENESIS,
    }
    plain["address"] = trail.address
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    trail.hash, entry.hash = TRAIL.hash_of(trail), REGISTER.hash_of(entry)

    assert trail.hash == hashlib.sha256(text.encode()).hexdigest()
    sealed = hmac.new(b"k" * 40, f"entry:{trail.hash}".encode(), hashlib.sha256).hexdigest()
    assert TRAIL.seal_of_entry(trail) == sealed
    assert REGISTER.seal_of_entry(RegisterEntry(hash=trail.hash)) != sealed
    assert REGISTER.is_unchanged(entry)
    entry.report_id = 6
    assert not REGISTER.is_unchanged(entry)


def test_the_terms_are_hashed_as_they_were_when_they_were_kept() -> None:
    version = make_policy(TERMS)

    assert final(policy_version=version).manifest["policy"]["terms_sha256"] == version.terms_sha256
    assert PolicyVersion.objects.get(pk=version.pk).terms == version.terms
