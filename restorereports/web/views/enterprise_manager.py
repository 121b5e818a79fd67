"""Enterprise Managers: how their syncs are, one by one and together, and what administrators may do."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from restorereports.audit import Action, record
from restorereports.mirror.certificate import CertificateFacts, certificate_facts
from restorereports.mirror.check import check_enterprise_manager
from restorereports.mirror.on_record import changes, facts_of, record_test
from restorereports.models import Act, EnterpriseManager, Gap, RestoreSession, SyncRun
from restorereports.models.counts import count_up_to
from restorereports.sign_in.actor import actor_of
from restorereports.tasks import start_due_syncs

from ..access import PersonRequest, administrators_only, only
from ..backup_servers import protected, servers_of
from ..checked import keep_result, offered_in, read_result, untried
from ..forms.enterprise_manager import EnterpriseManagerEditForm, PinForm
from ..forms.gap import GapNoteForm
from ..gaps import explain, gaps_of
from ..health import health_of
from ..reconciliations import compared
from ..wake import wake

RUNS_SHOWN = 25
# A sync writes to the same row meanwhile, so each act saves only what it changes.
_PAUSE = ("paused_at", "paused_because", "offered_pem")
_TRUST = ("ca_pem", "pin_sha256", "pinned_pem", "pinned_at")
_CREDENTIALS = ("password_token", "credentials_changed_at")
_EDITED = tuple(dict.fromkeys((*EnterpriseManagerEditForm.Meta.fields, *_CREDENTIALS, *_TRUST, *_PAUSE)))


def _get(request: PersonRequest, pk: int) -> Any:
    visible = EnterpriseManager.objects.visible_to(request.user)
    return get_object_or_404(visible.with_health(), pk=pk)


def _locked(request: PersonRequest, pk: int) -> EnterpriseManager:
    """As it is now, and stays until the transaction ends: a sync may pause it, another person pin, meanwhile."""
    visible = EnterpriseManager.objects.visible_to(request.user)
    return get_object_or_404(visible.select_for_update(no_key=True), pk=pk)


def _get_whole(request: PersonRequest, pk: int) -> Any:
    """404 also for whoever may see some of its backup servers only."""
    em = _get(request, pk)
    if not request.user.granted.whole(em.pk):
        raise Http404
    return em


@require_safe
def enterprisemanager_list(request: PersonRequest) -> HttpResponse:
    """All of them; what the page shows is what every page's head is made of."""
    return render(request, "web/enterprisemanager_list.html")


@require_safe
def enterprisemanager_detail(request: PersonRequest, pk: int) -> HttpResponse:
    return _page(request, _get(request, pk))


def _page(
    request: PersonRequest,
    em: Any,
    *,
    pin_form: PinForm | None = None,
    gap_form: GapNoteForm | None = None,
    status: int = 200,
) -> HttpResponse:
    as_of = timezone.now()
    runs = list(em.runs.all()[:RUNS_SHOWN])
    running = next((run for run in runs if run.status == SyncRun.Status.RUNNING), None)
    last_good = em.runs.filter(status=SyncRun.Status.GOOD).first()
    rows = RestoreSession.objects.visible_to(request.user).from_enterprise_managers([em.pk])
    steps = read_result(request, key=_result_key(em))
    inventory = protected(em)
    servers = servers_of(em, request.user, as_of=as_of, inventory=inventory.good is not None)
    comparison = compared(em, request.user, servers.names)
    context = {
        "em": em,
        "health": health_of(em, request.user, as_of=as_of, running=running is not None),
        "runs": runs,
        "run": running,
        "requested": _requested(em, running),
        "odd_runs": {
            "missing": any(run.missing for run in runs),
            "unanswered": any(run.unanswered for run in runs),
            "compared": any(run.pk in comparison.states for run in runs),
        },
        "last_good": last_good,
        "last_ended": next((run for run in runs if run.status != SyncRun.Status.RUNNING), None),
        "known_role": _latest(runs, last_good, "role"),
        "clocks": _latest(runs, last_good, "clock_skew_seconds"),
        "collector": _latest(runs, last_good, "collector"),
        "forgets_at": em.last_good_at + em.window if em.last_good_at else None,
        "count": count_up_to(rows),
        "gaps": gaps_of(em, request.user, as_of=as_of, refused=gap_form),
        "compared": comparison,
        "servers": servers,
        "installation_zone": settings.TIME_ZONE,
        "inventory": inventory,
        "steps": steps,
        "untried": untried(steps),
        "tested": offered_in(steps),
        "pinned": _facts(em.pinned_pem),
        "offered": _facts(em.offered_pem),
        "pin_form": pin_form or PinForm(),
    }
    return render(request, "web/enterprisemanager_detail.html", context, status=status)


def _latest(runs: list[SyncRun], last_good: SyncRun | None, field: str) -> SyncRun | None:
    """The newest run that knows this: of those the page shows, else the last good one; no search of all runs."""
    candidates = [*runs, last_good] if last_good else runs
    return next((run for run in candidates if run and getattr(run, field) not in ("", None)), None)


def _requested(em: EnterpriseManager, running: SyncRun | None) -> bool:
    return bool(em.sync_requested_at and not running and em.is_active and not em.paused_at)


def _facts(pem: str) -> CertificateFacts | None:
    """The certificate's facts, or None where there is none that can be read."""
    try:
        return certificate_facts(pem) if pem else None
    except ValidationError:
        return None


def _result_key(em: EnterpriseManager) -> str:
    return f"enterprise_manager_check_{em.pk}"


@require_safe
def enterprisemanager_progress(request: PersonRequest, pk: int) -> HttpResponse:
    """The running sync as a fragment; once it has ended the whole page is loaded anew."""
    em = _get_whole(request, pk)
    run = em.runs.running().first()
    context = {"em": em, "run": run, "requested": _requested(em, run)}
    response = render(request, "web/parts/progress.html", context)
    if run is None and not context["requested"]:
        response["HX-Refresh"] = "true"
    return response


@require_POST
@administrators_only
def enterprisemanager_sync(request: PersonRequest, pk: int) -> HttpResponse:
    """Sync now: noted in the database, then the workers are woken."""
    em = _get(request, pk)
    if em.paused_at or not em.is_active:
        messages.warning(request, _("No sync was started: it is paused or switched off."))
        return redirect("enterprisemanager-detail", pk)
    with transaction.atomic():
        visible = EnterpriseManager.objects.visible_to(request.user)
        visible.filter(pk=pk).update(sync_requested_at=timezone.now())
        record(Action.EM_SYNC_REQUESTED, actor_of(request), of=em)
    wake(start_due_syncs)
    return redirect("enterprisemanager-detail", pk)


@require_POST
@administrators_only
def enterprisemanager_resume(request: PersonRequest, pk: int) -> HttpResponse:
    """Try again after a refused log-on: one attempt with the account as it is."""
    with transaction.atomic():
        em = _locked(request, pk)
        resumed = em.paused_because == EnterpriseManager.Pause.LOGON_REFUSED
        if resumed:
            em.resume()
            em.sync_requested_at = timezone.now()
            em.save(update_fields=[*_PAUSE, "sync_requested_at"])
            after = {"resumed_after": EnterpriseManager.Pause.LOGON_REFUSED.value}
            record(Action.EM_SYNC_REQUESTED, actor_of(request), of=em, details=after)
    if resumed:
        wake(start_due_syncs)
    return redirect("enterprisemanager-detail", pk)


@require_POST
@administrators_only
def enterprisemanager_pin(request: PersonRequest, pk: int) -> HttpResponse:
    """Pin the offered certificate, if it is still the one that the page showed."""
    form = PinForm(request.POST)
    with transaction.atomic():
        em = _locked(request, pk)
        tested = offered_in(read_result(request, key=_result_key(em)))
        offered = _facts(em.offered_pem) or _facts(tested["pem"] if tested else "")
        if offered is None:
            messages.warning(request, _("Nothing was pinned: no other certificate is on offer any more."))
            return redirect("enterprisemanager-detail", pk)
        if form.is_valid() and form.cleaned_data["sha256"] != offered.sha256:
            form.add_error("word", _("Yet another certificate is offered now. Compare again."))
        if form.is_valid():
            _pin(request, em, offered)
    if not form.is_valid():
        return _page(request, _get(request, pk), pin_form=form, status=422)
    request.session.pop(_result_key(em), None)
    wake(start_due_syncs)
    messages.success(request, _("The new certificate is pinned; a sync was asked for."))
    return redirect("enterprisemanager-detail", pk)


def _pin(request: PersonRequest, em: EnterpriseManager, offered: CertificateFacts) -> None:
    at = timezone.now()
    pins = {"pin_sha256": [em.pin_sha256, offered.sha256]}
    em.trust_certificate(offered.pem, offered.sha256, at=at)
    em.offered_pem = ""
    em.sync_requested_at = at
    em.save(update_fields=[*_TRUST, *_PAUSE, "sync_requested_at"])
    record(Action.PIN_ACCEPTED, actor_of(request), of=em, details=pins)


@require_POST
@only(Act.NOTE)
def enterprisemanager_explain(request: PersonRequest, pk: int, gap: int) -> HttpResponse:
    """Add what a person has to say about a gap; what stands there stays."""
    em = _get(request, pk)
    found = get_object_or_404(Gap.objects.visible_to(request.user), enterprise_manager=em, pk=gap)
    if not request.user.granted.of(em.pk, found.backup_server_id):
        raise Http404
    form = GapNoteForm(request.POST, gap_id=found.pk)
    if not form.is_valid():
        return _page(request, em, gap_form=form, status=422)
    with transaction.atomic():
        explain(found, form, request.user, at=timezone.now())
        note = {"gap": found.pk, "length": len(form.cleaned_data["text"])}
        record(Action.NOTE_WRITTEN, actor_of(request), of=em, details=note)
    messages.success(request, _("The explanation is kept."))
    return redirect(f"{reverse('enterprisemanager-detail', args=[pk])}#gap-{found.pk}")


@require_POST
@administrators_only
def enterprisemanager_test(request: PersonRequest, pk: int) -> HttpResponse:
    """Test the connection as it is set up; the page then shows the steps."""
    em = _get(request, pk)
    steps = list(check_enterprise_manager(em))
    record_test(em, steps, actor_of(request))
    keep_result(request, steps, key=_result_key(em))
    return redirect("enterprisemanager-detail", pk)


@administrators_only
def enterprisemanager_edit(request: PersonRequest, pk: int) -> HttpResponse:
    em = _get(request, pk)
    if request.method == "POST":
        with transaction.atomic():
            form = _save_edited(request, _locked(request, pk))
        if form.is_valid():
            request.session.pop(_result_key(em), None)
            wake(start_due_syncs)
            messages.success(request, _("Saved."))
            return redirect("enterprisemanager-detail", pk)
    else:
        form = EnterpriseManagerEditForm(None, instance=em, password_kept=bool(em.password_token))
    return render(request, "web/enterprisemanager_edit.html", {"em": em, "form": form, "shown_name": em.name})


def _save_edited(request: PersonRequest, em: EnterpriseManager) -> EnterpriseManagerEditForm:
    """The form, checked against the locked row and saved where it is valid: only what it changes, on record."""
    before = facts_of(em)
    was = {name: getattr(em, name) for name in _EDITED}
    form = EnterpriseManagerEditForm(request.POST, instance=em, password_kept=bool(em.password_token))
    if not form.is_valid():
        return form
    at = timezone.now()
    if form.cleaned_data["password"]:
        em.set_password(form.cleaned_data["password"], at=at)
    if "ca_pem" in form.changed_data and em.ca_pem:
        em.pin_sha256, em.pinned_pem, em.pinned_at = "", "", None
        if em.paused_because == EnterpriseManager.Pause.CERTIFICATE_CHANGED:
            em.resume()
    em.sync_requested_at = at
    changed = [name for name in _EDITED if getattr(em, name) != was[name]]
    em.save(update_fields=[*changed, "sync_requested_at"])
    if found := changes(before, facts_of(em)):
        record(Action.EM_CHANGED, actor_of(request), of=em, details=found)
    return form
