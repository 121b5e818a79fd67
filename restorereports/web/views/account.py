"""The reader's own account, and the first administrator."""

from __future__ import annotations

from typing import Any

from django.conf import settings as installation
from django.contrib import messages
from django.contrib.auth import logout, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from restorereports.audit import Action, record
from restorereports.models import RecoveryCode, User
from restorereports.sign_in import second_factor, tries
from restorereports.sign_in.actor import actor_of
from restorereports.sign_in.lasting import Method, let_in, note_password
from restorereports.sign_in.password import end_everywhere, is_own_password
from restorereports.sign_in.people import change_password

from ..access import PersonRequest
from ..first_run import is_open, wait_for_others
from ..forms.account import AccountForm, FirstAdministratorForm, zone_names
from ..secret_address import secret_address
from ..waiting import wait_sentence


@sensitive_post_parameters()
def account(request: PersonRequest) -> HttpResponse:
    """Zone and theme, password, second factor, and the way out everywhere."""
    user = User.objects.get(pk=request.user.pk)
    local = second_factor.is_local(user)
    changes_password = local and request.method == "POST" and "new_password1" in request.POST
    settings = AccountForm(
        request.POST if request.method == "POST" and not changes_password else None, instance=user
    )
    password = PasswordChangeForm(user, request.POST if changes_password else None)
    password.fields["old_password"].widget.attrs.pop("autofocus", None)  # the page begins with the settings
    status = 200
    if changes_password:
        try:
            if _change_password(request, user, password):
                messages.success(
                    request, _("The password is changed. Everything else you had open has ended.")
                )
                return redirect("account")
        except tries.TooManyTries as refused:
            password.add_error(None, wait_sentence(refused))
            status = 429
    elif settings.is_valid():
        User.objects.filter(pk=user.pk).update(**settings.cleaned_data)  # a role may have changed meanwhile
        messages.success(request, _("Saved."))
        return redirect("account")
    forms = {"settings": settings, "password": password, "zones": zone_names()}
    return render(request, "web/account.html", forms | _sign_in_of(user, local), status=status)


def _change_password(request: PersonRequest, user: User, form: PasswordChangeForm) -> bool:
    """Whether it is changed; this http session goes on, the others and API tokens end."""
    old = request.POST.get("old_password", "")
    if old and not is_own_password(request, user, old):
        form.is_valid()  # says that the old one is wrong
        return False
    if not form.is_valid():
        return False
    try:
        with transaction.atomic():
            fresh = User.objects.select_for_update(no_key=True).get(pk=user.pk)
            change_password(
                fresh, form.cleaned_data["new_password1"], actor=actor_of(request), how="account page"
            )
    except ValidationError as refused:
        form.add_error("new_password2", refused)
        return False
    update_session_auth_hash(request, fresh)
    return True


def _sign_in_of(user: User, local: bool) -> dict[str, Any]:
    """How this person logs in, for the page."""
    unused = RecoveryCode.objects.filter(user=user, used_at=None)
    return {
        "local": local,
        "openid_name": installation.OIDC_NAME,
        "second_factor": second_factor.confirmed(user) if local else None,
        "second_factor_required": installation.SECOND_FACTOR == "required",
        "recovery_codes_left": unused.count() if local else 0,
    }


@require_POST
def log_out_everywhere(request: PersonRequest) -> HttpResponse:
    """End every http session of this person, this one too, and the API tokens."""
    end_everywhere(request, request.user)
    logout(request)
    return redirect(f"{resolve_url(installation.LOGIN_URL)}?ended=everywhere")


@secret_address
@login_not_required
@sensitive_post_parameters()
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator; the link is worth nothing once there is a user."""
    if not is_open(token):  # nobody who only tries addresses gets as far as the lock
        return _closed(request)
    form = FirstAdministratorForm(request.POST or None)
    if form.is_valid():
        with transaction.atomic():
            wait_for_others()  # of two who send the form at once, the second finds a user
            if not is_open(token):
                return _closed(request)
            user = form.save()
            details = {"role": user.role, "has_password": True, "by": "first link"}
            record(Action.PERSON_ADDED, actor_of(request, person=user), of=user, details=details)
        let_in(request, user, method=Method.PASSWORD)
        if second_factor.owes_second_factor(user):
            note_password(request.session, timezone.now())
        return redirect("enterprisemanager-add")
    return render(request, "web/welcome.html", {"form": form, "zones": zone_names()})


def _closed(request: HttpRequest) -> HttpResponse:
    sentence = _(
        "This link made the first administrator, and works once, for 24 hours. "
        "If there is no account yet, start the installation again: it prints a new one."
    )
    return render(request, "web/error_404.html", {"sentence": sentence}, status=404)
