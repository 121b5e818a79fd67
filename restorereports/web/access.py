"""Who asks: people who are logged in, and what only administrators among them may do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django_htmx.middleware import HtmxDetails

from restorereports.models import User

if TYPE_CHECKING:

    class PersonRequest(HttpRequest):
        """A request behind the log-in."""

        user: User
        htmx: HtmxDetails
else:
    PersonRequest = HttpRequest

View = Callable[..., HttpResponse]


def administrators_only(view: View) -> View:
    """403 for everybody else; the pages show them no button that leads here."""

    @functools.wraps(view)
    def guarded(request: PersonRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_administrator:
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded
