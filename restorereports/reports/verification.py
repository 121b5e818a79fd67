"""Checking the evidence: the register's chain, each final report's file, its frozen data, its manifest and its row.

Reads files in pieces; what was changed by hand must not stop it, so a fault of one report hinders no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _

from restorereports.audit.anchors import NO_LENGTH, Anchor
from restorereports.audit.reading import CANNOT_BE_READ, rows_of
from restorereports.audit.walk import MOST_FAULTS, Fault, walk_over
from restorereports.models import RegisterEntry, RegisterHead, Report
from restorereports.models.snapshot import snapshot

from .faults_of_report import faults_of_files, faults_of_row
from .issuing import finals
from .register import REGISTER, Kind, read_head


@dataclass(frozen=True, slots=True)
class ReportFault:
    """What is wrong with one report; `report` is its identifier, as far as it can be told."""

    report: str
    what: str


@dataclass(slots=True)
class Evidence:
    """What was looked at and found; faults beyond the bound are counted in `total` only."""

    entries: int = 0
    anchors: int = 0
    reports: int = 0
    deleted: int = 0
    total: int = 0
    head: RegisterHead | None = None
    chain: tuple[Fault, ...] = ()
    found: list[ReportFault] = field(default_factory=list)

    def fault(self, report: str, what: str) -> None:
        self.total += 1
        if len(self.found) < MOST_FAULTS:
            self.found.append(ReportFault(report, what))


def verify(known: Iterable[Anchor] = ()) -> Evidence:
    """Everything in one pass over the register and one over the final reports; `known` is what a PDF or mail prints.

    Must not be called inside a transaction that writes.
    """
    evidence = Evidence()
    with snapshot():
        evidence.head = read_head()
        entries = RegisterEntry.objects.order_by("number")
        walk = walk_over(REGISTER, entries, evidence.head, (*anchors(), *known))
        evidence.chain, evidence.total = walk.faults(), walk.total
        evidence.entries, evidence.anchors = walk.entries, walk.expected
        for key, report in _finals():
            evidence.reports += 1
            if report is None:
                evidence.fault(_("report %d") % key, _("its row cannot be read: it was changed"))
            else:
                _check_row(report, evidence)
        for name in _without_row():
            evidence.fault(name, _("the register says that it was issued; no final report bears that number"))
    for _key, report in _finals():  # reading files takes long: no transaction is kept open meanwhile
        if report is not None:
            _check_files(report, evidence)
    return evidence


def _finals() -> Iterator[tuple[int, Any]]:
    return rows_of(finals().select_related("supersedes", "policy_version__policy").order_by("pk"))


def anchors() -> Iterator[Anchor]:
    """What the final reports print of the register, as their rows keep it."""
    for key, report in rows_of(finals().order_by("pk").only("pk", "created_at", "manifest")):
        if report is None:
            yield Anchor(NO_LENGTH, "", _("report %d") % key)
            continue
        told = report.manifest.get("register") if isinstance(report.manifest, dict) else None
        yield _anchor(told, _name(report))


def _anchor(told: Any, where: str) -> Anchor:
    length, last = (told.get("length"), told.get("hash")) if isinstance(told, dict) else (None, None)
    if not isinstance(length, int) or isinstance(length, bool) or not isinstance(last, str):
        return Anchor(NO_LENGTH, "", where)
    return Anchor(length, last, where)


def _check_row(report: Report, evidence: Evidence) -> None:
    try:
        entries = list(RegisterEntry.objects.filter(report_id=report.pk).order_by("number"))
        evidence.deleted += any(entry.kind == Kind.DELETED for entry in entries)
        for what in faults_of_row(report, entries):
            evidence.fault(_name(report), what)
    except CANNOT_BE_READ:
        evidence.fault(
            _name(report), _("its row or its entries in the register cannot be read: they were changed")
        )


def _check_files(report: Report, evidence: Evidence) -> None:
    """What is deleted on record between the look at the register and the look at the files is no fault."""
    try:
        deleted = _is_deleted(report)
        found = list(faults_of_files(report, deleted=deleted))
        if found and not deleted and _is_deleted(report):
            return
    except CANNOT_BE_READ:
        found = [_("its files cannot be checked: its row was changed")]
    for what in found:
        evidence.fault(_name(report), what)


def _name(report: Report) -> str:
    try:
        return str(report)
    except CANNOT_BE_READ:
        return _("report %d") % report.pk


def _is_deleted(report: Report) -> bool:
    return RegisterEntry.objects.filter(report_id=report.pk, kind=Kind.DELETED).exists()


def _without_row() -> Iterator[str]:
    """Identifiers of the reports that the register issued and the table does not have as final."""
    there = Exists(finals().filter(pk=OuterRef("report_id")))
    issued = RegisterEntry.objects.filter(~there, kind=Kind.ISSUED).order_by("number")
    for key, entry in rows_of(issued):
        facts = entry.facts if entry is not None else None
        yield str(facts["report"]) if isinstance(facts, dict) and "report" in facts else _("entry %d") % key
