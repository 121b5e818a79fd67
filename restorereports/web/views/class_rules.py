"""The rules that say whether a restore was a test: one table, versions, and a run over old restore sessions."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from restorereports.models import ClassRules, RestoreSession, SessionClass
from restorereports.models.counts import count_up_to
from restorereports.policies.class_rules import MOST_RULES, ClassRule, read_rules
from restorereports.policies.classes import change_rules, preview_run, run_rules
from restorereports.policies.terms import TermsError
from restorereports.sign_in.actor import actor_of

from ..access import PersonRequest, policy_owners_only
from ..forms.account import zone_names
from ..forms.class_rules import ClassRuleFormSet, RunForm, SinceForm, WhyForm, rows_of, typed_rows

VERSIONS_SHOWN = 20
MOST_ROWS = 200_000  # that one run in the browser looks at


class _Moved(Exception):
    """Somebody else saved meanwhile."""


def _latest() -> ClassRules | None:
    found: ClassRules | None = ClassRules.objects.order_by("-number").first()
    return found


@policy_owners_only
def class_rules(request: PersonRequest) -> HttpResponse:
    """Save makes the next number; nothing that stands is edited."""
    latest = _latest()
    number = latest.number if latest else 0
    rules = read_rules(latest.rules) if latest else ()
    table, why = ClassRuleFormSet(initial=rows_of(rules), prefix="rule"), WhyForm()
    if request.method == "POST" and "add_row" in request.POST:
        rows = [*typed_rows(request.POST), {"zone": request.user.zone}][:MOST_RULES]
        table = ClassRuleFormSet(initial=rows, prefix="rule")
        why = WhyForm(initial={"note": request.POST.get("note", "")})
    elif request.method == "POST":
        table, why = ClassRuleFormSet(request.POST, prefix="rule"), WhyForm(request.POST)
        if table.is_valid() & why.is_valid():
            wrong = _save(request, tuple(form.rule() for form in table.ordered_forms), why)
            if not wrong:
                return redirect("class-rules")
            why.add_error(None, wrong)
    context = {
        "number": number,
        "table": table,
        "form": why,
        "zones": zone_names(),
        "versions": [_version(one) for one in ClassRules.objects.select_related("made_by")[:VERSIONS_SHOWN]],
        "since_form": SinceForm(),
    }
    refused = why.errors or (table.is_bound and not table.is_valid())
    return render(request, "web/class_rules.html", context, status=422 if refused else 200)


def _save(request: PersonRequest, rules: tuple[ClassRule, ...], why: WhyForm) -> str:
    """ "" when saved, else the sentence that says why not."""
    try:
        with transaction.atomic():
            latest = ClassRules.objects.select_for_update(no_key=True).order_by("-number").first()
            number = latest.number if latest else 0
            if request.POST.get("based_on") != str(number):
                raise _Moved
            made = change_rules(
                rules,
                note=why.cleaned_data["note"],
                person=request.user,
                actor=actor_of(request),
                at=timezone.now(),
            )
    except TermsError as failure:
        return str(failure)
    except _Moved:
        return _("Somebody else saved the rules meanwhile. Open this page anew and change those.")
    messages.success(
        request,
        _("Saved as number %(n)d: new restore sessions follow these, old ones stay as they are.")
        % {"n": made.number},
    )
    return ""


def _version(one: ClassRules) -> dict[str, Any]:
    return {"made": one, "rules": read_rules(one.rules)}


@policy_owners_only
def class_rules_run(request: PersonRequest) -> HttpResponse:
    """On GET what a run would change since the day that the address names, on POST the run."""
    latest = _latest()
    if latest is None:
        messages.warning(request, _("There are no rules yet to run."))
        return redirect("class-rules")
    form = RunForm(request.POST) if request.method == "POST" else SinceForm(request.GET)
    if "since" not in form.data or form.errors.get("since"):
        context = {"since_form": SinceForm(request.GET or None), "number": latest.number}
        return render(request, "web/class_rules_run.html", context, status=422 if form.data else 200)
    since = form.since_at(request.user.zone)
    rows = RestoreSession.objects.visible_to(request.user).started_in(since, None)
    if count_up_to(rows, MOST_ROWS).over:
        form.add_error(
            "since", _("More than 200,000 restore sessions started since then; choose a later day.")
        )
        context = {"since_form": form, "number": latest.number}
        return render(request, "web/class_rules_run.html", context, status=422)
    if isinstance(form, RunForm) and form.is_valid():
        if form.cleaned_data["number"] == latest.number:
            return _run(request, form, since)
        form.add_error(None, _("Other rules were saved meanwhile. These are what they would change."))
    run_form = (
        form
        if isinstance(form, RunForm)
        else RunForm(initial={"since": form.cleaned_data["since"], "number": latest.number})
    )
    preview = preview_run(since=since)
    context = {
        "since_form": SinceForm(initial={"since": form.cleaned_data["since"]}),
        "form": run_form,
        "preview": preview,
        "changes": [
            {"before": SessionClass(before).label, "after": SessionClass(after).label, "n": n}
            for (before, after), n in sorted(preview.changes.items())
        ],
        "number": latest.number,
        "since": since,
    }
    return render(request, "web/class_rules_run.html", context, status=422 if run_form.errors else 200)


def _run(request: PersonRequest, form: RunForm, since: Any) -> HttpResponse:
    done = run_rules(
        since=since,
        reason=form.cleaned_data["reason"],
        person=request.user,
        actor=actor_of(request),
        at=timezone.now(),
    )
    said = _("Rules %(rules)d were run over %(rows)d restore sessions: %(changed)d changed their class.")
    messages.success(request, said % {"rules": done.rules, "rows": done.rows, "changed": done.changed})
    return redirect("class-rules")
