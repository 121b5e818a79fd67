"""One VM."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from restorereports.models import VirtualMachine

from ..access import PersonRequest, may_change_policies, sees_whole_policies
from ..policies import exemption_rows
from ..virtual_machines import (
    SESSIONS_SHOWN,
    exemptions_of_vm,
    names_of,
    policy_views,
    protection_of,
    sessions_of,
)


@require_safe
def vm_detail(request: PersonRequest, pk: int) -> HttpResponse:
    """Verdicts, restores and identity of one VM."""
    visible = VirtualMachine.objects.visible_to(request.user).select_related("backup_server")
    vm = get_object_or_404(visible, pk=pk)
    as_of = timezone.now()
    rows = sessions_of(vm, request.user)
    context = {
        "vm": vm,
        "views": policy_views(vm, request.user, as_of=as_of),
        "rows": rows,
        "all_shown": len(rows) < SESSIONS_SHOWN,
        "names": names_of(vm, request.user),
        "presences": protection_of(vm),
        "exemptions": exemption_rows(exemptions_of_vm(vm, request.user), as_of=as_of),
        "whole": sees_whole_policies(request.user),
        "may_change": may_change_policies(request.user),
        "today": timezone.localtime(as_of).date(),
    }
    return render(request, "web/vm_detail.html", context)
