"""The German catalogue says all that reports and their mails are made of, and templates hold no text of their own."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import UTC, date, datetime
from html import unescape
from pathlib import Path

import polib
import pytest
from django.template.base import Lexer, TokenType
from django.utils import translation
from django.utils.translation import get_language

from restorereports.management.catalogue import (
    ROOT,
    Message,
    catalogue_of,
    compile_catalogues,
    messages,
    sources,
)
from restorereports.models import SYSTEM, Delivery, PolicyVersion, RestoreSessionNote, RestoreSessionScope
from restorereports.models.counts import OutcomeCounts
from restorereports.reports import document
from restorereports.reports.figures import gather
from restorereports.reports.files import path_of
from restorereports.reports.mail import message_of
from restorereports.reports.request import request_report
from restorereports.reports.schedule import plan_deliveries
from tests import golden
from tests.factories import make_schedule
from tests.reports.population import AS_OF, JULY, make_population

DUE = datetime(2026, 8, 1, 6, 30, tzinfo=UTC)
_PLACE = re.compile(r"%\(\w+\)[sdg]|%[sd%]")
# technical words that are the same in every language
_SAME_EVERYWHERE = re.compile(
    r"GET /api/query\?type=RestoreSession(&amp;format=Entities)?"
    r"|sessions\.csv(\.gz)?|coverage\.csv|manifest\.json|SHA-256|UTC|RTO|P95|IBM Plex \w+"
)
_TEMPLATES = [path for path in sources() if path.suffix in (".html", ".txt")]


def catalogue() -> polib.POFile:
    return polib.pofile(str(catalogue_of("de")))


def test_every_message_of_a_report_is_in_the_catalogue_translated_and_sure() -> None:
    entries = {
        Message(entry.msgid, plural=entry.msgid_plural, context=entry.msgctxt or ""): entry
        for entry in catalogue()
    }

    missing = [message.text for message in messages() if message not in entries]
    untranslated = [entry.msgid for entry in entries.values() if not entry.translated()]
    fuzzy = [entry.msgid for entry in entries.values() if entry.fuzzy]

    assert (missing, untranslated, fuzzy) == ([], [], []), "manage.py collect_messages, then translate"


def test_the_catalogue_holds_nothing_that_is_said_no_more() -> None:
    said = {(message.text, message.plural) for message in messages()}

    assert [entry.msgid for entry in catalogue() if (entry.msgid, entry.msgid_plural) not in said] == []


def test_each_translation_keeps_the_places_of_its_message() -> None:
    for entry in catalogue():
        pairs = [(entry.msgid, entry.msgstr)]
        if entry.msgid_plural:
            pairs = [(entry.msgid, entry.msgstr_plural[0]), (entry.msgid_plural, entry.msgstr_plural[1])]
        for message, said in pairs:
            assert sorted(_PLACE.findall(message)) == sorted(_PLACE.findall(said)), entry.msgid


def test_a_policy_is_met_or_not_in_german_too_and_nothing_is_conform_or_passed() -> None:
    for entry in catalogue():
        for text in (entry.msgstr, *entry.msgstr_plural.values()):
            assert not re.search(r"konform|compliant|bestanden|!", text, re.IGNORECASE), text


def test_the_compiled_catalogue_is_that_of_the_sources() -> None:
    compile_catalogues()

    compiled = polib.mofile(str(catalogue_of("de").with_suffix(".mo")))

    assert {entry.msgid: entry.msgstr for entry in compiled} == {
        entry.msgid: entry.msgstr for entry in catalogue().translated_entries()
    }
    assert compile_catalogues() == []


@pytest.mark.parametrize("path", _TEMPLATES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_template_of_a_report_holds_no_text_outside_of_gettext(path: Path) -> None:
    assert literal_text(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("<p>Rows</p>", ["Rows"]),
        ('<td title="Rows">{{ n }}</td>', ["Rows"]),
        ('<p class="r">{% translate "Rows" %} – 1 / 2 · <b>{{ n|number }}</b> %</p>', []),
        ("{% blocktranslate %}Rows{% endblocktranslate %}", []),
        ("<!-- nothing to say --><style>td { color: red }</style>", []),
    ],
)
def test_literal_text_is_found(template: str, text: list[str]) -> None:
    assert literal_text(template) == text


def literal_text(template: str) -> list[str]:
    """Words that stand in the template itself, outside of tags and of gettext."""
    outside, inside = [], False
    for token in Lexer(template).tokenize():
        if token.token_type == TokenType.BLOCK:
            name = token.contents.split()[0]
            inside = name in ("blocktranslate", "blocktrans") or (
                inside and not name.startswith("endblocktrans")
            )
            outside.append("\0")
        elif token.token_type == TokenType.TEXT and not inside:
            outside.append(token.contents)
    html = re.sub(r"<!--.*?-->|<style>.*?</style>", "", "".join(outside), flags=re.DOTALL)
    shown = re.findall(r'\b(?:title|alt|aria-label|content)="([^"{\0]*)"', html)
    shown += re.sub(r"<[^>]*>", "\n", html).split("\n")
    words = (_SAME_EVERYWHERE.sub("", part.replace("\0", " ")) for part in shown)
    return [part.strip() for part in words if re.search(r"[^\W\d_]{2,}", re.sub(r"&\w+;", "", part))]


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["text", "html"])
def test_the_mail_of_a_german_schedule_is_german(kind: str) -> None:
    make_schedule(name="Monatlich", language="de", organisation="Beispiel AG", first_month=date(2026, 7, 1))
    plan_deliveries(as_of=DUE)
    delivery = Delivery.objects.get()
    report = request_report(
        scope=JULY, zone="Europe/Berlin", organisation="Beispiel AG", requested_by=None, at=DUE, language="de"
    )
    report.key_figures = asdict(OutcomeCounts(success=3211, failed=3))
    report.as_of = DUE
    path_of(report).parent.mkdir(parents=True, exist_ok=True)
    path_of(report).write_bytes(b"%PDF")

    mail = message_of(delivery, report, as_of=DUE)

    text = str(mail.body if kind == "text" else mail.alternatives[0][0])
    text = " ".join(re.sub(r"<[^>]*>", "", text).split())
    assert mail.subject == f"Restore-Bericht 2026-07, Beispiel AG ({report})"
    for words in (
        "Nachweisbericht Wiederherstellung",
        "3.211 / 3.214",
        "99,9 %",
        "01.07.2026 bis 31.07.2026",
    ):
        assert words in text
    assert not re.search(r"\b(Success|Failed|completed|attached|Sent)\b", text)
    assert get_language() == "en"


def shown(html: str) -> str:
    """What a reader sees of the document, blanks folded; the charts' words are among it."""
    text = re.sub(r"<head>.*?</head>", " ", html, flags=re.DOTALL)
    text = re.sub(r"<(/?(td|th|tr|div|p|h\d|li|br|section|table|text|title)\b)", r" <\1", text)
    return " ".join(unescape(re.sub(r"<[^>]*>", "", text)).split())


def german_of(scope: RestoreSessionScope, as_of: datetime, version: PolicyVersion | None = None) -> str:
    report = request_report(
        scope=scope,
        zone="Europe/Berlin",
        organisation="Beispiel AG",
        requested_by=None,
        at=as_of,
        language="de",
        policy_version=version,
    )
    with translation.override("de"):
        figures = gather(scope=scope, zone=golden.ZONE, as_of=as_of, reader=SYSTEM, policy_version=version)
    return document.html(report, figures)


ENGLISH = re.compile(r"\b(the|of|and|with|which|were|none|not|no|sessions|page|by|is|are|to)\b")


@pytest.mark.django_db
def test_a_german_report_against_a_policy_has_no_english_word_but_those_of_data() -> None:
    population = golden.make_golden()

    html = german_of(golden.WHOLE, golden.AS_OF, population.version)

    text = shown(html).replace("sessions.csv", "")
    for words in set(RestoreSessionNote.objects.values_list("text", flat=True)) | {
        *population.version.policy.exemptions.values_list("reason", flat=True)
    }:
        text = text.replace(words, "")
    assert ENGLISH.findall(text) == []
    assert '<html lang="de">' in html
    assert 'data-page="Seite " data-of=" von "' in html
    for words in (
        "1. Januar bis 31. März 2028",
        "Nicht erfüllt",
        "10 / 24 · 41,7 %",
        "26.03.2028 hat 23 Stunden",
    ):
        assert words in text


@pytest.mark.django_db
@pytest.mark.parametrize("filled", [True, False])
def test_a_german_report_without_a_policy_has_no_english_word_either(filled: bool) -> None:
    if filled:
        make_population()

    text = shown(german_of(JULY, AS_OF)).replace("sessions.csv", "").replace("Storage is not reachable", "")

    assert ENGLISH.findall(text) == []
    assert "Keine Richtlinie wurde gewählt" in text
