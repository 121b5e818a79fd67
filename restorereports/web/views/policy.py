"""Policies: the list, one policy, making and changing one with a preview, its machine list."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from restorereports.models import Policy, PolicyVersion
from restorereports.policies import drafting
from restorereports.policies.machines import write_machines
from restorereports.policies.presets import PRESETS
from restorereports.policies.terms import read_terms
from restorereports.sign_in.actor import actor_of

from ..access import PersonRequest, may_change_policies, policy_owners_only, sees_whole_policies
from ..exported import export
from ..forms.policy import PolicyForms
from ..policies import (
    coverage_now,
    exemption_rows,
    exemptions_of,
    policy_rows,
    preview,
    tier_rows,
    version_rows,
)
from ..policy_draft import PolicyDraft, drop_policy_draft, keep_policy_draft, read_policy_draft


@require_safe
def policy_list(request: PersonRequest) -> HttpResponse:
    """Every policy with what it makes of the VMs that the reader sees."""
    found = list(Policy.objects.order_by("retired_at", "pk"))
    rows = policy_rows(found, request.user, as_of=timezone.now())
    context = {
        "rows": [row for row in rows if row.coverage],
        "retired": [row for row in rows if not row.coverage],
        "may_change": may_change_policies(request.user),
        "presets": PRESETS,
    }
    return render(request, "web/policy_list.html", context)


@require_safe
def policy_detail(request: PersonRequest, pk: int) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=pk)
    as_of = timezone.now()
    version = policy.latest
    terms = read_terms(version.terms)
    covered = coverage_now(version, request.user, as_of=as_of)
    whole = sees_whole_policies(request.user)
    context = {
        "policy": policy,
        "policy_version": version,
        "terms": terms,
        "covered": covered,
        "tiers": tier_rows(terms, covered),
        "whole": whole,
        "may_change": may_change_policies(request.user),
        "versions": version_rows(policy) if whole else [],
        "exemptions": exemption_rows(exemptions_of(policy, request.user), as_of=as_of),
    }
    return render(request, "web/policy_detail.html", context)


@require_safe
def policy_machines(request: PersonRequest, pk: int) -> HttpResponseBase:
    """The machine list as CSV; unknown to whoever does not see everything."""
    if not sees_whole_policies(request.user):
        raise Http404
    version = get_object_or_404(Policy, pk=pk).latest
    return export(
        request,
        iter(write_machines(read_terms(version.terms).machines)),
        file_name=f"machines-{version.policy}-v{version.number}.csv",
        what={"format": "csv", "of": "machine list", "policy": str(version)},
    )


@policy_owners_only
def policy_add(request: PersonRequest) -> HttpResponse:
    """From a preset; what was drafted already when one comes back from the preview."""
    key = request.GET.get("preset", "365")
    preset = next((one for one in PRESETS if one.key == key), PRESETS[-1])
    return _form(request, None, None, base=preset.terms(), name="")


@policy_owners_only
def policy_edit(request: PersonRequest, pk: int) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=pk)
    version = policy.latest
    return _form(request, policy, version, base=read_terms(version.terms), name=policy.name)


def _form(
    request: PersonRequest, policy: Policy | None, version: PolicyVersion | None, *, base: Any, name: str
) -> HttpResponse:
    based_on, note = version.number if version else 0, ""
    draft = read_policy_draft(request) if "draft" in request.GET else None
    if draft and draft.is_of(policy):
        base, name, note, based_on = draft.terms, draft.name, draft.note, draft.based_on
    status = 200
    if request.method != "POST":
        forms = PolicyForms.showing(base, name=name, note=note, reader=request.user, policy=policy)
    elif "add_row" in request.POST:
        forms = PolicyForms.with_a_row_more(request, base, policy)
        if request.FILES:
            messages.warning(
                request, _("Choose the machine list again: a file is not kept while rows are added.")
            )
    else:
        forms = PolicyForms.sent(request, base, policy)
        if forms.is_valid():
            values = forms.form.cleaned_data
            keep_policy_draft(
                request,
                PolicyDraft(
                    policy=policy.pk if policy else None,
                    based_on=_number(request.POST.get("based_on", ""), based_on),
                    name=values["name"],
                    note=values["note"],
                    terms=forms.terms,
                ),
            )
            return redirect("policy-preview")
        status = 422
    context = {
        "policy": policy,
        "based_on": based_on,
        "form": forms.form,
        "tiers": forms.tiers,
        "machines": len(base.machines),
    }
    return render(request, "web/policy_form.html", context, status=status)


def _number(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else otherwise


@policy_owners_only
def policy_preview(request: PersonRequest) -> HttpResponse:
    """What the drafted terms would say now; saved on POST."""
    draft = read_policy_draft(request)
    policy = Policy.objects.filter(pk=draft.policy).first() if draft and draft.policy else None
    if draft is None or (draft.policy and policy is None):
        messages.warning(request, _("There is no draft of a policy any more; begin again."))
        return redirect("policy-list")
    if request.method == "POST":
        return _save(request, draft, policy)
    as_of = timezone.now()
    version = policy.latest if policy else None
    old = read_terms(version.terms) if version else None
    context = {
        "draft": draft,
        "policy": policy,
        "policy_version": version,
        "moved": version is not None and version.number != draft.based_on,
        "changes": drafting.differences(old, draft.terms) if old else [],
        "renamed": policy.name if policy and policy.name != draft.name else "",
        "preview": preview(version, draft.terms, request.user, as_of=as_of, name=draft.name),
        "back": f"{reverse('policy-edit', args=[policy.pk]) if policy else reverse('policy-add')}?draft=1",
    }
    return render(request, "web/policy_preview.html", context)


def _save(request: PersonRequest, draft: PolicyDraft, policy: Policy | None) -> HttpResponse:
    if request.POST.get("seal") != draft.seal:
        messages.warning(request, _("Another draft was made in another window meanwhile: this is that one."))
        return redirect("policy-preview")
    kept: dict[str, Any] = {
        "name": draft.name,
        "note": draft.note,
        "person": request.user,
        "actor": actor_of(request),
        "at": timezone.now(),
    }
    try:
        if policy:
            made = drafting.change_policy(policy, draft.terms, based_on=draft.based_on, **kept)
        else:
            made = drafting.add_policy(kept.pop("name"), draft.terms, **kept)
            policy = made.policy
    except (drafting.PolicyMoved, drafting.NameTaken) as refused:
        messages.error(request, str(refused))
        if isinstance(refused, drafting.NameTaken) or policy is None:
            return redirect("policy-preview")
        drop_policy_draft(request)
        return redirect("policy-detail", policy.pk)
    drop_policy_draft(request)
    said = _("Saved: %s.") % made if made else _("Nothing was changed but the name, so no version was made.")
    messages.success(request, said)
    return redirect("policy-detail", policy.pk)


@require_POST
@policy_owners_only
def policy_retire(request: PersonRequest, pk: int) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=pk)
    drafting.retire(policy, actor=actor_of(request), at=timezone.now())
    messages.success(request, _("%s is retired: it judges no new report. What it judged stays.") % policy)
    return redirect("policy-detail", pk)


@require_POST
@policy_owners_only
def policy_reopen(request: PersonRequest, pk: int) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=pk)
    drafting.reopen(policy, actor=actor_of(request))
    messages.success(request, _("%s is in force again.") % policy)
    return redirect("policy-detail", pk)
