"""The requests to the identity provider: its description, its answers, and what goes wrong on the way.

Only addresses that its own description gives, under TLS; no proxy of the environment, no redirects, 10 seconds for
each answer.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import requests
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.requests_client import OAuth2Session
from django.conf import settings
from django.utils.translation import gettext as _

TIMEOUT: Final = 10  # seconds for each answer
# RFC 6749 4.1.2.1 and OpenID Connect 3.1.2.6; anything else is not repeated, whoever made the address.
KNOWN_ERRORS: Final = frozenset(
    {
        *("access_denied", "invalid_request", "invalid_scope", "server_error", "temporarily_unavailable"),
        *("unauthorized_client", "unsupported_response_type", "login_required", "consent_required"),
        *("interaction_required", "account_selection_required"),
    }
)


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


def session(redirect_uri: str) -> OAuth2Session:
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


def discovered(http: OAuth2Session) -> dict[str, Any]:
    address = settings.OIDC_ISSUER.rstrip("/") + "/.well-known/openid-configuration"
    metadata = read_json(http, address)
    if metadata.get("issuer") != settings.OIDC_ISSUER:
        raise UnexpectedAnswer(
            _(
                "The identity provider calls itself by another address than OIDC_ISSUER. Tell an administrator."
            )
        )
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not is_safe(metadata.get(name)):
            raise UnexpectedAnswer(
                _("The identity provider’s description has no safe %(name)s. Tell an administrator.")
                % {"name": name}
            )
    methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
    if "client_secret_basic" not in methods and "client_secret_post" in methods:
        http.token_endpoint_auth_method = "client_secret_post"  # noqa: S105  how, not what
    return metadata


def is_safe(address: object) -> bool:
    """An address under TLS, or the issuer's own scheme where that is on this machine."""
    if not isinstance(address, str):
        return False
    parts, issuer = urlsplit(address), urlsplit(settings.OIDC_ISSUER)
    same_machine = (parts.scheme, parts.hostname) == (issuer.scheme, issuer.hostname)
    return bool(parts.hostname) and (parts.scheme == "https" or same_machine)


def read_json(http: OAuth2Session, address: str, **options: Any) -> dict[str, Any]:
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


def exchange(http: OAuth2Session, metadata: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
    """The tokens for the code, which the provider gives only to who holds the secret and the verifier."""
    try:
        token: dict[str, Any] = http.fetch_token(
            metadata["token_endpoint"],
            grant_type="authorization_code",
            code=code,
            code_verifier=verifier,
            allow_redirects=False,
        )
    except AuthlibBaseError:
        raise refusal("token") from None
    except ValueError:  # no JSON, or none of an object
        token = {}
    except (requests.RequestException, OSError):
        raise _unreachable() from None
    if not isinstance(token.get("id_token"), str):
        raise UnexpectedAnswer(_("The identity provider’s answer has no ID token. Tell an administrator."))
    return token


def _unreachable() -> Unreachable:
    return Unreachable(
        _("The identity provider cannot be reached. Try again in a moment; local accounts can still log in.")
    )


def refusal(code: str) -> RefusedByProvider:
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
