"""Coverage: what one policy makes of every VM now, and what it made of them month by month."""

from __future__ import annotations

import dataclasses
import zoneinfo
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from restorereports.models import Policy, RestoreSessionScope
from restorereports.policies.history import coverage_by_month
from restorereports.reports.coverage_csv import lines

from ..access import PersonRequest, may_change_policies
from ..coverage import figures, month_chart
from ..coverage_filters import CoverageFilter
from ..errors import refusal
from ..exported import export
from ..policies import coverage_now

ROWS = 100


@require_safe
def coverage(request: PersonRequest) -> HttpResponse:
    """The policy that the address names, else the first one in force."""
    policies = list(Policy.objects.filter(retired_at=None).order_by("pk"))
    policy = _chosen(request, policies)
    if policy is None:
        return _nothing(request)
    version = policy.latest
    covered = coverage_now(version, request.user, as_of=timezone.now())
    filters = CoverageFilter(request.GET, covered)
    if not filters.is_valid():
        return _unreadable(request, filters, policy)
    page = Paginator(filters.lines, ROWS).get_page(request.GET.get("page", ""))
    context = {
        "policy": policy,
        "policies": policies,
        "policy_version": version,
        "covered": covered,
        "figures": figures(covered, filters),
        "filters": filters,
        "page": page,
        "pages": {"before": _page(request, page, -1), "after": _page(request, page, 1)},
        "today": timezone.localtime(covered.at).date(),
    }
    return render(request, "web/coverage.html", context)


@require_safe
def coverage_csv(request: PersonRequest) -> HttpResponseBase:
    """The lines that the page's filters leave, all of them, with the same verdicts."""
    policies = list(Policy.objects.filter(retired_at=None).order_by("pk"))
    policy = _chosen(request, policies)
    if policy is None:
        raise Http404
    as_of = timezone.now()
    covered = coverage_now(policy.latest, request.user, as_of=as_of)
    filters = CoverageFilter(request.GET, covered)
    if not filters.is_valid():
        return _unreadable(request, filters, policy)
    kept = dataclasses.replace(covered, lines=tuple(filters.lines))
    chosen = {name: value for name, value in filters.cleaned_data.items() if value}
    return export(
        request,
        lines(kept, spreadsheet_safe=True),
        file_name=f"coverage-{policy}-{as_of:%Y%m%dT%H%M%SZ}.csv",
        what={"format": "csv", "of": "coverage", "policy": str(policy.latest), "filter": chosen},
    )


@require_safe
def coverage_history(request: PersonRequest) -> HttpResponse:
    """13 months by the terms of the version in force: a page of its own, for it takes thirteen times as long."""
    policies = list(Policy.objects.filter(retired_at=None).order_by("pk"))
    policy = _chosen(request, policies)
    if policy is None:
        return _nothing(request)
    as_of = timezone.now()
    months = coverage_by_month(
        policy.latest,
        last=timezone.localtime(as_of).date(),
        zone=zoneinfo.ZoneInfo(request.user.zone),
        scope=RestoreSessionScope(),
        reader=request.user,
        as_of=as_of,
    )
    context = {
        "policy": policy,
        "policies": policies,
        "policy_version": policy.latest,
        "chart": month_chart(months),
        "zone": request.user.zone,
    }
    return render(request, "web/coverage_history.html", context)


def _nothing(request: PersonRequest) -> HttpResponse:
    """No policy is in force."""
    context = {"may_change": may_change_policies(request.user)}
    return render(request, "web/coverage_empty.html", context)


def _unreadable(request: PersonRequest, filters: CoverageFilter, policy: Policy) -> HttpResponse:
    sentence = _("The filter cannot be read: %s") % " ".join(
        str(error) for errors in filters.errors.values() for error in errors
    )
    return refusal(request, sentence, back=f"{reverse('coverage')}?policy={policy.pk}")


def _chosen(request: PersonRequest, policies: list[Policy]) -> Policy | None:
    """404 for a policy that is not there; a retired one may be looked at by its address."""
    text = request.GET.get("policy", "")
    if not text:
        return policies[0] if policies else None
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        raise Http404
    found = Policy.objects.filter(pk=int(text)).first()
    if found is None:
        raise Http404
    return found


def _page(request: PersonRequest, page: Any, step: int) -> str:
    if not (page.has_previous() if step < 0 else page.has_next()):
        return ""
    query = request.GET.copy()
    query["page"] = str(page.number + step)
    return f"?{query.urlencode()}#vms"
