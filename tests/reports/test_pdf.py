"""The PDF itself, read back: pages, text, glyphs, tags, and that it fetches nothing."""

from __future__ import annotations

import itertools
import zoneinfo
from datetime import timedelta

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command

from restorereports.models import SYSTEM, GapNote, Report
from restorereports.reports import document, pdf
from restorereports.reports.figures import gather
from restorereports.reports.pdf import Made
from restorereports.reports.request import request_report
from tests.factories import make_backup_server, make_outage, make_run, make_user

from .glyphs import glyphs_drawn, reader_of, text_of, undrawn
from .population import AS_OF, JULY, july, make_population, make_troubles

pytestmark = pytest.mark.django_db

UGLY = [
    "x" * 1000,
    "W" * 300,
    "файл-сервер-02 Ωμέγα",
    "财务数据库服务器-生产环境-主节点-" * 10,
    "日本語サーバー 한국어",
    "خادم قاعدة البيانات",
    "שרת-גיבוי",
    "invoice-\u202egnp.exe",
    "emoji-🖥️-👨‍👩‍👧-😀",
    "Z" + "\u0316\u0301\u0347" * 60,
    "देवनागरी-सर्वर क्\u200dष",
    "ไทยเซิร์ฟเวอร์",
    "\ue000private\U000e0041",
    "<img src='file:///etc/passwd'> & <script>",
    "a,b;c\nnewline\ttab\x07bell",
    " blanks  inside and around ",
    "\U0001f600" * 60,
    "\u202e" * 200,
    "name with many words that wrap at blanks " * 9,
]


@pytest.fixture(scope="session", autouse=True)
def _fonts() -> None:
    call_command("build_assets")


def make(**values) -> tuple[Report, Made]:
    values = {"scope": JULY, "zone": "UTC", "organisation": "Example AG"} | values
    report = request_report(requested_by=None, at=AS_OF, **values)
    figures = gather(
        scope=report.restore_session_scope(),
        zone=zoneinfo.ZoneInfo(report.zone),
        as_of=AS_OF,
        reader=SYSTEM,
    )
    return report, pdf.make(document.html(report, figures), identifier=str(report))


@pytest.fixture
def usual(request) -> tuple[Report, Made]:
    """The report of the small population, made once for the tests that only read it."""
    if not hasattr(request.module, "_usual"):
        make_population()
        request.module._usual = make()
    return request.module._usual


def test_a_report_has_its_sections_page_numbers_bookmarks_and_tags(usual) -> None:
    report, made = usual

    found, text = reader_of(made.pdf), text_of(made.pdf)
    assert len(found.pages) == made.pages < 15
    for number in range(1, made.pages + 1):
        assert f"page {number} of {made.pages}" in text
    titles = [str(entry["/Title"]) for entry in found.outline if not isinstance(entry, list)]
    assert titles[0] == "Restore evidence report"
    assert titles[1] == "1 Scope and reader’s guide"
    assert titles[-1] == "10 Definitions"
    assert len(titles) == 11
    root = found.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert "/StructTreeRoot" in root
    assert root["/Lang"] == "en"
    assert found.metadata.title == f"Restore evidence report {report}, Example AG, 1 July to 31 July 2026"
    assert "Example AG" in text
    assert f"data as of {'2026-08-01T06:00:00.000Z'}" in text


def test_the_chart_has_words_for_those_who_do_not_see_it(usual) -> None:
    _report, made = usual

    def alternatives(element) -> list[str]:
        element = element.get_object()
        if not isinstance(element, dict):
            return []
        kids = element.get("/K", [])
        kids = kids if isinstance(kids, list) else [kids]
        own = [str(element["/Alt"])] if "/Alt" in element else []
        return own + [alt for kid in kids for alt in alternatives(kid)]

    (figure,) = alternatives(reader_of(made.pdf).trailer["/Root"]["/StructTreeRoot"])
    assert figure.startswith("Restore sessions by result, stacked")


def test_the_same_html_gives_the_same_bytes() -> None:
    first, second = (
        pdf.make("<html lang=en><title>x</title><p>words", identifier="RR-2026-0001") for _ in range(2)
    )

    assert first == second


def test_the_reader_of_glyphs_would_find_an_empty_box() -> None:
    made = pdf.make("<html lang=en><title>x</title><p>before \U0010fffd after", identifier="x")

    assert undrawn(made.pdf) != []


def test_no_name_is_drawn_as_an_empty_box_or_reverses_its_surroundings() -> None:
    population = make_population()
    for number, name in enumerate(UGLY):
        server = make_backup_server(population.manager, name=name)
        population.add(server, name, july(9, minute=number), result="Failed", failure_message=name)

    _report, made = make(organisation="Example \u202e 🖥 AG")

    text = text_of(made.pdf)
    assert undrawn(made.pdf) == []
    assert glyphs_drawn(made.pdf) > 5000
    assert "\u202e" not in text
    assert "invoice-U+202Egnp.exe" in text.replace(" ", "")
    assert "файл-сервер-02" in text
    assert "[1,000 characters in all]" in text
    assert "<script>" in text


def test_a_single_restore_session_makes_no_empty_pages() -> None:
    population = make_population()
    population.a.restore_sessions.exclude(started_at=july(2)).update(started_at=july(2) - timedelta(days=900))
    population.b.restore_sessions.update(started_at=july(2) - timedelta(days=900))

    _report, made = make()

    for number, page in enumerate(reader_of(made.pdf).pages, start=1):
        words = page.extract_text().split()
        assert len(words) > 60, f"page {number} says no more than {' '.join(words)}"


def test_whatever_the_population_the_document_stays_within_70_pages() -> None:
    population = make_population()
    names = itertools.cycle(UGLY)
    for number in range(30):
        manager = make_troubles(population, name=f"{number:02} {next(names)}"[:90])
        manager.url, manager.username, manager.pin_sha256 = "https://" + "long." * 90, "svc" * 80, "cd" * 32
        manager.save()
        make_outage(manager, july(2), to_at=july(5), message="W" * 900)
        make_run(manager, started_at=AS_OF, role="r" * 80, api_versions="v" * 200)
        GapNote.objects.create(
            gap=manager.gaps.first(), author=make_user(last_name="W" * 100), at=AS_OF, text="W" * 4000
        )
    for number in range(130):
        name = f"{'W' * 75}{number:04}" if number % 2 else f"{'服' * 60}{number}"
        server = make_backup_server(population.manager, name=name)
        values = {"job_type": (f"{number % 12}" * 200)[:255], "failure_message": "W" * 900}
        population.add(server, name, july(9, minute=number % 60), result="Failed", **values)
        population.add(server, name, july(8), state="Working", result="None", **values)
        population.add(
            server, name, july(1) - timedelta(days=2), ended_at=july(3), result="W" * 200, **values
        )

    _report, made = make(organisation="W" * 200)

    assert made.pages <= 70
    assert undrawn(made.pdf) == []
    text = text_of(made.pdf)
    assert "100 of 135 rows" in text
    assert "60 of 222 backup servers" in text
    assert "10 of 31" in text
    assert "15 of 250, the incomplete first" in text
    assert "10 of 90, oldest first" in text


def test_the_document_fetches_nothing(tmp_path, caplog) -> None:
    secret = tmp_path / "secret.svg"
    secret.write_text('<svg xmlns="http://www.w3.org/2000/svg"><text>secret</text></svg>')

    html = f'<html lang="en"><body><img src="{secret.as_uri()}"><link rel="stylesheet" href="file:///x.css">words'

    made = pdf.make(html, identifier="x")

    assert "secret" not in text_of(made.pdf)
    assert "words" in text_of(made.pdf)


def test_missing_fonts_are_said_with_the_remedy(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(pdf, "font_folder", lambda: tmp_path)

    with pytest.raises(ImproperlyConfigured, match=r"manage\.py build_assets"):
        pdf.make("<html lang=en><p>x", identifier="x")
