"""A person's own API tokens: the list, making one, ending one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from restorereports.models import ApiToken
from restorereports.models.api_token import GROUPS_COUNT_FOR
from restorereports.sign_in.actor import actor_of
from restorereports.sign_in.tokens import TooManyTokens, make_token, revoke_token

from ..access import PersonRequest
from ..forms.api_token import ApiTokenForm

SHOWN = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRow:
    """A token as its owner sees it. `good`: it still opens the API."""

    token: ApiToken
    scopes: list[str]
    good: bool
    state: str


@require_http_methods(["GET", "HEAD", "POST"])
def api_token_list(request: PersonRequest) -> HttpResponse:
    """The tokens and a form. The answer to the form shows the new token, and nothing ever shows it again."""
    at = timezone.now()
    form = ApiTokenForm(request.POST if request.method == "POST" else None, person=request.user)
    text = _make(request, form, at) if form.is_valid() else None
    if text:
        form = ApiTokenForm(person=request.user)
    context = {"rows": _rows(request, at), "form": form, "text": text, "groups_count_for": GROUPS_COUNT_FOR}
    return render(request, "web/api_token_list.html", context)


def _make(request: PersonRequest, form: ApiTokenForm, at: datetime) -> str | None:
    asked = form.cleaned_data
    try:
        _token, text = make_token(
            request.user,
            name=asked["name"],
            scopes=asked["scopes"],
            expires_at=form.expires_at(at),
            actor=actor_of(request),
            at=at,
        )
    except TooManyTokens as refused:
        form.add_error(None, str(refused))
        return None
    return text


@require_POST
def api_token_revoke(request: PersonRequest, pk: int) -> HttpResponse:
    """End one of one's own tokens for good."""
    token = get_object_or_404(ApiToken.objects.filter(user=request.user), pk=pk)
    if revoke_token(token, actor=actor_of(request), at=timezone.now()):
        messages.success(request, _("The token is revoked. Programs that still use it are refused."))
    return redirect("api-token-list")


def _rows(request: PersonRequest, at: datetime) -> list[TokenRow]:
    """Those that work first, then the newest."""
    own = ApiToken.objects.filter(user=request.user)
    good = set(own.good(at).values_list("pk", flat=True))
    scopes = dict(ApiToken.Scope.choices)
    rows = [
        TokenRow(
            token=token,
            scopes=[str(scopes.get(scope, scope)) for scope in token.scopes],
            good=token.pk in good,
            state=_state(token, good=token.pk in good, at=at),
        )
        for token in own[:SHOWN]
    ]
    return sorted(rows, key=lambda row: not row.good)


def _state(token: ApiToken, *, good: bool, at: datetime) -> str:
    if good:
        return _("Works")
    if token.revoked_at:
        return _("Revoked")
    if token.expires_at <= at:
        return _("Over")
    return _("Ended with your log-ins")
