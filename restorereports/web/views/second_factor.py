"""Setting up the second factor, new recovery codes, removing it; each after the password."""

from __future__ import annotations

import functools
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from restorereports.sign_in import second_factor, tries
from restorereports.sign_in.actor import actor_of
from restorereports.sign_in.lasting import note_password, password_is_fresh
from restorereports.sign_in.password import is_own_password

from ..access import PersonRequest, View
from ..forms.sign_in import AppCodeForm, PasswordForm
from ..waiting import page_of_waiting


def _local_people_only(view: Callable[[PersonRequest], HttpResponse]) -> View:
    """404 for whoever signs in at the identity provider: the second factor is there."""

    @functools.wraps(view)
    def guarded(request: PersonRequest) -> HttpResponse:
        if not second_factor.is_local(request.user):
            raise Http404
        return view(request)

    return guarded


@sensitive_post_parameters("password", "code")
@_local_people_only
def second_factor_set_up(request: PersonRequest) -> HttpResponse:
    """The password, then the QR code with a first code of the app, then the recovery codes."""
    if second_factor.confirmed(request.user):
        return redirect("account")
    at = timezone.now()
    owed = second_factor.owes_second_factor(request.user)
    if not password_is_fresh(request.session, at):
        return _ask_password(request, "web/second_factor_password.html", owed=owed)
    form = AppCodeForm(request.POST if "code" in request.POST else None)
    secret = second_factor.secret_being_set_up(request.user)
    context = {
        "owed": owed,
        "qr_code": second_factor.qr_code(request.user, secret),
        "secret": second_factor.in_groups(secret),
    }
    if form.is_valid():
        whose = tries.of_second_factor(request.user)
        try:
            tries.take(whose, at=at)
        except tries.TooManyTries as refused:
            return page_of_waiting(request, "web/second_factor.html", form, refused, **context)
        code = form.cleaned_data["code"]
        codes = second_factor.confirm(request.user, code, actor=actor_of(request), at=at)
        if codes:
            tries.succeeded(whose, None, at=at)
            return _show_codes(request, codes, owed=owed)
        form.add_error(
            None,
            _(
                "This code is wrong. Check that the clock of the telephone is right, and take the newest code."
            ),
        )
    return render(request, "web/second_factor.html", context | {"form": form})


def _ask_password(request: PersonRequest, template: str, **context: object) -> HttpResponse:
    """The page that asks for it; when it was right, the same address again."""
    form = PasswordForm(request.POST if "password" in request.POST else None)
    try:
        if _is_right(request, form):
            note_password(request.session, timezone.now())
            return redirect(request.path)
    except tries.TooManyTries as refused:
        return page_of_waiting(request, template, form, refused, **context)
    return render(request, template, {"form": form} | context)


def _is_right(request: PersonRequest, form: PasswordForm) -> bool:
    """Whether the form holds the person's password; else it says so itself."""
    if not form.is_valid():
        return False
    if is_own_password(request, request.user, form.cleaned_data["password"]):
        return True
    form.add_error("password", _("This is not your password."))
    return False


def _show_codes(request: PersonRequest, codes: list[str], *, owed: bool = False) -> HttpResponse:
    return render(request, "web/second_factor_codes.html", {"codes": codes, "owed": owed})


@sensitive_post_parameters("password")
@_local_people_only
def recovery_codes_renew(request: PersonRequest) -> HttpResponse:
    """Ten new recovery codes, shown once."""
    if not second_factor.confirmed(request.user):
        return redirect("account")
    form = PasswordForm(request.POST or None)
    template = "web/second_factor_renew.html"
    try:
        if _is_right(request, form):
            return _show_codes(
                request, second_factor.renew_recovery_codes(request.user, actor=actor_of(request))
            )
    except tries.TooManyTries as refused:
        return page_of_waiting(request, template, form, refused)
    return render(request, template, {"form": form})


@sensitive_post_parameters("password")
@_local_people_only
def second_factor_remove(request: PersonRequest) -> HttpResponse:
    """Forget the app, as before a new telephone."""
    if not second_factor.confirmed(request.user):
        return redirect("account")
    form = PasswordForm(request.POST or None)
    context = {"required": settings.SECOND_FACTOR == "required"}
    template = "web/second_factor_remove.html"
    try:
        if _is_right(request, form):
            second_factor.remove(request.user, actor=actor_of(request))
            if context["required"]:
                note_password(request.session, timezone.now())
            messages.success(request, _("The second factor is removed."))
            return redirect("account")
    except tries.TooManyTries as refused:
        return page_of_waiting(request, template, form, refused, **context)
    return render(request, template, {"form": form} | context)
