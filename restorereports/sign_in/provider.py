"""OpenID Connect: the authorization code flow with PKCE, from the button to checked claims.

What it speaks to is one identity provider, OIDC_ISSUER, over addresses that the provider's own discovery document
gives; no proxy of the environment, no redirects, 10 seconds for each answer. Tokens are looked at and forgotten.
https://openid.net/specs/openid-connect-core-1_0.html
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import requests
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

TIMEOUT: Final = 10  # seconds for each answer
LEEWAY: Final = 60  # seconds between two clocks
# Signatures by a key that only the provider has; "none" and a shared secret prove nothing about who signed.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA", "Ed25519"),
)
# RFC 6749 4.1.2.1 and OpenID Connect 3.1.2.6; anything else is not repeated, whoever made the address.
KNOWN_ERRORS: Final = frozenset(
    {
        *("access_denied", "invalid_request", "invalid_scope", "server_error", "temporarily_unavailable"),
        *("unauthorized_client", "unsupported_response_type", "login_required", "consent_required"),
        *("interaction_required", "account_selection_required"),
    }
)
MOST_GROUPS: Final = 2000


class ProviderError(Exception):
    """The identity provider did not prove who this is. `code` is for the audit trail, the text for people."""

    code = "provider"


class Unreachable(ProviderError):
    code = "unreachable"


class UnexpectedAnswer(ProviderError):
    """An answer that does not follow the specification, or is not the one for this log-in."""

    code = "unexpected answer"


class RefusedByProvider(ProviderError):
    code = "refused"


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
    with _session(redirect_uri) as http:
        metadata = _discovered(http)
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
        raise _refusal(known)
    with _session(redirect_uri) as http:
        metadata = _discovered(http)
        token = _exchange(http, metadata, answer.get("code", ""), begun)
        claims = _checked(http, metadata, token, begun, at)
        return _read(http, metadata, claims)


def _session(redirect_uri: str) -> OAuth2Session:
    http = OAuth2Session(
        settings.OIDC_CLIENT_ID,
        settings.OIDC_CLIENT_SECRET,
        scope=settings.OIDC_SCOPE,
        redirect_uri=redirect_uri,
        code_challenge_method="S256",
        default_timeout=TIMEOUT,
    )
    http.trust_env = False  # neither its proxies nor its certificates
    http.verify = settings.OIDC_CA_FILE or True
    return http


def _discovered(http: OAuth2Session) -> dict[str, Any]:
    address = settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration"
    metadata = _json(http, address)
    if metadata.get("issuer") != settings.OIDC_ISSUER:
        raise UnexpectedAnswer(
            _(
                "The identity provider calls itself by another address than OIDC_ISSUER. Tell an administrator."
            )
        )
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not _is_safe(metadata.get(name)):
            raise UnexpectedAnswer(
                _("The identity provider’s description has no safe %(name)s. Tell an administrator.")
                % {"name": name}
            )
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if "client_secret_basic" not in methods and "client_secret_post" in methods:
        http.token_endpoint_auth_method = "client_secret_post"  # noqa: S105  how, not what
    return metadata


def _is_safe(address: object) -> bool:
    """An address under TLS, or the issuer's own scheme where that is on this machine."""
    if not isinstance(address, str):
        return False
    parts, issuer = urlsplit(address), urlsplit(settings.OIDC_ISSUER)
    same_machine = (parts.scheme, parts.hostname) == (issuer.scheme, issuer.hostname)
    return bool(parts.hostname) and (parts.scheme == "https" or same_machine)


def _json(http: OAuth2Session, address: str, **options: Any) -> dict[str, Any]:
    options = {"withhold_token": True} | options
    try:
        response = http.request("GET", address, allow_redirects=False, **options)
        found = response.json() if response.status_code == 200 else None
    except ValueError:  # no JSON
        found = None
    except (requests.RequestException, OSError):
        raise _unreachable() from None
    if not isinstance(found, dict):
        raise UnexpectedAnswer(
            _("The identity provider gave no answer that can be read. Tell an administrator.")
        )
    return found


def _exchange(http: OAuth2Session, metadata: dict[str, Any], code: str, begun: Begun) -> dict[str, Any]:
    """The tokens for the code, which the provider gives only to who holds the secret and the verifier."""
    try:
        token: dict[str, Any] = http.fetch_token(
            metadata["token_endpoint"],
            grant_type="authorization_code",
            code=code,
            code_verifier=begun.verifier,
            allow_redirects=False,
        )
    except AuthlibBaseError:
        raise _refusal("token") from None
    except ValueError:  # no JSON, or none of an object
        token = {}
    except (requests.RequestException, OSError):
        raise _unreachable() from None
    if not isinstance(token.get("id_token"), str):
        raise UnexpectedAnswer(_("The identity provider’s answer has no ID token. Tell an administrator."))
    return token


def _checked(
    http: OAuth2Session, metadata: dict[str, Any], token: dict[str, Any], begun: Begun, at: datetime
) -> dict[str, Any]:
    """Signature, issuer, audience, end and nonce."""
    try:
        keys = KeySet.import_key_set(_json(http, metadata["jwks_uri"]))  # type: ignore[arg-type]
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
    if not (isinstance(subject, str) and 0 < len(subject) <= 255):
        raise UnexpectedAnswer(_("The identity provider’s ID token names no subject. Tell an administrator."))
    if settings.OIDC_GROUPS_CLAIM not in claims and _is_safe(metadata.get("userinfo_endpoint")):
        bearer = {"Authorization": f"Bearer {claims['access_token']}"}
        more = _json(http, metadata["userinfo_endpoint"], headers=bearer)
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
        groups=tuple(sorted({one for one in listed if isinstance(one, str) and one}))[:MOST_GROUPS],
    )


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _unreachable() -> Unreachable:
    return Unreachable(
        _("The identity provider cannot be reached. Try again in a moment; local accounts can still log in.")
    )


def _refusal(code: str) -> RefusedByProvider:
    sentence = {
        "access_denied": _("The identity provider refused the log-in, or it was broken off there."),
        "temporarily_unavailable": _(
            "The identity provider is not available just now. Try again in a moment."
        ),
        "token": _(
            "The identity provider did not accept this log-in. Begin again; if it stays, tell an administrator."
        ),
    }.get(
        code,
        _("The identity provider could not log you in. Begin again; if it stays, tell an administrator."),
    )
    refused = RefusedByProvider(sentence)
    refused.code = f"refused: {code}"
    return refused
