"""manifest.json: what a report is, of what it was made and what lies in it, for a program that checks it.

Canonical JSON of plain values (no fractions), so that the bytes in the PDF can be made again from the row.
"""

from __future__ import annotations

import dataclasses
import platform
from importlib.metadata import version
from typing import Any, Final

from restorereports.audit.chain import storable
from restorereports.models import RegisterHead, Report
from restorereports.policies.requirements import Requirements
from restorereports.wording import utc_text

from .document import app_version, prepared_by
from .figures import Figures
from .frozen import Attachment, Frozen, canonical
from .provenance import Source

NAME: Final = "manifest.json"
FORMAT: Final = 1
_VMS: Final = (
    *("in_scope", "measured", "tested", "met", "due_soon"),
    *("overdue", "never", "inconclusive", "new", "exempt"),
)
_LIBRARIES: Final = ("Django", "weasyprint", "pydyf", "fonttools", "pydantic", "cryptography")


def manifest_of(report: Report, frozen: Frozen, register: RegisterHead) -> dict[str, Any]:
    """Of the report as it is about to be rendered; `register` is its end before this report is entered."""
    figures = frozen.figures
    facts = {
        "format": FORMAT,
        "application": "Restore Reports",
        "version": app_version(),
        "report": str(report),
        "stage": report.stage,
        "supersedes": str(report.supersedes) if report.supersedes else None,
        "prepared_by": prepared_by(report),
        "schedule": report.schedule.name if report.schedule else None,
        "made_final_by": _final_by(report),
        "parameters": _parameters(report, figures),
        "period": {"from": utc_text(figures.start), "to": utc_text(figures.end), "zone": figures.zone},
        "as_of": utc_text(figures.as_of),
        "policy": _policy(figures),
        "counts": dataclasses.asdict(figures.counts) | {"total": figures.counts.total},
        "attachments": [_attachment(one) for one in frozen.attachments],
        "data_sha256": frozen.data_sha256,
        "audit_trail": {"length": report.audit_length, "hash": report.audit_hash},
        "register": {"length": register.length, "hash": register.hash},
        "sources": [_source(one) for one in figures.provenance.sources],
        "libraries": {name: version(name) for name in _LIBRARIES} | {"python": platform.python_version()},
    }
    plain = storable(facts)
    if not isinstance(plain, dict):
        raise TypeError("a manifest is an object")
    return plain


def manifest_text(manifest: dict[str, Any]) -> bytes:
    """The bytes as they lie in the PDF."""
    return canonical(manifest)


def _final_by(report: Report) -> str | None:
    if report.stage != Report.Stage.FINAL:
        return None
    return report.finalised_by.shown_name if report.finalised_by else prepared_by(report)


def _parameters(report: Report, figures: Figures) -> dict[str, Any]:
    return {
        "scope": figures.scope.as_json(),
        "filters": [
            {"field": one.label, "values": list(one.values), "more": one.rest} for one in figures.filters
        ],
        "zone": report.zone,
        "language": report.language,
        "paper": report.paper,
        "organisation": report.organisation,
        "classification": report.classification,
        "distribution": report.distribution,
    }


def _policy(figures: Figures) -> dict[str, Any] | None:
    judged = figures.policy
    if judged is None:
        return None
    return {
        "policy": judged.policy,
        "name": judged.name,
        "version": judged.version,
        "in_force_since": utc_text(judged.in_force_since),
        "terms_sha256": judged.terms_sha256,
        "judgement": judged.judgement.value,
        "requirements": _requirements(judged.requirements),
        "vms": {name: judged.total(name) for name in _VMS},
    }


def _requirements(found: Requirements) -> dict[str, Any]:
    """Of each line of the summary n of `of`, the target in percent and what the policy makes of it."""
    shares = {
        "coverage": found.coverage,
        "success": found.success,
        "rto": found.rto,
        "follow_up": found.follow_up.share,
    }
    return {
        name: {"n": one.n, "of": one.whole, "target": one.target, "judgement": one.judgement.value}
        for name, one in shares.items()
    }


def _attachment(one: Attachment) -> dict[str, Any]:
    return {
        "name": one.name,
        "rows": one.rows,
        "bytes": one.size,
        "sha256": one.sha256,
        "plain_bytes": one.plain_size,
        "plain_sha256": one.plain_sha256,
    }


def _source(one: Source) -> dict[str, Any]:
    return {
        "enterprise_manager": one.name,
        "url": one.url,
        "account": one.account,
        "role": one.role,
        "restore_scope": one.restore_scope,
        "api_versions": one.api_versions,
        "certificate_sha256": one.pin_sha256 or None,
        "rows": one.rows,
        "last_good_sync": utc_text(one.last_good_at) or None,
    }
