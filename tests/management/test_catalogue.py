"""The catalogue follows the sources: what is new waits untranslated, what is said no more goes, the rest stays."""

from __future__ import annotations

from pathlib import Path

import polib
import pytest
from django.core.management import call_command

from restorereports.management import catalogue
from restorereports.management.catalogue import Message, collect, compile_catalogues, messages

TEMPLATE = """{% load i18n %}{% translate "Rows" %} {{ n|f:_("Columns") }} {% translate "of" context "page" %}
{% blocktranslate count n=n %}{{ n }} row{% plural %}{{ n }} rows{% endblocktranslate %} {% translate "It's 5 %" %}"""
MODULE = """
def words(n):
    return _("A sentence"), ngettext("%d line", "%d lines", n), pgettext("page", "from"), gettext(name), _("Rows")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one template and one module."""
    (tmp_path / "templates" / "reports").mkdir(parents=True)
    (tmp_path / "templates" / "reports" / "one.html").write_text(TEMPLATE)
    (tmp_path / "restorereports" / "reports").mkdir(parents=True)
    (tmp_path / "restorereports" / "reports" / "words.py").write_text(MODULE)
    monkeypatch.setattr(catalogue, "ROOT", tmp_path)
    monkeypatch.setattr(catalogue, "_PACKAGE", tmp_path / "restorereports")
    monkeypatch.setattr(catalogue, "_FILES", ())
    monkeypatch.setattr(catalogue, "_LABELS", {})
    return tmp_path


def test_messages_of_templates_and_modules_are_found_with_their_places(project: Path) -> None:
    assert messages() == {
        Message("Rows"): ["templates/reports/one.html", "restorereports/reports/words.py"],
        Message("Columns"): ["templates/reports/one.html"],
        Message("of", context="page"): ["templates/reports/one.html"],
        Message("%(n)s row", plural="%(n)s rows"): ["templates/reports/one.html"],
        Message("It's 5 %%"): ["templates/reports/one.html"],
        Message("A sentence"): ["restorereports/reports/words.py"],
        Message("%d line", plural="%d lines"): ["restorereports/reports/words.py"],
        Message("from", context="page"): ["restorereports/reports/words.py"],
    }


def test_of_a_file_with_labels_only_the_named_classes_count(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "restorereports" / "labels.py").write_text(
        'class One:\n    A = _("label")\nclass Two:\n    B = _("name of a field")\n'
    )
    monkeypatch.setattr(catalogue, "_LABELS", {"labels.py": ("One",)})

    assert Message("label") in messages()
    assert Message("name of a field") not in messages()


def test_a_text_that_also_counts_is_one_entry(project: Path) -> None:
    path = project / "restorereports" / "reports" / "words.py"
    path.write_text('_("%d line")\nngettext("%d line", "%d lines", n)\n')

    assert [message for message in messages() if message.text == "%d line"] == [
        Message("%d line", plural="%d lines")
    ]


def test_what_was_translated_stays_and_what_is_said_no_more_goes(project: Path) -> None:
    assert collect("de") == 8
    path = catalogue.catalogue_of("de")
    made = polib.pofile(str(path))
    made.find("Rows").msgstr = "Zeilen"
    made.find("%(n)s row").msgstr_plural = {0: "%(n)s Zeile", 1: "%(n)s Zeilen"}
    made.find("Columns").msgstr = "Spalten"
    made.save()
    (project / "templates" / "reports" / "one.html").write_text(TEMPLATE.replace("Columns", "Cells"))

    left = collect("de")

    kept = polib.pofile(str(path))
    assert left == 6
    assert kept.find("Rows").msgstr == "Zeilen"
    assert kept.find("%(n)s row").msgstr_plural == {0: "%(n)s Zeile", 1: "%(n)s Zeilen"}
    assert kept.find("Columns") is None
    assert kept.find("Cells").msgstr == ""


def test_a_catalogue_is_compiled_once_and_again_when_it_changed(project: Path) -> None:
    call_command("collect_messages")

    path = catalogue.catalogue_of("de")
    assert path.with_suffix(".mo").exists()
    assert compile_catalogues() == []
    path.with_suffix(".mo").unlink()
    assert compile_catalogues() == [path.with_suffix(".mo")]
