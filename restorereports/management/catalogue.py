"""The messages that reports and their mails are made of, as the sources hold them, and the catalogues that translate them.

Pages are English only, so nothing else is collected. gettext's own tools are not needed: a catalogue is read, kept and
compiled in Python, so that a fresh clone has it after its set-up.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polib
from django.conf import settings
from django.utils.translation.template import templatize

ROOT: Final = Path(settings.BASE_DIR)
_PACKAGE: Final = ROOT / "restorereports"
# Beside `reports` and its templates: what they print of other layers; of a file with classes only these.
_FILES: Final = ("wording.py", "templatetags/reports.py")
_LABELS: Final = {
    "models/alert.py": ("Level",),
    "models/completeness.py": ("Verdict", "Cause"),
    "models/enterprise_manager.py": ("RestoreScope",),
    "models/gap.py": ("Cause",),
    "models/inventory.py": ("State",),
    "models/reconciliation.py": ("State",),
    "models/report.py": ("Stage",),
    "models/restore_session.py": ("Outcome",),
    "models/session_class.py": ("SessionClass",),
    "policies/coverage.py": ("Judgement",),
    "policies/verdicts.py": ("VmVerdict",),
}
_SINGLE: Final = {"_", "gettext", "gettext_lazy"}
_PLURAL: Final = {"ngettext", "ngettext_lazy"}
_CONTEXT: Final = {"pgettext", "pgettext_lazy"}
_LITERAL: Final = r"""u?('(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
_IN_TEMPLATE: Final = re.compile(
    rf"\b(?:(ngettext|pgettext)\(\s*{_LITERAL}\s*,\s*{_LITERAL}|(?:gettext|_)\(\s*{_LITERAL})"
)


@dataclass(frozen=True, order=True, slots=True)
class Message:
    """What is translated: the English text, its plural where it counts, its context where it needs one."""

    text: str
    plural: str = ""
    context: str = ""


def messages() -> dict[Message, list[str]]:
    """Every message of reports and their mails, with the files that say it, relative to the project."""
    found: dict[Message, list[str]] = {}
    for path in sources():
        said = _of_template(path) if path.suffix in (".html", ".txt") else _of_module(path)
        for message in said:
            places = found.setdefault(message, [])
            name = path.relative_to(ROOT).as_posix()
            if name not in places:
                places.append(name)
    counted = {(message.text, message.context): message for message in found if message.plural}
    for message in [one for one in found if not one.plural and (one.text, one.context) in counted]:
        found[counted[message.text, message.context]] += found.pop(
            message
        )  # gettext keeps one entry for both
    return found


def sources() -> list[Path]:
    """Templates first, then modules."""
    templates = sorted(path for path in (ROOT / "templates" / "reports").rglob("*.*") if path.is_file())
    modules = sorted((_PACKAGE / "reports").glob("*.py"))
    return [*templates, *modules, *(_PACKAGE / name for name in (*_FILES, *_LABELS))]


def _of_template(path: Path) -> Iterator[Message]:
    for kind, first, second, single in _IN_TEMPLATE.findall(templatize(path.read_text(encoding="utf-8"))):
        if kind == "ngettext":
            yield Message(ast.literal_eval(first), plural=ast.literal_eval(second))
        elif kind:
            yield Message(ast.literal_eval(second), context=ast.literal_eval(first))
        else:
            yield Message(ast.literal_eval(single))


def _of_module(path: Path) -> Iterator[Message]:
    tree: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    classes = _LABELS.get(path.relative_to(_PACKAGE).as_posix())
    if classes is None:
        yield from _calls(tree)
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and node.name in classes:
            yield from _calls(node)


def _calls(tree: ast.AST) -> Iterator[Message]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        name = node.func.id
        texts = [
            one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
        ]
        if name in _SINGLE and texts:
            yield Message(texts[0])
        elif name in _PLURAL and len(texts) >= 2:
            yield Message(texts[0], plural=texts[1])
        elif name in _CONTEXT and len(texts) >= 2:
            yield Message(texts[1], context=texts[0])


def catalogue_of(language: str) -> Path:
    return ROOT / "locale" / language / "LC_MESSAGES" / "django.po"


def collect(language: str) -> int:
    """Bring the catalogue to the sources' state: new messages empty, those no longer said gone. How many are empty."""
    path = catalogue_of(language)
    known = {_key(entry): entry for entry in polib.pofile(str(path))} if path.exists() else {}
    made = polib.POFile(wrapwidth=110)
    made.metadata = {
        "Language": language,
        "MIME-Version": "1.0",
        "Content-Type": "text/plain; charset=UTF-8",
        "Content-Transfer-Encoding": "8bit",
        "Plural-Forms": "nplurals=2; plural=(n != 1);",
    }
    for message, places in sorted(messages().items()):
        made.append(_entry(message, places, known.get(message)))
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save(str(path))
    return len(made.untranslated_entries())


def _entry(message: Message, places: list[str], known: polib.POEntry | None) -> polib.POEntry:
    entry = polib.POEntry(
        msgid=message.text,
        msgid_plural=message.plural,
        msgctxt=message.context or None,
        occurrences=[(place, "") for place in places],
    )
    if message.plural:
        entry.msgstr_plural = dict(known.msgstr_plural) if known else {0: "", 1: ""}
    else:
        entry.msgstr = known.msgstr if known else ""
    if known:
        entry.flags = list(known.flags)
    return entry


def _key(entry: polib.POEntry) -> Message:
    return Message(entry.msgid, plural=entry.msgid_plural, context=entry.msgctxt or "")


def compile_catalogues() -> list[Path]:
    """Compile each catalogue that is newer than its compiled form; those that were compiled."""
    made = []
    for path in sorted((ROOT / "locale").glob("*/LC_MESSAGES/django.po")):
        target = path.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime >= path.stat().st_mtime:
            continue
        draft = target.with_suffix(".part")
        polib.pofile(str(path)).save_as_mofile(str(draft))
        draft.replace(target)
        made.append(target)
    return made
