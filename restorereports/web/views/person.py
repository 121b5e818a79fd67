"""Who may come in, what each may do and see; for administrators."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from restorereports.models import Identity, LastAdministrator, SecondFactor, User
from restorereports.sign_in.actor import actor_of
from restorereports.sign_in.links import NoLinkPossible, make_link
from restorereports.sign_in.people import FromIdentityProvider, add_person, change_person
from restorereports.wording import name_text

from ..access import PersonRequest, administrators_only
from ..forms.person import AddPersonForm, EditPersonForm
from ..sees import ROLES, seen_by_people

PEOPLE_SHOWN = 100


@require_safe
@administrators_only
def person_list(request: PersonRequest) -> HttpResponse:
    """By user name; `?after=` is the last name of the page before."""
    after = request.GET.get("after", "").replace("\0", "")
    people = User.objects.visible_to(request.user).order_by("username")
    found = list(people.filter(username__gt=after)[: PEOPLE_SHOWN + 1])
    shown = found[:PEOPLE_SHOWN]
    sees = seen_by_people(shown)
    from_provider = set(Identity.objects.filter(user__in=shown).values_list("user", flat=True))
    factors = SecondFactor.objects.filter(user__in=shown).exclude(confirmed_at=None)
    second_factor = set(factors.values_list("user", flat=True))
    rows = [
        {
            "person": person,
            "sees": sees[person.pk],
            "from_provider": person.pk in from_provider,
            "second_factor": person.pk in second_factor,
        }
        for person in shown
    ]
    last = shown[-1].username if len(found) > PEOPLE_SHOWN else ""
    return render(request, "web/person_list.html", {"rows": rows, "last": last, "first": not after})


@never_cache
@administrators_only
def person_add(request: PersonRequest) -> HttpResponse:
    """The answer to a good form shows the one-time link: once, for it is kept nowhere."""
    form = AddPersonForm(request.POST or None, reader=request.user)
    if form.is_valid():
        person = form.save(commit=False)
        try:
            with transaction.atomic():
                add_person(person, sees=form.sees(), actor=actor_of(request))
                path = make_link(person, actor=actor_of(request))
        except ValidationError as refused:  # somebody else took the name since the form was checked
            form.add_error(None, refused.messages)
        else:
            return _show_link(request, person, path, added=True)
    return render(request, "web/person_add.html", {"form": form, "roles": ROLES})


@administrators_only
def person_edit(request: PersonRequest, pk: int) -> HttpResponse:
    person = _get(request, pk)
    from_provider = Identity.objects.filter(user=person).exists()
    form = EditPersonForm(
        request.POST or None, person=person, reader=request.user, from_provider=from_provider
    )
    if request.method == "POST" and form.is_valid() and _change(request, person, form):
        return redirect("person-list")
    context = {
        "form": form,
        "person": person,
        "from_provider": from_provider,
        "second_factor": SecondFactor.objects.filter(user=person).exclude(confirmed_at=None).exists(),
        "sees": seen_by_people([person])[person.pk],
        "roles": ROLES,
    }
    return render(request, "web/person_edit.html", context)


def _change(request: PersonRequest, person: User, form: EditPersonForm) -> bool:
    """Whether it is saved; if not, the form says why."""
    try:
        changed = change_person(person, actor=actor_of(request), **form.changes())
    except (LastAdministrator, FromIdentityProvider) as refused:
        form.add_error(None, str(refused))
        return False
    name = name_text(changed.get_username())
    if changed.is_active and seen_by_people([changed])[changed.pk].nothing:
        messages.warning(request, _("Saved. %s sees nothing: nothing is granted.") % name)
    else:
        messages.success(request, _("Saved: %s.") % name)
    return True


@never_cache
@require_POST
@administrators_only
def person_link(request: PersonRequest, pk: int) -> HttpResponse:
    """Make a one-time link and show it once; whatever the person has open ends."""
    person = _get(request, pk)
    try:
        path = make_link(
            person, actor=actor_of(request), without_second_factor="without_second_factor" in request.POST
        )
    except NoLinkPossible as refused:
        messages.warning(request, str(refused))
        return redirect("person-edit", pk=pk)
    return _show_link(request, person, path)


def _get(request: PersonRequest, pk: int) -> User:
    found: User = get_object_or_404(User.objects.visible_to(request.user), pk=pk)
    return found


def _show_link(request: PersonRequest, person: User, path: str, **context: Any) -> HttpResponse:
    context |= {"person": person, "address": request.build_absolute_uri(path)}
    if not seen_by_people([person])[person.pk].nothing:
        return render(request, "web/person_link.html", context)
    return render(request, "web/person_link.html", context | {"sees_nothing": True})
