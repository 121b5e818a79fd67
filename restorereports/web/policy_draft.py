"""A policy between its form and its saving: kept in the log-in's session, machine list and all, compressed."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

from restorereports.models import Policy
from restorereports.policies.terms import Terms, canonical, read_terms, sha256_of

KEY: Final = "policy_draft"


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyDraft:
    """`policy` None: a new one. `based_on`: the version whose change it is, 0 for a new policy."""

    policy: int | None
    based_on: int
    name: str
    note: str
    terms: Terms

    @property
    def seal(self) -> str:
        """What the page of the preview sends back, so that nobody saves what another window has drafted since."""
        return f"{self.policy or 0}-{self.based_on}-{sha256_of(self.terms)}"

    def is_of(self, policy: Policy | None) -> bool:
        return self.policy == (policy.pk if policy else None)


def keep_policy_draft(request: HttpRequest, draft: PolicyDraft) -> None:
    packed = zlib.compress(canonical(draft.terms).encode("utf-8", "surrogatepass"))
    request.session[KEY] = {
        "policy": draft.policy,
        "based_on": draft.based_on,
        "name": draft.name,
        "note": draft.note,
        "terms": base64.b64encode(packed).decode(),
    }


def read_policy_draft(request: HttpRequest) -> PolicyDraft | None:
    plain = request.session.get(KEY)
    if not plain:
        return None
    text = zlib.decompress(base64.b64decode(plain["terms"])).decode("utf-8", "surrogatepass")
    return PolicyDraft(**plain | {"terms": read_terms(json.loads(text))})


def drop_policy_draft(request: HttpRequest) -> None:
    request.session.pop(KEY, None)
