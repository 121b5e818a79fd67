"""What the trail was at some moment, as it was told outside of it: reports, and the mails they went out with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from restorereports.models import Report

from .reading import is_whole, rows_of

NO_LENGTH: Final = -1


@dataclass(frozen=True, slots=True)
class Anchor:
    """Length and hash of the trail then, and where that is written. A length below 0 could not be read."""

    length: int
    hash: str
    where: str


def anchors() -> Iterator[Anchor]:
    """What the reports that were made say of the trail."""
    told = Report.objects.exclude(audit_length=None).order_by("audit_length", "pk")
    for key, report in rows_of(told.only("pk", "created_at", "audit_length", "audit_hash")):
        if report is None:
            yield Anchor(NO_LENGTH, "", f"report {key}")
        else:
            length = report.audit_length if is_whole(report.audit_length) else NO_LENGTH
            yield Anchor(length, report.audit_hash, str(report))
