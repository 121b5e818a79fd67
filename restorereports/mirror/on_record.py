"""What the audit trail says of an Enterprise Manager's settings and tests: never a password, never a certificate's text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError

from restorereports.audit import Action, Actor, record
from restorereports.models import EnterpriseManager

from .certificate import certificate_facts
from .check import CheckedStep

_PLAIN: Final = (
    *("name", "url", "username", "restore_scope", "interval_minutes", "allow_plain_http", "is_active"),
    *("pin_sha256",),
)
_CERTIFICATE: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def facts_of(em: EnterpriseManager) -> dict[str, Any]:
    """The settings as plain values. The encrypted password goes along to be compared, see `changes`."""
    return {name: getattr(em, name) for name in _PLAIN} | {
        "full_sync_at": em.full_sync_at.isoformat("minutes") if em.full_sync_at else None,
        "ca_sha256": _fingerprints(em.ca_pem),
        "password": em.password_token,
    }


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """By field what it was and what it became; of the password only that it changed."""
    found: dict[str, Any] = {
        name: [before[name], after[name]] for name in after if before[name] != after[name]
    }
    if "password" in found:
        found["password"] = {"changed": True}
    return found


def record_added(em: EnterpriseManager, actor: Actor) -> None:
    facts = {name: value for name, value in facts_of(em).items() if name != "password"}
    record(Action.EM_ADDED, actor, of=em, details=facts)


def record_test(em: EnterpriseManager, steps: Iterable[CheckedStep], actor: Actor) -> None:
    """After the test: which steps went well, at which address. It may be one that is not saved yet."""
    details = {"url": em.url, "steps": {step.key: "ok" if step.ok else "not ok" for step in steps}}
    of = em if em.pk else None
    record(Action.EM_TESTED, actor, of=of, name=em.name, details=details)


def _fingerprints(pem: str) -> list[str]:
    """Of each certificate in the text."""
    return [_fingerprint(one) for one in _CERTIFICATE.findall(pem)]


def _fingerprint(pem: str) -> str:
    try:
        return certificate_facts(pem).sha256
    except ValidationError:
        return "not readable"
