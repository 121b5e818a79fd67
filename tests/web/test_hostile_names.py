"""Names that attack whoever shows them: harmless on every page, in every export, mail, PDF and log line.

One name is given to everything that can bear one, and the table of all addresses says which pages there are.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import re
import unicodedata
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models import F, Value
from django.db.models.fields import TextField
from django.db.models.functions import Cast, Concat
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from lxml import html as lxml_html
from pypdf import PdfReader

from restorereports import audit
from restorereports.models import (
    BackupServer,
    BackupServerSource,
    ClassChange,
    ClassRules,
    EnterpriseManager,
    Exemption,
    GapNote,
    GroupRule,
    Policy,
    ReportSchedule,
    RestoreSession,
    RestoreSessionNote,
    RestoreSessionScope,
    User,
    VirtualMachine,
)
from restorereports.models.virtual_machine import name_key
from restorereports.policies.class_rules import ClassRule, plain_rules
from restorereports.policies.terms import Machine, Rule, Terms, Tier
from restorereports.reports.files import path_of
from restorereports.reports.frozen import sha256_of
from restorereports.reports.mail import message_of
from restorereports.reports.register import Kind, enter
from restorereports.reports.render import render_report
from restorereports.reports.request import request_report
from tests.factories import make_policy

from .test_matrix import API, TABLE, Case, Furnished, _ask, _furnished

pytestmark = pytest.mark.django_db

NAMES = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(2)>\"'",
    "template": "{{ 7|add:'7' }}{% debug %}${7*7}",
    "formula": "=cmd|' /C calc'!A1",
    "right to left": "payroll\u202egpj.exe\u2066",
    "long": "x" * 1000,
    "emoji": "\U0001f9ea\U0001f468\u200d\U0001f469\u200d\U0001f467 db",
    "lines": "first\r\n2026-01-01 00:00:00 ERROR forged",
}
# What a reader of the page must not be exposed to: marks that turn the text that follows round.
TURNING = "\u202a\u202b\u202d\u202e\u2066\u2067\u2068"


def _numbered(name: str, room: int) -> Any:
    """The name cut to the column's room, with the row's number behind it where it must be unique."""
    return Concat(Value(name[: room - 6]), Cast(F("pk"), TextField()))


@pytest.fixture(params=NAMES.values(), ids=NAMES.keys())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def furnished(name: str) -> Furnished:
    """Everything bears the name."""
    found = _furnished(User.Role.ADMINISTRATOR, everything=True)
    EnterpriseManager.objects.update(name=_numbered(name, 100))
    BackupServer.objects.update(name=name, description=name)
    BackupServerSource.objects.update(name=name, description=name)
    VirtualMachine.objects.update(name=name, name_key=_numbered(name_key(name)[:40], 64))
    words = {"vm_name": name, "name": name, "failure_message": name, "restore_point_name": name}
    RestoreSession.objects.update(**words, job_type=name[:255], restored_object_ref=name)
    ReportSchedule.objects.update(name=_numbered(name, 100), organisation=name[:200])
    GroupRule.objects.update(group=_numbered(name, 255))
    User.objects.update(username=_numbered(name, 150), first_name=name[:150])
    GapNote.objects.create(gap=found.own.gap, author=found.own.person, at=timezone.now(), text=name)
    _speak_of_policies(found, name)
    found.own.report.organisation = name[:200]
    found.own.report.sha256 = sha256_of(path_of(found.own.report))
    found.own.report.save()
    for kind in (Kind.ISSUED, Kind.HELD):
        enter(kind, found.own.report, {"by": name, "reason": name}, at=timezone.now())
    actor = audit.Actor(person=User.objects.get(pk=found.own.person.pk), via=audit.Via.WEB)
    em = EnterpriseManager.objects.get(pk=found.own.em.pk)
    audit.record(audit.Action.EM_CHANGED, actor, of=em, details={"name": [name, name]})
    found.person = User.objects.get(pk=found.person.pk)
    return found


def _speak_of_policies(found: Furnished, name: str) -> None:
    """Tiers, rules, machines, controls, reasons, notes and the rules for classes bear it as well."""
    now, person = timezone.now(), found.own.person
    tier = Tier(name=name[:60], window_days=30, target=90, rules=(Rule(name=name[:200], label=name[:200]),))
    terms = Terms(
        tiers=(tier,),
        other_tier=tier.name,
        exclude=(Rule(backup_server=name[:200]),),
        machines=(Machine(name=name, owner=name[:200], label=name[:100]), Machine(name=f"{name} unseen")),
        job_types=("RestoreVm", name[:255]),
        controls=(name,),
    )
    make_policy(terms, policy=found.policy.policy, note=name, made_by=person)
    Policy.objects.update(name=_numbered(name, 100))
    Exemption.objects.update(reason=name, approver=name[:150])
    for row in (found.own.row, found.foreign.row):
        RestoreSessionNote.objects.create(restore_session=row, author=person, at=now, text=name)
        ClassChange.objects.create(restore_session=row, after="test", reason=name, at=now, by=person)
    rule = ClassRule(session_class="test", name=name[:200], backup_server=name[:200])
    ClassRules.objects.create(number=2, rules=plain_rules((rule,)), note=name, made_at=now, made_by=person)


def test_a_file_that_is_recognised_is_told_as_text(furnished: Furnished, name: str, client: Client) -> None:
    client.force_login(furnished.person)
    content = path_of(furnished.own.report).read_bytes()

    answer = client.post(
        reverse("evidence-verify"), {"file": SimpleUploadedFile(f"{name[:100]}.pdf", content)}
    ).content.decode()

    assert f"Match: {furnished.own.report}" in answer
    assert _words_of(name[:190]) in answer
    assert _dangers(answer) == []


def test_every_page_shows_it_as_text(
    furnished: Furnished, name: str, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.force_login(furnished.person)
    caplog.set_level(logging.DEBUG)
    wrong = []
    bearing = 0

    for page, address in TABLE.items():
        if (
            address.method == "post"
            or page in ("metrics", "report-file", "policy-machines")
            or page.endswith("-csv")
        ):
            continue
        for query in address.queries[:1]:
            case = Case(page, address.own(furnished), query, frozenset())
            status, answer = _ask(client, case, address)
            if status >= 500:
                wrong.append(f"{page}: {status}")
            bearing += _words_of(name) in answer
            wrong += [f"{page}: {why}" for why in _dangers(answer)]

    assert wrong == []
    assert bearing >= 10
    assert not any(
        "\n" in record.getMessage() and "forged" in record.getMessage() for record in caplog.records
    )


def _words_of(name: str) -> str:
    """The longest piece of the name that is written alike everywhere."""
    return max(re.findall("[a-z0-9]+", name, re.IGNORECASE), key=len)


def _dangers(answer: str) -> list[str]:
    _headers, _line, page = answer.partition("\n\n") if "\n\n" in answer[:2000] else ("", "", answer)
    # what is edited, or sent back, is as it is; a field isolates it
    page = re.sub(r'value="[^"]*"', "", page)
    page = re.sub(r"(<textarea[^>]*>)[^<]*(</textarea>)", r"\1\2", page)
    found = [f"turns text round with U+{ord(sign):04X}" for sign in TURNING if sign in page]
    if "<html" not in page:
        return found
    document = lxml_html.fromstring(page[page.index("<html") :])
    found += ["runs a script of the name" for one in document.iter("script") if "src" not in one.attrib]
    found += ["has an element of the name" for _one in document.xpath("//img[@onerror] | //*[@onload]")]
    found += ["has an inline style" for _one in document.xpath("//*[@style]")]
    return found + (["ran a template of the name"] if "}}14" in page or "77{% " in page else [])


def test_csv_files_hold_it_in_one_harmless_cell(furnished: Furnished, name: str, client: Client) -> None:
    client.force_login(furnished.person)

    for page in ("restoresession-csv", "audit-csv", "coverage-csv", "policy-machines"):
        status, answer = _ask(
            client,
            Case(page, TABLE[page].own(furnished), "?period=all" if page[0] == "r" else "", frozenset()),
            TABLE[page],
        )
        text = answer.partition("\n")[2]
        lines = list(csv.reader(io.StringIO(answer, newline="")))
        head = next(
            i for i, line in enumerate(lines) if len(line) > 5 or line[:2] == ["name", "backup_server"]
        )
        widths = {len(line) for line in lines[head:] if line}

        assert status == 200
        assert len(widths) == 1, page
        assert not any(
            cell[:1] in ("=", "+", "-", "@", "\t", "\r") for line in lines[head:] for cell in line
        ), page
        assert text


def test_the_api_hands_it_out_as_json(furnished: Furnished, name: str) -> None:
    client = Client(headers={"authorization": f"Bearer {furnished.token_text}"})

    for page, address in API.items():
        status, answer = _ask(client, Case(page, address.own(furnished), "", frozenset()), address)
        assert status < 500, page
        if "application/json" in answer.partition("\n\n")[0]:
            assert "nosniff" in answer
    response = client.get("/api/v1/restore-sessions")
    assert json.loads(response.content)["items"][0]["vm_name"] == name


def test_pdf_and_mail_hold_it_as_text(furnished: Furnished, name: str) -> None:
    now = timezone.now()
    schedule = ReportSchedule.objects.get(pk=furnished.own.schedule.pk)
    report = request_report(
        scope=RestoreSessionScope(start=now - timedelta(days=30), end=now),
        zone="UTC",
        organisation=name[:200],
        requested_by=furnished.person,
        at=now,
        schedule=schedule,
    )

    render_report(report.pk, as_of=now)

    report.refresh_from_db()
    assert report.status == "ready", report.error
    delivery = furnished.own.delivery
    delivery.refresh_from_db()
    mail = message_of(delivery, report, as_of=now)
    message = mail.message()
    pdf = PdfReader(io.BytesIO(path_of(report).read_bytes()))
    text = "\n".join(page.extract_text() for page in pdf.pages)
    assert not any(sign in text for sign in TURNING)
    assert "\n" not in mail.subject
    assert "\r" not in mail.subject
    assert not any(sign in TURNING or unicodedata.category(sign) == "Cc" for sign in mail.subject)
    assert message["Subject"]
    # mail programs know no style sheets, so that ours are inline there
    assert set(_dangers(f"\n\n{mail.alternatives[0][0]}")) <= {"has an inline style"}
    assert pdf.trailer["/Root"].get("/OpenAction") is None
    assert "/JavaScript" not in str(pdf.trailer["/Root"].get("/Names", ""))
