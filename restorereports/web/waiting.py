"""How a page says that no further try is taken for a while."""

from __future__ import annotations

import math

from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from restorereports.sign_in.tries import TooManyTries


def wait_sentence(refused: TooManyTries) -> str:
    seconds = math.ceil(refused.wait.total_seconds())
    if seconds < 60:
        wait = ngettext("%d second", "%d seconds", seconds) % seconds
    else:
        minutes = math.ceil(seconds / 60)
        wait = ngettext("%d minute", "%d minutes", minutes) % minutes
    return _("Too many wrong tries. Wait %s; until then even what is right is not looked at.") % wait


def page_of_waiting(
    request: HttpRequest, template: str, form: Form, refused: TooManyTries, **context: object
) -> HttpResponse:
    """The same page with the sentence, 429 and Retry-After; the form has been checked before."""
    form.add_error(None, wait_sentence(refused))
    response = render(request, template, {"form": form} | context, status=429)
    response["Retry-After"] = str(math.ceil(refused.wait.total_seconds()))
    return response
