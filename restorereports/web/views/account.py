"""Log-in, the reader's own account, and the first administrator."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.views import LoginView
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from restorereports.models import User

from ..access import PersonRequest
from ..first_run import is_open, wait_for_others
from ..forms.account import AccountForm, FirstAdministratorForm, zone_names

log_in = LoginView.as_view(template_name="web/login.html", redirect_authenticated_user=True)


@sensitive_post_parameters()
def account(request: PersonRequest) -> HttpResponse:
    """Two forms on one page: settings, and the password."""
    changes_password = request.method == "POST" and "new_password1" in request.POST
    user = User.objects.get(username=request.user.get_username())
    settings = AccountForm(
        request.POST if request.method == "POST" and not changes_password else None, instance=user
    )
    password = PasswordChangeForm(user, request.POST if changes_password else None)
    password.fields["old_password"].widget.attrs.pop("autofocus", None)  # the page begins with the settings
    form = password if changes_password else settings
    if form.is_valid():
        saved = form.save()
        update_session_auth_hash(request, saved)
        messages.success(request, _("The password is changed.") if changes_password else _("Saved."))
        return redirect("account")
    context = {"settings": settings, "password": password, "zones": zone_names()}
    return render(request, "web/account.html", context)


@login_not_required
@sensitive_post_parameters()
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """Make the first administrator; the link is worth nothing once there is a user."""
    form = FirstAdministratorForm(request.POST or None)
    with transaction.atomic():
        wait_for_others()  # of two who send the form at once, the second finds a user
        if not is_open(token):
            return _closed(request)
        user = form.save() if form.is_valid() else None
    if user:
        login(request, user)
        return redirect("enterprisemanager-add")
    return render(request, "web/welcome.html", {"form": form, "zones": zone_names()})


def _closed(request: HttpRequest) -> HttpResponse:
    sentence = _(
        "This link made the first administrator, and works once, for 24 hours. "
        "If there is no account yet, start the installation again: it prints a new one."
    )
    return render(request, "web/error_404.html", {"sentence": sentence}, status=404)
