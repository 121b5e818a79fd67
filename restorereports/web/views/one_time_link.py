"""The page behind a one-time link: a new password, once."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from restorereports.sign_in.actor import actor_of
from restorereports.sign_in.links import LinkEnded, person_of, use_link

from ..forms.person import LinkForm
from ..secret_address import secret_address


@secret_address
@login_not_required
@sensitive_post_parameters()
def one_time_link(request: HttpRequest, pk: int, token: str) -> HttpResponse:
    """Looking at it uses nothing up: mail scanners and previews look, too."""
    try:
        person = person_of(pk, token)
        form = LinkForm(person, request.POST or None)
        if form.is_valid():
            use_link(pk, token, form.cleaned_data["new_password1"], actor=actor_of(request))
            messages.success(request, _("The password is set. Log in with it."))
            return redirect("login")
    except LinkEnded:
        return _ended(request)
    except ValidationError as refused:
        form.add_error("new_password1", refused)
    return render(request, "web/link.html", {"form": form, "person": person})


def _ended(request: HttpRequest) -> HttpResponse:
    """The same for every cause."""
    sentence = _(
        "This link opens nothing any more: it works once, for 24 hours. An administrator can make a new one."
    )
    return render(request, "web/error_404.html", {"sentence": sentence}, status=404)
