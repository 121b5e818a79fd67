"""Who asks: people who are logged in, and what their roles let them do."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django_htmx.middleware import HtmxDetails

from restorereports.models import Act, User

if TYPE_CHECKING:

    class PersonRequest(HttpRequest):
        """A request behind the log-in."""

        user: User
        htmx: HtmxDetails
else:
    PersonRequest = HttpRequest

View = Callable[..., HttpResponseBase]


def only(act: Act) -> Callable[[View], View]:
    """403 for whoever's role does not allow it, before anything is looked up; no page shows them the way here."""

    def guard(view: View) -> View:
        @functools.wraps(view)
        def guarded(request: PersonRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.may(act):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return guarded

    return guard


administrators_only = only(Act.ADMINISTER)


def policy_owners_only(view: View) -> View:
    """A policy speaks of the whole estate: whoever changes one, or the rules for classes, sees everything as well."""

    @functools.wraps(view)
    def guarded(request: PersonRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not may_change_policies(request.user):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return guarded


def may_change_policies(person: User) -> bool:
    return person.may(Act.SET_POLICY) and sees_whole_policies(person)


def sees_whole_policies(person: User) -> bool:
    """Whether rules, machine lists, reasons and everybody's exemptions are shown to this person.

    All others see a policy's name, version, tiers with window, target and RTO, and the figures of their own VMs.
    """
    return person.granted.everything
