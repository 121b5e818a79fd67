"""OpenID Connect: the authorization code flow with PKCE, from the button to checked claims.

What it speaks to is one identity provider, OIDC_ISSUER. Tokens are looked at and forgotten.
https://openid.net/specs/openid-connect-core-1_0.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from django.conf import settings
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from .provider_requests import (
    KNOWN_ERRORS,
    ProviderError,
    RefusedByProvider,
    UnexpectedAnswer,
    Unreachable,
    discovered,
    exchange,
    is_safe,
    read_json,
    refusal,
    session,
)

__all__ = [
    "Begun",
    "Claims",
    "ProviderError",
    "RefusedByProvider",
    "UnexpectedAnswer",
    "Unreachable",
    "begin",
    "finish",
    "is_configured",
]

LEEWAY: Final = 60  # seconds between two clocks
# Signatures by a key that only the provider has; "none" and a shared secret prove nothing about who signed.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
MOST_GROUPS: Final = 2000


@dataclass(frozen=True, slots=True)
class Begun:
    """What a log-in began with; it stays in the http session until the answer comes."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """What the provider says of a person, checked. `groups` as it spells them."""

    issuer: str
    subject: str
    username: str
    name: str
    groups: tuple[str, ...]


def is_configured() -> bool:
    return bool(settings.OIDC_ISSUER)


def begin(redirect_uri: str) -> tuple[str, Begun]:
    """The provider's address to send the browser to, and what must be remembered. ProviderError."""
    begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))
    with session(redirect_uri) as http:
        metadata = discovered(http)
        address, _state = http.create_authorization_url(
            metadata["authorization_endpoint"],
            state=begun.state,
            nonce=begun.nonce,
            code_verifier=begun.verifier,
        )
    return address, begun


def finish(answer: Mapping[str, str], begun: Begun, *, redirect_uri: str, at: datetime) -> Claims:
    """The claims behind the answer that the browser brought back. ProviderError says why there are none."""
    refused = "error" in answer
    # Some providers leave the state out when they refuse; that lets nobody in, so that it may be said.
    if not constant_time_compare(answer.get("state", begun.state if refused else ""), begun.state):
        raise UnexpectedAnswer(_("The answer does not belong to this log-in. Begin again."))
    if answer.get("iss", settings.OIDC_ISSUER) != settings.OIDC_ISSUER:
        raise UnexpectedAnswer(
            _("The answer comes from another identity provider than this log-in began with.")
        )
    if refused:
        known = answer["error"] if answer["error"] in KNOWN_ERRORS else "unknown"
        raise refusal(known)
    with session(redirect_uri) as http:
        metadata = discovered(http)
        token = exchange(http, metadata, answer.get("code", ""), begun.verifier)
        claims = _checked(http, metadata, token, begun, at)
        return _read(http, metadata, claims)


def _checked(
    http: OAuth2Session, metadata: dict[str, Any], token: dict[str, Any], begun: Begun, at: datetime
) -> dict[str, Any]:
    """Signature, issuer, audience, end and nonce."""
    try:
        keys = KeySet.import_key_set(read_json(http, metadata["jwks_uri"]))  # type: ignore[arg-type]
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        opened = jwt.decode(token["id_token"], keys, registry=registry)
        options = {
            "iss": {"essential": True, "value": settings.OIDC_ISSUER},
            "aud": {"essential": True, "value": settings.OIDC_CLIENT_ID},
            "nonce": {"essential": True, "value": begun.nonce},
        }
        known = {"client_id": settings.OIDC_CLIENT_ID, "nonce": begun.nonce}
        claims = CodeIDToken(opened.claims, opened.header, options, known)
        claims.validate(now=int(at.timestamp()), leeway=LEEWAY)
    except (JoseError, AuthlibBaseError, ValueError, KeyError, TypeError) as wrong:
        raise UnexpectedAnswer(
            _("The identity provider’s ID token could not be trusted (%(why)s). Tell an administrator.")
            % {"why": _why(wrong)}
        ) from None
    return dict(claims) | {"access_token": token.get("access_token")}


def _why(wrong: Exception) -> str:
    """The claim or the rule that failed, never what the token holds."""
    claim = getattr(wrong, "claim", None)
    return str(claim or getattr(wrong, "error", "") or type(wrong).__name__)


def _read(http: OAuth2Session, metadata: dict[str, Any], claims: dict[str, Any]) -> Claims:
    """The claims as ours; what the ID token leaves out is in the user info, of the same subject."""
    subject = claims.get("sub")
    if not (subject and _is_storable(subject) and len(subject) <= 255):
        raise UnexpectedAnswer(_("The identity provider’s ID token names no subject. Tell an administrator."))
    if settings.OIDC_GROUPS_CLAIM not in claims and is_safe(metadata.get("userinfo_endpoint")):
        bearer = {"Authorization": f"Bearer {claims['access_token']}"}
        more = read_json(http, metadata["userinfo_endpoint"], headers=bearer)
        if more.get("sub") != subject:
            raise UnexpectedAnswer(
                _("The identity provider’s user info is of somebody else. Tell an administrator.")
            )
        claims = more | {name: value for name, value in claims.items() if value is not None}
    groups = claims.get(settings.OIDC_GROUPS_CLAIM)
    listed = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    return Claims(
        issuer=settings.OIDC_ISSUER,
        subject=subject,
        username=_text(claims.get("preferred_username")),
        name=_text(claims.get("name")),
        groups=tuple(sorted({one for one in listed if one and _is_storable(one)}))[:MOST_GROUPS],
    )


def _text(value: object) -> str:
    return str(value).strip() if _is_storable(value) else ""


def _is_storable(value: object) -> bool:
    """A text that every database takes: no zero character, no half of a pair."""
    return isinstance(value, str) and value.replace("\x00", "").encode(errors="ignore").decode() == value
