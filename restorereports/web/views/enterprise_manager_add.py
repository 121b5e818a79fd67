"""Adding an Enterprise Manager: address and account, test and trust, save; then its first sync."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from restorereports.mirror.check import check_enterprise_manager
from restorereports.mirror.on_record import record_added, record_test
from restorereports.models import EnterpriseManager
from restorereports.sign_in.actor import actor_of
from restorereports.tasks import start_due_syncs

from ..access import PersonRequest, administrators_only
from ..checked import keep_result, offered_in, read_result, untried
from ..draft import drop_draft, keep_draft, read_draft
from ..forms.enterprise_manager import EnterpriseManagerForm, TrustForm
from ..wake import wake


@administrators_only
def enterprisemanager_add(request: PersonRequest) -> HttpResponse:
    """Step 1. A draft is taken up again, but for its password, which only a test uses."""
    draft = read_draft(request)
    em = draft or EnterpriseManager()
    form = EnterpriseManagerForm(request.POST or None, instance=em, password_kept=draft is not None)
    if form.is_valid():
        em = form.save(commit=False)
        if form.cleaned_data["password"]:
            em.set_password(form.cleaned_data["password"], at=timezone.now())
        if "url" in form.changed_data:
            em.ca_pem = em.pin_sha256 = em.pinned_pem = ""
        keep_draft(request, em)
        return _test(request, em)
    return render(request, "web/enterprisemanager_add.html", {"form": form})


def _test(request: PersonRequest, em: EnterpriseManager) -> HttpResponse:
    steps = list(check_enterprise_manager(em))
    record_test(em, steps, actor_of(request))
    keep_result(request, steps)
    return redirect("enterprisemanager-add-test")


@administrators_only
def enterprisemanager_add_test(request: PersonRequest) -> HttpResponse:
    """Step 2: what the test found; POST trusts the certificate, or only tests again."""
    em = read_draft(request)
    if em is None:
        return redirect("enterprisemanager-add")
    steps = read_result(request)
    offered = offered_in(steps)
    form = TrustForm(request.POST or None, request.FILES or None) if offered else None
    if request.method == "POST":
        if form is None or "again" in request.POST:
            return _test(request, em)
        if form.is_valid() and offered:
            _trust(em, form, offered)
            keep_draft(request, em)
            return _test(request, em)
    context = {
        "em": em,
        "steps": steps,
        "untried": untried(steps),
        "passed": bool(steps) and all(step["ok"] for step in steps),
        "took": sum(step["seconds"] for step in steps),
        "offered": offered,
        "form": form if request.method == "POST" else (TrustForm() if offered else None),
    }
    return render(request, "web/enterprisemanager_add_test.html", context)


def _trust(em: EnterpriseManager, form: TrustForm, offered: dict[str, Any]) -> None:
    if form.cleaned_data["trust"] == TrustForm.PIN:
        em.trust_certificate(offered["pem"], offered["sha256"], at=timezone.now())
    else:
        em.ca_pem, em.pin_sha256, em.pinned_pem = form.cleaned_data["ca_pem"], "", ""


@require_POST
@administrators_only
def enterprisemanager_save(request: PersonRequest) -> HttpResponse:
    """Step 3: save the draft and ask for its first sync."""
    em = read_draft(request)
    if em is None:
        return redirect("enterprisemanager-add")
    at = timezone.now()
    em.credentials_changed_at = em.sync_requested_at = at
    em.pinned_at = at if em.pin_sha256 else None
    if EnterpriseManager.objects.visible_to(request.user).filter(name=em.name).exists():
        return redirect("enterprisemanager-add")  # added meanwhile: the form says that the name is taken
    with transaction.atomic():
        em.save()
        record_added(em, actor_of(request))
    drop_draft(request)
    wake(start_due_syncs)
    return redirect("enterprisemanager-detail", em.pk)
