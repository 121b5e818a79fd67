"""What the last test of a connection found, kept in the log-in's session: loading a page tests nothing."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from restorereports.mirror.check import CheckedStep

RESULT = "enterprise_manager_check"


def keep_result(request: HttpRequest, steps: list[CheckedStep], *, key: str = RESULT) -> None:
    """What the test found, until the next one; the page can be loaded again without testing again."""
    request.session[key] = [_plain(step) for step in steps]


def read_result(request: HttpRequest, *, key: str = RESULT) -> list[dict[str, Any]]:
    """The steps as the templates read them; empty when nothing was tested."""
    steps: list[dict[str, Any]] = [dict(step) for step in request.session.get(key, [])]
    for step in steps:
        if step["certificate"]:
            facts = dict(step["certificate"])
            for bound in ("not_before", "not_after"):
                facts[bound] = datetime.fromisoformat(facts[bound])
            step["certificate"] = facts
    return steps


def _plain(step: CheckedStep) -> dict[str, Any]:
    plain = dataclasses.asdict(step)
    if plain["certificate"]:
        for bound in ("not_before", "not_after"):
            plain["certificate"][bound] = plain["certificate"][bound].isoformat()
    return plain


def offered_in(steps: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The certificate that the test found and did not trust."""
    return next((step["certificate"] for step in steps if step["certificate"]), None)


def untried(steps: list[dict[str, Any]]) -> list[str]:
    """The steps that a failed one kept from being tried."""
    labels = {
        "resolve": _("Name"),
        "connect": _("Connection"),
        "tls": _("TLS"),
        "api_versions": _("API versions"),
        "logon": _("Log-on"),
        "role": _("Role"),
        "restore_session": _("Restore session"),
        "clock_skew": _("Clock"),
    }
    tried = {step["key"] for step in steps}
    return [label for key, label in labels.items() if key not in tried]
