"""What the groups of the identity provider make of their members; for administrators."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from restorereports.models import GroupRule
from restorereports.sign_in.actor import actor_of
from restorereports.sign_in.group_rules import delete_rule, save_rule
from restorereports.wording import name_text

from ..access import PersonRequest, administrators_only
from ..forms.group import GroupForm
from ..sees import ROLES, seen_by_group


@require_safe
@administrators_only
def group_list(request: PersonRequest) -> HttpResponse:
    rules = GroupRule.objects.prefetch_related("enterprise_managers", "backup_servers")
    rows = [{"rule": rule, "sees": seen_by_group(rule)} for rule in rules]
    issuer = getattr(settings, "OIDC_ISSUER", "")
    return render(request, "web/group_list.html", {"rows": rows, "issuer": issuer})


@administrators_only
def group_add(request: PersonRequest) -> HttpResponse:
    return _edit(request, GroupRule())


@administrators_only
def group_edit(request: PersonRequest, pk: int) -> HttpResponse:
    return _edit(request, get_object_or_404(GroupRule, pk=pk))


@administrators_only
def group_delete(request: PersonRequest, pk: int) -> HttpResponse:
    """Asks once more on GET, deletes on POST."""
    rule = get_object_or_404(GroupRule, pk=pk)
    if request.method == "POST":
        delete_rule(rule, actor=actor_of(request))
        messages.success(request, _("Deleted: %s.") % name_text(rule.group))
        return redirect("group-list")
    return render(request, "web/group_delete.html", {"rule": rule})


def _edit(request: PersonRequest, rule: GroupRule) -> HttpResponse:
    shown_name = rule.group
    form = GroupForm(request.POST or None, instance=rule, reader=request.user)
    if form.is_valid():
        rule = form.save(commit=False)
        save_rule(rule, sees=form.sees(), actor=actor_of(request))
        messages.success(request, _("Saved: %s.") % name_text(rule.group))
        return redirect("group-list")
    context = {"form": form, "shown_name": shown_name, "rule": rule, "roles": ROLES}
    return render(request, "web/group_form.html", context)
