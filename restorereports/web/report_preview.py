"""The figures of a report before it is asked for: counts, completeness, coverage. Nothing of it is kept."""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from datetime import datetime

from restorereports.models import Outcome, PolicyVersion, User
from restorereports.models.counts import OutcomeCounts, by_outcome
from restorereports.policies.coverage import Coverage, coverage

from .completeness import Shown, shown_completeness
from .forms.report import ReportForm
from .health import Health
from .scope_words import period_words

_SHOWN = (
    (Outcome.SUCCESS, "success"),
    (Outcome.WARNING, "warning"),
    (Outcome.FAILED, "failed"),
    (Outcome.NO_RESULT, "no_result"),
    (Outcome.OTHER, "other"),
    (Outcome.RUNNING, "running"),
    (Outcome.UNKNOWN, "unknown"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReportPreview:
    """`parts`: (outcome, how many), which add up to `counts.total`. `open`: the period is not over yet."""

    period: str
    zone: str
    counts: OutcomeCounts
    parts: list[tuple[Outcome, int]]
    completeness: Shown | None
    version: PolicyVersion | None
    covered: Coverage | None
    open: bool


def report_preview(form: ReportForm, reader: User, known: list[Health], *, as_of: datetime) -> ReportPreview:
    """Of a valid form, with the reader's eyes."""
    scope, zone = form.scope(), form.cleaned_data["zone"]
    policy = form.cleaned_data["policy"]
    version = policy.latest if policy else None
    counts = by_outcome(scope.rows(reader))
    end = min(scope.end or as_of, as_of)
    return ReportPreview(
        period=period_words(scope, zone),
        zone=zone,
        counts=counts,
        parts=[(outcome, getattr(counts, field)) for outcome, field in _SHOWN],
        completeness=shown_completeness(scope, reader, known, as_of=as_of),
        version=version,
        covered=coverage(
            version, at=end, zone=zoneinfo.ZoneInfo(zone), scope=scope, reader=reader, as_of=as_of
        )
        if version
        else None,
        open=scope.end is None or scope.end > as_of,
    )
