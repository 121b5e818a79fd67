"""Test a connection step by step, each with what was found, or one line of cause and one of remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _

from restorereports.em.check import Step, check_connection
from restorereports.em.failures import EnterpriseManagerError, TrustError
from restorereports.em.trust import CertificateFacts
from restorereports.models import EnterpriseManager
from restorereports.models.credential import CredentialUnreadable

from .connection import connection_to
from .plain_words import in_plain_words

MAX_SKEW_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedStep:
    """One step as people read it. `certificate` is there when the TLS step was refused, to be pinned."""

    key: str
    label: str
    ok: bool
    finding: str = ""
    cause: str = ""
    remedy: str = ""
    seconds: float = 0.0
    certificate: CertificateFacts | None = None


def check_enterprise_manager(enterprise_manager: EnterpriseManager) -> Iterator[CheckedStep]:
    """The steps in order, ending with the first failed one; works for one that is not saved yet."""
    try:
        connection = connection_to(enterprise_manager)
    except (CredentialUnreadable, EnterpriseManagerError) as failure:
        cause, remedy = str(failure), ""
        if isinstance(failure, EnterpriseManagerError):
            words = in_plain_words(failure)
            cause, remedy = words.cause, words.remedy
        yield CheckedStep(key="settings", label=_("Settings"), ok=False, cause=cause, remedy=remedy)
        return
    for step in check_connection(connection):
        yield _checked(step)


def _checked(step: Step) -> CheckedStep:
    words = in_plain_words(step.error) if step.error else None
    return CheckedStep(
        key=step.key,
        label=_label(step.key),
        ok=step.ok,
        finding=_finding(step),
        cause=words.cause if words else "",
        remedy=words.remedy if words else "",
        seconds=step.seconds,
        certificate=step.error.facts if isinstance(step.error, TrustError) else None,
    )


def _label(key: str) -> str:
    return {
        "resolve": _("Name"),
        "connect": _("Connection"),
        "tls": _("TLS"),
        "api_versions": _("API versions"),
        "logon": _("Log-on"),
        "role": _("Role"),
        "restore_session": _("Restore session"),
        "clock_skew": _("Clock"),
    }[key]


def _finding(step: Step) -> str:
    facts = step.facts
    if not facts:
        return ""
    match step.key:
        case "resolve":
            return f"{facts['host']} → {facts['addresses']}"
        case "connect":
            return _("%(address)s port %(port)s answers") % facts
        case "tls":
            return _tls_finding(facts)
        case "api_versions":
            return facts["api_versions"]
        case "logon":
            return _("accepted for %(username)s") % facts
        case "role":
            return _("%(role)s, inferred from what is refused") % facts
        case "restore_session":
            return _session_finding(facts)
        case _:
            return _clock_finding(facts)


def _tls_finding(facts: dict[str, str]) -> str:
    if facts["encrypted"] == "no":
        return _("not encrypted: plain HTTP was allowed for this address")
    expiry = _("self-signed, valid to %(day)s") if facts["self_signed"] == "yes" else _("valid to %(day)s")
    return _("%(subject)s, issued by %(issuer)s, %(expiry)s, SHA-256 %(sha256)s") % {
        "subject": facts["subject"],
        "issuer": facts["issuer"],
        "expiry": expiry % {"day": facts["not_after"][:10]},
        "sha256": facts["sha256"],
    }


def _session_finding(facts: dict[str, str]) -> str:
    if facts["found"] == "no":
        return _("read; Enterprise Manager lists no restore session")
    return _("read; the oldest is %(name)s of %(day)s") % {
        "name": facts["name"],
        "day": facts["started_at"][:10],
    }


def _clock_finding(facts: dict[str, str]) -> str:
    if facts["seconds"] == "unknown":
        return _("Enterprise Manager sends no time")
    seconds = float(facts["seconds"])
    if abs(seconds) > MAX_SKEW_SECONDS:
        return _("%(seconds)s s apart from ours: more than a minute, look at the clocks") % {
            "seconds": facts["seconds"]
        }
    return _("%(seconds)s s apart from ours") % {"seconds": facts["seconds"]}
