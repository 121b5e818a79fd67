"""What pages tell of a report as evidence: its entries in the register, what took its place, what may be done with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from restorereports.models import Act, RegisterEntry, Report, User
from restorereports.policies.coverage import Judgement
from restorereports.reports.issuing import is_issued, may_become_final
from restorereports.reports.register import REGISTER, Kind
from restorereports.reports.retention import why_kept

from .forms.evidence import ReasonForm


@dataclass(frozen=True, kw_only=True, slots=True)
class EvidenceRow:
    """A final report in the list of the register. `superseded_by`: where the reader may see it.

    `judgement`: what its policy made of it, empty without one; `issued_by` as it stands in its entry.
    """

    entry: RegisterEntry
    report: Report
    superseded: bool
    superseded_by: Report | None
    deleted: bool
    judgement: str
    issued_by: str


def issued_entries(reader: User) -> QuerySet[RegisterEntry]:
    """The entries of the final reports that the reader may see, newest first."""
    visible = Report.objects.visible_to(reader).filter(stage=Report.Stage.FINAL).exclude(finalised_at=None)
    entries: QuerySet[RegisterEntry] = RegisterEntry.objects.filter(kind=Kind.ISSUED, report__in=visible)
    return entries.select_related("report__policy_version__policy", "report__schedule").order_by("-number")


def evidence_rows(entries: Iterable[RegisterEntry], reader: User) -> list[EvidenceRow]:
    """With two queries, however many entries."""
    entries = list(entries)
    newer = Report.objects.filter(
        supersedes__in=[entry.report_id for entry in entries], stage=Report.Stage.FINAL
    ).exclude(finalised_at=None)
    taken = {report.supersedes_id: report for report in newer}
    seen = set(
        Report.objects.visible_to(reader)
        .filter(pk__in=[r.pk for r in taken.values()])
        .values_list("pk", flat=True)
    )
    rows = []
    for entry in entries:
        by = taken.get(entry.report_id)
        rows.append(
            EvidenceRow(
                entry=entry,
                report=entry.report,
                superseded=by is not None,
                superseded_by=by if by and by.pk in seen else None,
                deleted=bool(entry.report.error),
                judgement=_judgement(entry.report),
                issued_by=str(entry.facts.get("by") or "") if isinstance(entry.facts, dict) else "",
            )
        )
    return rows


def _judgement(report: Report) -> str:
    """Of its manifest; empty for what was changed there to something else."""
    policy = report.manifest.get("policy") if isinstance(report.manifest, dict) else None
    found = policy.get("judgement") if isinstance(policy, dict) else None
    return str(found) if found in Judgement.values else ""


def evidence_of(report: Report, reader: User, *, as_of: datetime) -> dict[str, Any]:
    """For the page of one report: its acts and, where it is final, its entries, oldest first."""
    entries = list(report.entries.order_by("number"))
    issued = [entry for entry in entries if entry.kind == Kind.ISSUED]
    administers = reader.may(Act.ADMINISTER)
    final = is_issued(report)
    return {
        "entries": entries,
        "issued": issued[0] if issued else None,
        "row": next(iter(evidence_rows(issued, reader)), None),
        "attachments": report.manifest.get("attachments", []),
        "supersedes": _visible(report.supersedes_id, reader),
        "final": final,
        "may_become_final": may_become_final(report),
        "may_be_corrected": final and not report.error,
        "administers": administers and final,
        "why_kept": why_kept(report, as_of=as_of),
        "reason": ReasonForm(auto_id="hold-%s"),
        "delete_reason": ReasonForm(auto_id="delete-%s"),
    }


def _visible(pk: int | None, reader: User) -> Report | None:
    return Report.objects.visible_to(reader).filter(pk=pk).first() if pk else None


def is_whole(entry: RegisterEntry, report: Report) -> bool:
    """Whether a single entry bears its hash and seal, and names this report's file."""
    facts = entry.facts if isinstance(entry.facts, dict) else {}
    return REGISTER.is_unchanged(entry) and REGISTER.is_sealed(entry) and facts.get("sha256") == report.sha256
