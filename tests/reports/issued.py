"""Reports asked for, rendered and made final in tests, without the layout, which is tested elsewhere."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import IO, Any

import pytest
from django.db import connection

from restorereports import audit
from restorereports.models import Report, User
from restorereports.reports import document, pdf
from restorereports.reports.issuing import make_final
from restorereports.reports.pdf_attachments import Attached
from restorereports.reports.render import render_report
from restorereports.reports.request import request_report
from restorereports.reports.verification import verify

from .population import AS_OF, JULY

LATER = AS_OF + timedelta(hours=1)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was written: a stand-in for the document, and its files as they lie in a PDF."""
    found: list[str] = []

    def write(html: str, into: IO[bytes], *, identifier: str, attached: Any = (), **_options: object) -> int:
        found.append(html)
        into.write(b"%PDF-1.7\n" + identifier.encode())
        one: Attached
        for one in attached:
            into.write(b"\nstream\n" + one.path.read_bytes() + b"\nendstream\n")
        return 9

    monkeypatch.setattr(pdf, "write", write)
    monkeypatch.setattr(document, "html", lambda report, *_a, **_k: f"{report} {report.stage}")
    return found


def ask(**values: Any) -> Report:
    asked = {"scope": JULY, "zone": "UTC", "organisation": "", "requested_by": None, "at": AS_OF} | values
    return request_report(**asked)


def made(at: datetime = AS_OF, **values: Any) -> Report:
    report = ask(**values)
    render_report(report.pk, as_of=at)
    report.refresh_from_db()
    assert report.status == Report.Status.READY, report.error
    return report


def final(**values: Any) -> Report:
    return made(stage=Report.Stage.FINAL, **values)


def finalise(report: Report, person: User, at: datetime = LATER) -> Report:
    make_final(report, person, audit.Actor(person=person, via=audit.Via.WEB, address="127.0.0.1"))
    render_report(report.pk, as_of=at)
    report.refresh_from_db()
    return report


def told() -> list[str]:
    found = verify()
    chain = [fault.what for fault in found.chain]
    assert found.total == len(chain) + len(found.found)
    return chain + [f"{one.report}: {one.what}" for one in found.found]


def sql(statement: str, *values: object) -> None:
    """What somebody with the database does, past the program."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
