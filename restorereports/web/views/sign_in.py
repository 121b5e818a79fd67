"""Log-in by password and second factor, log-in by the identity provider, log-out."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from restorereports.audit import Action, record
from restorereports.sign_in import groups, pending, provider, tries
from restorereports.sign_in.actor import actor_of, address_of
from restorereports.sign_in.lasting import Ended, Method, let_in, note_password
from restorereports.sign_in.password import WrongPassword, local_account
from restorereports.sign_in.second_factor import confirmed, owes_second_factor

from ..forms.sign_in import CodeForm, LogInForm
from ..onwards import next_of, safe
from ..waiting import page_of_waiting, wait_sentence

_STATE = "openid"
_ANSWER_WITHIN = 600  # seconds that somebody may take at the identity provider


@login_not_required
@sensitive_post_parameters("password")
def log_in(request: HttpRequest) -> HttpResponse:
    """The button to the identity provider, and the form for local accounts."""
    onwards = next_of(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(onwards)
    form = LogInForm(request.POST or None)
    context = {"next": onwards, "openid_name": settings.OIDC_NAME if provider.is_configured() else ""}
    if form.is_valid():
        typed = form.cleaned_data
        try:
            user = local_account(request, name=typed["username"], password=typed["password"])
        except tries.TooManyTries as refused:
            return page_of_waiting(request, "web/login.html", form, refused, **context)
        except WrongPassword:
            form.add_error(
                None,
                _(
                    "Please enter a correct username and password. Note that both fields may be case-sensitive."
                ),
            )
        else:
            if confirmed(user):
                pending.begin(request.session, user, onwards=onwards, at=timezone.now())
                return redirect("login-code")
            let_in(request, user, method=Method.PASSWORD)
            if owes_second_factor(user):
                note_password(request.session, timezone.now())
            return HttpResponseRedirect(onwards)
    return render(request, "web/login.html", context | {"form": form, "ended": _why(request)})


def _why(request: HttpRequest) -> str:
    """Why somebody who was logged in stands before the log-in again."""
    hours = int(settings.SIGN_IN_WHOLE.total_seconds() // 3600)
    minutes = int(settings.SIGN_IN_IDLE.total_seconds() // 60)
    return {
        Ended.IDLE.value: _("You were logged out after %d minutes without a request.") % minutes,
        Ended.WHOLE.value: _("You were logged out: a sign-in lasts %d hours.") % hours,
        "everywhere": _("You are logged out everywhere."),
    }.get(request.GET.get("ended", ""), "")


@login_not_required
@sensitive_post_parameters("code")
def log_in_code(request: HttpRequest) -> HttpResponse:
    """The second factor, within five minutes of the password."""
    at = timezone.now()
    found = pending.person_of(request.session, at)
    if found is None:
        return redirect("login")
    form = CodeForm(request.POST or None)
    if form.is_valid():
        try:
            method = pending.try_code(request, found.user, form.cleaned_data["code"], at=at)
        except tries.TooManyTries as refused:
            return page_of_waiting(request, "web/login_code.html", form, refused)
        if method:
            pending.end(request.session)
            let_in(request, found.user, method=method)
            return HttpResponseRedirect(safe(request, found.onwards))
        form.add_error(
            None, _("This code is wrong, or was used already. The app shows a new one every 30 seconds.")
        )
    return render(request, "web/login_code.html", {"form": form})


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    with transaction.atomic():
        record(Action.LOGGED_OUT, actor_of(request))
    logout(request)
    return redirect(settings.LOGOUT_REDIRECT_URL)


@login_not_required
@require_GET
def log_in_openid(request: HttpRequest) -> HttpResponse:
    """Send the browser to the identity provider. A link, no form: `form-action` would stop the way there."""
    _or_404()
    onwards = next_of(request)
    if request.user.is_authenticated:
        return HttpResponseRedirect(onwards)
    try:
        address, begun = provider.begin(_callback(request))
    except provider.ProviderError as failed:
        return _failed(request, failed)
    began = {"next": onwards, "at": timezone.now().timestamp()}
    request.session[_STATE] = asdict(begun) | began
    return HttpResponseRedirect(address)


@login_not_required
@require_GET
def log_in_openid_callback(request: HttpRequest) -> HttpResponse:
    """What the identity provider answers; taken once, and only by the browser that began."""
    _or_404()
    at = timezone.now()
    began: dict[str, Any] = request.session.pop(_STATE, {})
    if began:
        request.session.save()  # at once: with an error of 500 and more nothing would be saved
    if not 0 <= at.timestamp() - began.get("at", 0) < _ANSWER_WITHIN:
        sentence = _("This log-in took too long, or began in another window. Begin again.")
        return _refused(request, sentence, status=400)
    begun = provider.Begun(began["state"], began["nonce"], began["verifier"])
    try:
        claims = provider.finish(request.GET.dict(), begun, redirect_uri=_callback(request), at=at)
    except provider.ProviderError as failed:
        return _failed(request, failed)
    admission = groups.admit(claims, actor=actor_of(request), at=at)
    if admission.user is None:
        return _refused(request, _not_admitted(admission.refused), status=403)
    let_in(request, admission.user, method=Method.OPENID)
    return HttpResponseRedirect(safe(request, began["next"]))


def _not_admitted(why: groups.Why | None) -> str:
    if why is groups.Why.SWITCHED_OFF:
        return _("This account is switched off here. Ask an administrator of Restore Reports.")
    return _(
        "%(provider)s knows you, but none of your groups has access to Restore Reports. "
        "Ask an administrator of Restore Reports to give one of your groups a role, "
        "or whoever looks after %(provider)s to put you into a group that has one; then log in again."
    ) % {"provider": settings.OIDC_NAME}


def _failed(request: HttpRequest, failed: provider.ProviderError) -> HttpResponse:
    """Recorded as often as an address may fail, so that nobody fills the audit trail from outside."""
    try:
        tries.take(tries.of_address(address_of(request)), at=timezone.now())
    except tries.TooManyTries as refused:
        return _refused(request, wait_sentence(refused), status=429)
    with transaction.atomic():
        record(Action.LOG_IN_FAILED, actor_of(request), details={"why": "openid", "what": failed.code})
    return _refused(request, str(failed), status=502)


def _refused(request: HttpRequest, sentence: str, *, status: int) -> HttpResponse:
    return render(request, "web/login_refused.html", {"sentence": sentence, "status": status}, status=status)


def _callback(request: HttpRequest) -> str:
    return request.build_absolute_uri(reverse("login-openid-callback"))


def _or_404() -> None:
    if not provider.is_configured():
        raise Http404
