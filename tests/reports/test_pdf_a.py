"""An issued report read back by programs that did not write it: qpdf, poppler and pypdf.

No validator of PDF/A is at hand here. What a program can see of the standard's demands is looked at one by one; the
rest of it, and PDF/UA, nothing here confirms.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from django.utils import translation
from lxml import etree
from PIL import Image
from weasyprint import HTML

from restorereports.models import Logo, RegisterHead, Report
from restorereports.reports import document, freezing
from restorereports.reports.files import frozen_folder, path_of
from restorereports.reports.frozen import canonical, read
from restorereports.reports.render import render_report
from restorereports.reports.writing import write_file
from tests import golden
from tests.factories import make_restore_session

from .archival import faults, fonts_of
from .glyphs import glyphs_drawn, reader_of, text_of, undrawn
from .issued import ask

pytestmark = pytest.mark.django_db

NAMES = (
    "файл-сервер-02",
    "Ωμέγα-δοκιμή",
    "日本語サーバー",
    "财务数据库",
    "invoice-\u202egnp.exe",
    "ş-ğ-ü-ß",
    "x" * 300,
)
PDFAID = "{http://www.aiim.org/pdfa/ns/id/}"


@dataclass(frozen=True)
class Issued:
    """A final report in German on Letter, with a logo, against a policy."""

    report: Report
    pdf: bytes
    again: bytes  # rendered once more from the same frozen files
    path: Path


@pytest.fixture
def issued(request: Any, settings: Any, tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> Issued:
    """Issued once for all tests here, which only read it."""
    if not hasattr(request.module, "_issued"):
        settings.VAR_DIR = tmp_path_factory.mktemp("evidence")
        monkeypatch.setattr(freezing, "GZIPPED_OVER", 5_000)
        call_command("build_assets")
        request.module._issued = issue()
    return request.module._issued


def issue() -> Issued:
    population = golden.make_golden()
    for number, name in enumerate(NAMES):
        make_restore_session(
            population.b,
            enterprise_manager=population.em_1,
            vm_name=name,
            started_at=golden.at(2, 9, 10, number),
            ended_at=golden.at(2, 9, 11, number),
            result="Failed",
        )
    report = ask(
        scope=golden.WHOLE,
        zone=golden.ZONE.key,
        at=golden.AS_OF,
        policy_version=population.version,
        stage=Report.Stage.FINAL,
        organisation="Müller & Söhne AG",
        language="de",
        paper="letter",
        logo=logo(),
    )
    render_report(report.pk, as_of=golden.AS_OF)
    report = Report.objects.get(pk=report.pk)
    assert report.status == Report.Status.READY, report.error
    path = path_of(report)
    return Issued(report, path.read_bytes(), rendered_again(report), path)


def logo() -> Logo:
    """Half transparent, as logos are."""
    written = io.BytesIO()
    Image.new("RGBA", (90, 30), (0, 90, 160, 128)).save(written, "PNG")
    image = written.getvalue()
    return Logo.objects.create(sha256=hashlib.sha256(image).hexdigest(), media_type="image/png", image=image)


def rendered_again(report: Report) -> bytes:
    """What the same worker would write of the frozen files, at another time and place."""
    taken = read(frozen_folder(report), data_sha256=report.data_sha256)
    end = RegisterHead(**report.manifest["register"])
    into = configured.VAR_DIR / "again.pdf"
    with translation.override(report.language):
        html = document.html(report, taken.figures, attachments=taken.attachments, register=end)
        write_file(report, html, taken, report.manifest, into=into)
    return into.read_bytes()


def said_by(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def attached(pdf: bytes) -> dict[str, bytes]:
    return {name: content for name, (content,) in reader_of(pdf).attachments.items()}


def test_qpdf_finds_no_fault(issued: Issued) -> None:
    said = said_by("qpdf", "--check", issued.path)

    assert "No syntax or stream encoding errors found" in said
    assert "WARNING" not in said


def test_every_font_is_embedded_as_a_subset_and_maps_to_text(issued: Issued) -> None:
    lines = said_by("pdffonts", issued.path).splitlines()[2:]

    assert len(lines) >= 6
    for line in lines:
        assert re.search(r"CID (TrueType|Type 0C \(OT\)) +Identity-H +yes yes yes", line), line


def test_pdfinfo_says_what_it_is(issued: Issued) -> None:
    said = dict(re.findall(r"^([A-Z][\w ]+): +(.+)$", said_by("pdfinfo", issued.path), re.M))

    assert said["Title"].startswith("Nachweisbericht") or str(issued.report) in said["Title"]
    assert said["Author"] == "Müller & Söhne AG"
    assert (said["Tagged"], said["JavaScript"], said["Encrypted"]) == ("yes", "no", "no")
    assert (said["PDF version"], said["Page size"]) == ("1.7", "612 x 792 pts (letter)")
    assert said["CreationDate"].startswith("Mon Apr  3 06:00:00 2028")
    assert int(said["Pages"]) == issued.report.pages
    assert int(said["File size"].split()[0]) == issued.report.size


def test_it_names_itself_pdf_a_3a_and_not_pdf_ua(issued: Issued) -> None:
    root = reader_of(issued.pdf).trailer["/Root"]

    xmp = etree.fromstring(root["/Metadata"].get_object().get_data())

    told = {name: value for element in xmp.iter() for name, value in element.attrib.items()}
    assert (told[f"{PDFAID}part"], told[f"{PDFAID}conformance"]) == ("3", "A")
    assert "pdfuaid" not in etree.tostring(xmp, encoding="unicode")
    assert "2028-04-03T06:00:00" in etree.tostring(xmp, encoding="unicode")


def test_what_can_be_seen_of_pdf_a_3a_is_there(issued: Issued) -> None:
    assert faults(reader_of(issued.pdf)) == []


def test_the_look_for_faults_would_find_one() -> None:
    image = io.BytesIO()
    Image.new("RGB", (9, 9)).save(image, "PNG")
    address = f"data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}"
    tagged = HTML(string=f"<html lang=en><p>words<img alt=square src='{address}'>")

    file = reader_of(tagged.write_pdf(pdf_variant="pdf/a-3a", pdf_tags=True))

    assert [fault for fault in faults(file) if "interpolated" in fault]


def test_the_document_is_german_tagged_and_keeps_bookmarks_and_links(issued: Issued) -> None:
    file = reader_of(issued.pdf)
    root = file.trailer["/Root"]

    titles = [str(entry["/Title"]) for entry in file.outline if not isinstance(entry, list)]
    links = [note.get_object() for page in file.pages for note in page.get("/Annots", ())]
    assert str(root["/Lang"]) == "de"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"]
    assert len([title for title in titles if re.match(r"\d+ |A ", title)]) == 12
    assert len(links) > 10
    assert {str(link["/Dest"]) for link in links if "/Dest" in link} <= set(file.named_destinations)


def test_sections_are_read_in_the_order_of_the_bookmarks(issued: Issued) -> None:
    """By the content as it stands in the file, and by the tags' headings. (`pdfinfo -struct-text` takes minutes.)"""
    file = reader_of(issued.pdf)
    titles = [str(entry["/Title"]) for entry in file.outline if not isinstance(entry, list)]

    words = "".join(said_by("pdftotext", "-raw", issued.path, "-").split())
    places = [words.rfind("".join(title.split())) for title in titles[1:]]
    pages = headings(file.trailer["/Root"]["/StructTreeRoot"])

    assert -1 not in places
    assert places == sorted(places)
    assert len(pages) == len(titles) - 1
    assert pages == sorted(pages)


def headings(element: Any) -> list[int]:
    """The pages' object numbers of each H2, in the order of the tags; pages are numbered as they come."""
    element = element.get_object()
    if isinstance(element, list):
        return [page for one in element for page in headings(one)]
    if not isinstance(element, dict):
        return []
    own = [element.raw_get("/Pg").idnum] if element.get("/S") == "/H2" else []
    return own + (headings(element["/K"]) if "/K" in element else [])


def test_no_name_is_drawn_without_a_glyph(issued: Issued) -> None:
    text = text_of(issued.pdf).replace(" ", "")

    assert undrawn(issued.pdf) == []
    assert glyphs_drawn(issued.pdf) > 10_000
    for name in ("файл-сервер-02", "Ωμέγα-δοκιμή", "日本語サーバー", "财务数据库", "invoice-U+202Egnp.exe"):
        assert name in text
    assert any("CJK" in name for name in fonts_of(reader_of(issued.pdf)))


def test_each_attachment_is_the_one_the_manifest_names(issued: Issued) -> None:
    found = attached(issued.pdf)
    manifest = json.loads(found["manifest.json"])

    assert set(found) == {"sessions.csv.gz", "coverage.csv", "manifest.json"}
    assert found["manifest.json"] == canonical(issued.report.manifest)
    for told in manifest["attachments"]:
        content = found[told["name"]]
        plain = gzip.decompress(content) if told["name"].endswith(".gz") else content
        assert (told["bytes"], told["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert (told["plain_bytes"], told["plain_sha256"]) == (len(plain), hashlib.sha256(plain).hexdigest())
        assert plain.count(b"\n") == told["rows"] + 1
    assert manifest["data_sha256"] == issued.report.data_sha256


def test_files_are_associated_once_with_their_kind_date_and_purpose(issued: Issued) -> None:
    root = reader_of(issued.pdf).trailer["/Root"]

    names = root["/Names"]["/EmbeddedFiles"]["/Names"]
    found = {str(one["/UF"]): one.get_object() for one in (each.get_object() for each in root["/AF"])}

    assert names[0::2] == sorted(found)
    assert [one.idnum for one in root["/AF"].get_object()] == [
        one.idnum for one in list.__iter__(names) if hasattr(one, "idnum")
    ]
    kinds = {name: str(one["/AFRelationship"]) for name, one in found.items()}
    assert kinds == {"coverage.csv": "/Data", "manifest.json": "/Supplement", "sessions.csv.gz": "/Data"}
    assert found["coverage.csv"]["/Desc"] == "Jede VM im Geltungsbereich mit ihrem Befund"
    for one in found.values():
        stream = one["/EF"]["/F"].get_object()
        assert stream["/Params"]["/ModDate"] == "D:20280403060000Z"
        assert stream["/Params"]["/Size"] == len(stream.get_data())
    assert said_by("pdfdetach", "-list", issued.path).startswith("3 embedded files")


def test_the_data_hash_and_each_attachments_hash_are_printed(issued: Issued) -> None:
    text = re.sub(r"\s", "", text_of(issued.pdf))

    assert issued.report.data_sha256 in text
    for told in issued.report.manifest["attachments"]:
        assert told["sha256"] in text


def test_the_same_frozen_files_give_the_same_bytes(issued: Issued) -> None:
    assert hashlib.sha256(issued.pdf).hexdigest() == issued.report.sha256
    assert issued.again == issued.pdf


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """No order of a set, no clock and no address in memory is in them."""
    program = (
        "import django, sys; django.setup(); from restorereports.reports import pdf;"
        "html = '<html lang=en><title>x</title><h1>файл 日本語</h1><p style=\"font-family: IBM Plex Serif\">words';"
        "sys.stdout.buffer.write(pdf.make(html, identifier='RR-2026-0001').pdf)"
    )
    call_command("build_assets")
    written = set()
    for seed in ("1", "2"):
        environment = os.environ | {
            "PYTHONHASHSEED": seed,
            "DJANGO_SETTINGS_MODULE": "restorereports.settings",
        }
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, env=environment, check=True
        )
        written.add(done.stdout)

    assert [one[:5] for one in written] == [b"%PDF-"]
