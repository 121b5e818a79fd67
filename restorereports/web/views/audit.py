"""The audit trail: who did what, filtered, a page at a time, and as CSV."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.http import HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from restorereports.audit import head
from restorereports.models import Act, AuditEntry
from restorereports.reports import audit_csv as csv_of
from restorereports.wording import utc_text

from ..access import PersonRequest, only
from ..audit_filters import LARGEST_NUMBER, AuditFilterForm
from ..audit_rows import row_of
from ..errors import refusal
from ..exported import export

ROWS: Final = 50
CHUNK: Final = 1000  # entries that a query of the export reads


@require_safe
@only(Act.READ_TRAIL)
def audit_list(request: PersonRequest) -> HttpResponse:
    """One page by number: `before` leads to older entries, `after` to newer ones."""
    before, after = (request.GET.get(name, "") for name in ("before", "after"))
    if not all(not text or _is_number(text) for text in (before, after)) or (before and after):
        return refusal(request, _("The audit trail has no such place."), back=reverse("audit-list"))
    form = AuditFilterForm(request.GET, reader=request.user)
    context: dict[str, Any] = {"form": form, "head": head(), "filtered": _filter_of(request.GET)}
    if form.is_valid():
        found, newer, older = _page(form.entries(), before=before, after=after)
        context |= {"rows": [row_of(entry, request.user) for entry in found], "newer": newer, "older": older}
    return render(request, "web/audit_list.html", context)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST_NUMBER))


def _filter_of(query: QueryDict) -> str:
    """The address's filter without the place, empty when nothing is filtered."""
    kept = QueryDict(mutable=True)
    for name, values in query.lists():
        if name not in ("before", "after") and any(values):
            kept.setlist(name, [value for value in values if value])
    return kept.urlencode()


def _page(entries: Any, *, before: str, after: str) -> tuple[list[AuditEntry], int | None, int | None]:
    """The entries, and the numbers from which the neighbouring pages begin; None where there is none."""
    entries = entries.select_related("person")
    if after:
        found = list(entries.filter(number__gt=int(after)).order_by("number")[: ROWS + 1])
        if len(found) > ROWS:
            page = found[:ROWS][::-1]
            return page, page[0].number, page[-1].number
        before = ""  # a full first page, whatever has come since
    if before:
        entries = entries.filter(number__lt=int(before))
    found = list(entries[: ROWS + 1])
    page = found[:ROWS]
    return page, page[0].number if page and before else None, page[-1].number if len(found) > ROWS else None


@require_safe
@only(Act.READ_TRAIL)
def audit_csv(request: PersonRequest) -> HttpResponseBase:
    """What the filter means, all of it, streamed; the export is itself on record."""
    form = AuditFilterForm(request.GET, reader=request.user)
    if not form.is_valid():
        errors = " ".join(str(error) for found in form.errors.values() for error in found)
        back = f"{reverse('audit-list')}?{request.GET.urlencode()}"
        return refusal(request, _("The filter cannot be read: %s") % errors, back=back)
    return export(
        request,
        csv_of.lines(_cells(form.entries(), request)),
        file_name=f"audit-trail-{timezone.now():%Y%m%dT%H%M%SZ}.csv",
        what={"format": "csv", "of": "audit trail", "filter": form.facts()},
    )


def _cells(entries: Any, request: PersonRequest) -> Iterator[Sequence[str]]:
    """By keyset, so that no query holds the database; entries that come meanwhile are newer than all of these."""
    unknown = _("unknown")
    before = LARGEST_NUMBER
    while found := list(entries.filter(number__lt=before).select_related("person")[:CHUNK]):
        for entry in found:
            row = row_of(entry, request.user)
            yield (
                str(row.number),
                utc_text(row.at),
                entry.action,
                entry.via,
                unknown if row.person is None else row.person,
                row.address,
                entry.object_type,
                unknown if row.object_name is None else row.object_name,
                "\n".join(f"{name}: {value}" for name, value in row.details or ()),
                row.hash,
            )
        before = found[-1].number
