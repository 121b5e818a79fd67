"""Pages whose address is itself the key: whoever knows it may use it, and the browser names it to nobody."""

from __future__ import annotations

import functools
from typing import Any

from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from .access import View


def secret_address(view: View) -> View:
    """No Referer from here. A browser then calls its origin `null`, which the CSRF check would refuse.

    That check is not needed: the address holds what a foreign site cannot know.
    """

    @csrf_exempt
    @functools.wraps(view)
    def unreferred(*args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(*args, **kwargs)
        response["Referrer-Policy"] = "no-referrer"
        return response

    return unreferred
