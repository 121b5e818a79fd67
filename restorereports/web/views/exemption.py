"""Exemptions of a policy: giving and withdrawing them."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from restorereports.models import Exemption, Policy, VirtualMachine
from restorereports.policies.exemptions import ExemptionRefused, give_exemption, withdraw_exemption
from restorereports.sign_in.actor import actor_of

from ..access import PersonRequest, policy_owners_only
from ..forms.exemption import ExemptionForm


@policy_owners_only
def exemption_add(request: PersonRequest, pk: int) -> HttpResponse:
    policy = get_object_or_404(Policy, pk=pk)
    form = ExemptionForm(request.POST or None, reader=request.user, initial=_initial(request))
    if form.is_valid() and _given(request, policy, form):
        messages.success(request, _("The exemption is given."))
        return redirect(f"{reverse('policy-detail', args=[pk])}#exemptions")
    status = 422 if form.errors else 200
    return render(request, "web/exemption_form.html", {"policy": policy, "form": form}, status=status)


def _given(request: PersonRequest, policy: Policy, form: ExemptionForm) -> bool:
    values = form.cleaned_data
    try:
        give_exemption(
            policy,
            values["virtual_machine"],
            reason=values["reason"],
            approver=values["approver"],
            expires_at=form.expires_at(),
            person=request.user,
            actor=actor_of(request),
            at=timezone.now(),
        )
    except ExemptionRefused as refused:
        form.add_error(None, str(refused))
        return False
    return True


def _initial(request: PersonRequest) -> dict[str, Any]:
    """The VM from whose page one came."""
    text = request.GET.get("vm", "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 18):
        return {}
    visible = VirtualMachine.objects.visible_to(request.user).select_related("backup_server")
    vm = visible.filter(pk=int(text)).first()
    return {"vm": vm.pk, "vm_name": vm.name, "backup_server": vm.backup_server.name} if vm else {}


@require_POST
@policy_owners_only
def exemption_withdraw(request: PersonRequest, pk: int, exemption: int) -> HttpResponse:
    visible = Exemption.objects.visible_to(request.user)
    found = get_object_or_404(visible, policy=pk, pk=exemption)
    try:
        withdraw_exemption(found, person=request.user, actor=actor_of(request), at=timezone.now())
    except ExemptionRefused as refused:
        messages.warning(request, str(refused))
    else:
        messages.success(request, _("The exemption is withdrawn; the VM is measured again."))
    return redirect(f"{reverse('policy-detail', args=[pk])}#exemptions")
