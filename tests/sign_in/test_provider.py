"""The identity provider's answers: nothing is believed that is not signed, fresh and meant for this log-in."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import OctKey

from restorereports.sign_in import provider, provider_requests
from restorereports.sign_in.provider import (
    Begun,
    Claims,
    ProviderError,
    RefusedByProvider,
    UnexpectedAnswer,
    Unreachable,
)
from tests.servers import free_port
from tests.sign_in.lying_provider import ANOTHER_KEY, LyingProvider

BACK = "http://testserver/login/openid/callback/"


def begin(identity_provider: LyingProvider) -> Begun:
    _address, begun = provider.begin(BACK)
    identity_provider.nonce = begun.nonce
    return begun


def finish(begun: Begun, **answer: str) -> Claims:
    sent: Mapping[str, str] = {"state": begun.state, "code": "the code"} | answer
    return provider.finish(sent, begun, redirect_uri=BACK, at=timezone.now())


def test_the_browser_is_sent_with_state_nonce_and_the_hash_of_the_verifier(
    identity_provider: LyingProvider,
) -> None:
    address, begun = provider.begin(BACK)

    sent = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    hashed = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
    assert address.startswith(f"{identity_provider.issuer}/authorize?")
    assert sent == {
        "response_type": "code",
        "client_id": "restore-reports",
        "redirect_uri": BACK,
        "scope": "openid profile groups",
        "state": begun.state,
        "nonce": begun.nonce,
        "code_challenge": hashed,
        "code_challenge_method": "S256",
    }
    assert provider.begin(BACK)[1] != begun


def test_an_honest_answer_gives_the_claims(identity_provider: LyingProvider) -> None:
    identity_provider.claims |= {"groups": ["b", "a", "a", 7, ""], "email": "jo@example.test"}
    begun = begin(identity_provider)

    claims = finish(begun)

    assert claims == Claims(
        issuer=identity_provider.issuer,
        subject="subject-1",
        username="j.doe",
        name="Jo Doe",
        groups=("a", "b"),
    )
    sent = dict(identity_provider.asked)["/token"]
    assert sent["code_verifier"] == begun.verifier
    assert (sent["grant_type"], sent["code"], sent["redirect_uri"]) == (
        "authorization_code",
        "the code",
        BACK,
    )
    assert sent["authorization"].startswith("Basic ")


def test_one_group_as_a_text_is_one_group(identity_provider: LyingProvider, settings: Any) -> None:
    settings.OIDC_GROUPS_CLAIM = "roles"
    identity_provider.claims |= {"roles": "auditors", "groups": ["administrators"]}

    assert finish(begin(identity_provider)).groups == ("auditors",)


def test_groups_that_the_id_token_leaves_out_are_read_from_the_user_info(
    identity_provider: LyingProvider,
) -> None:
    identity_provider.userinfo = {"sub": "subject-1", "groups": ["auditors"], "name": "Somebody Else"}

    claims = finish(begin(identity_provider))

    assert (claims.groups, claims.name) == (("auditors",), "Jo Doe")
    assert dict(identity_provider.asked)["/userinfo"]["authorization"] == "Bearer a"


def test_the_user_info_of_somebody_else_is_refused(identity_provider: LyingProvider) -> None:
    identity_provider.userinfo = {"sub": "subject-2", "groups": ["administrators"]}

    with pytest.raises(UnexpectedAnswer, match="of somebody else"):
        finish(begin(identity_provider))


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        ({"nonce": "of another log-in"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"aud": "another-client"}, "aud"),
        ({"aud": ["another-client", "and-another"]}, "aud"),
        ({"aud": None}, "aud"),
        ({"iss": "https://evil.example.test"}, "iss"),
        ({"exp": int(time.time()) - 3600, "iat": int(time.time()) - 7200}, "exp"),
        ({"exp": None}, "exp"),
        ({"iat": int(time.time()) + 36000, "exp": int(time.time()) + 72000}, "iat"),
        ({"nbf": int(time.time()) + 36000}, "nbf"),
        ({"aud": ["restore-reports", "another-client"], "azp": "another-client"}, "azp"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    identity_provider: LyingProvider, claims: dict[str, Any], named: str
) -> None:
    begun = begin(identity_provider)
    identity_provider.claims |= {"groups": ["administrators"]} | claims

    with pytest.raises(UnexpectedAnswer, match="could not be trusted") as refused:
        finish(begun)
    assert "restore-reports" not in str(refused.value)
    assert named in str(refused.value) or "expired" in str(refused.value) or "invalid" in str(refused.value)


def test_a_token_of_two_hours_ago_is_refused(identity_provider: LyingProvider) -> None:
    begun = begin(identity_provider)

    with pytest.raises(UnexpectedAnswer):
        provider.finish(
            {"state": begun.state, "code": "c"},
            begun,
            redirect_uri=BACK,
            at=timezone.now() + timedelta(hours=2),
        )


def test_a_token_signed_by_another_key_is_refused(identity_provider: LyingProvider) -> None:
    begun = begin(identity_provider)
    identity_provider.signed_with = ANOTHER_KEY

    with pytest.raises(UnexpectedAnswer, match="bad_signature"):
        finish(begun)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_that_only_claims_to_be_signed_is_refused(
    identity_provider: LyingProvider, algorithm: str
) -> None:
    begun = begin(identity_provider)
    claims = {"iss": identity_provider.issuer, "aud": "restore-reports", "nonce": begun.nonce, "sub": "s"}
    claims |= {"iat": int(time.time()), "exp": int(time.time()) + 300}
    if algorithm == "none":
        parts = [json.dumps(part).encode() for part in ({"alg": "none"}, claims)]
        forged = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts) + "."
    else:  # the client's secret, which more than one may know
        key = OctKey.import_key("the secret of the client, which is long enough")
        forged = jwt.encode({"alg": "HS256"}, claims, key)
    identity_provider.token = {"id_token": forged}

    with pytest.raises(UnexpectedAnswer, match="could not be trusted"):
        finish(begun)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", 7, None])
def test_what_is_no_token_is_refused(identity_provider: LyingProvider, token: Any) -> None:
    begun = begin(identity_provider)
    identity_provider.token = {"id_token": token}

    with pytest.raises(UnexpectedAnswer):
        finish(begun)


def test_texts_that_no_database_takes_are_left_out(identity_provider: LyingProvider) -> None:
    identity_provider.claims |= {"name": "a\x00b", "preferred_username": None}
    identity_provider.userinfo = {
        "sub": "subject-1",
        "preferred_username": "\ud800",
        "groups": ["a\x00", "\udfff", "b"],
    }

    claims = finish(begin(identity_provider))

    assert (claims.name, claims.username, claims.groups) == ("", "", ("b",))


@pytest.mark.parametrize("subject", [None, "", "x" * 256, 7, "a\x00"])
def test_a_person_without_a_usable_subject_is_refused(identity_provider: LyingProvider, subject: Any) -> None:
    begun = begin(identity_provider)
    identity_provider.claims |= {"sub": subject, "groups": ["a"]}

    with pytest.raises(UnexpectedAnswer):
        finish(begun)


def test_an_answer_for_another_log_in_is_refused_before_the_provider_is_asked(
    identity_provider: LyingProvider,
) -> None:
    begun = begin(identity_provider)
    identity_provider.asked.clear()

    for state in ("of another", "", "ö"):
        with pytest.raises(UnexpectedAnswer, match="does not belong to this log-in"):
            finish(begun, state=state)
    with pytest.raises(UnexpectedAnswer, match="another identity provider"):
        finish(begun, iss="https://evil.example.test")
    assert identity_provider.asked == []


@pytest.mark.parametrize(
    ("error", "sentence", "code"),
    [
        ("access_denied", "refused the log-in, or it was broken off", "refused: access_denied"),
        ("temporarily_unavailable", "not available just now", "refused: temporarily_unavailable"),
        ("<script>", "could not log you in", "refused: unknown"),
    ],
)
def test_the_providers_error_is_one_sentence_of_ours(
    identity_provider: LyingProvider, error: str, sentence: str, code: str
) -> None:
    begun = begin(identity_provider)

    with pytest.raises(RefusedByProvider, match=sentence) as refused:
        finish(begun, error=error, error_description="<b>call 555-0100</b>")
    assert refused.value.code == code
    assert "555" not in str(refused.value)
    with pytest.raises(RefusedByProvider, match=sentence):  # as of a provider that leaves the state out
        provider.finish({"error": error}, begun, redirect_uri=BACK, at=timezone.now())
    with pytest.raises(UnexpectedAnswer):
        finish(begun, error=error, state="of another")


def test_a_code_that_the_provider_does_not_take_is_refused(identity_provider: LyingProvider) -> None:
    begun = begin(identity_provider)
    identity_provider.token_status = 400

    with pytest.raises(RefusedByProvider, match="did not accept this log-in"):
        finish(begun)


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
@pytest.mark.parametrize(
    "answer", [(500, b"oops"), (200, b"<html>"), (200, b"[]"), (302, b""), (200, b'{"a": 1}')]
)
def test_answers_that_cannot_be_used_are_one_error(
    identity_provider: LyingProvider, path: str, answer: tuple[int, bytes]
) -> None:
    begun = begin(identity_provider)
    identity_provider.raw[path] = answer

    with pytest.raises(ProviderError):
        finish(begun)
    assert "/elsewhere" not in [asked for asked, _sent in identity_provider.asked]


def test_a_provider_that_is_down_is_said_so(settings: Any) -> None:
    settings.OIDC_ISSUER = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(Unreachable, match="cannot be reached"):
        provider.begin(BACK)


def test_a_provider_that_does_not_answer_is_not_waited_for(
    identity_provider: LyingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_requests, "TIMEOUT", 0.2)
    identity_provider.slow = 1

    with pytest.raises(Unreachable):
        provider.begin(BACK)


@pytest.mark.parametrize(
    "discovery",
    [
        {"issuer": "https://evil.example.test"},
        {"issuer": None},
        {"token_endpoint": "http://evil.example.test/token"},
        {"jwks_uri": None},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
def test_a_description_that_leads_elsewhere_is_refused(
    identity_provider: LyingProvider, discovery: dict[str, Any]
) -> None:
    identity_provider.discovery = discovery

    with pytest.raises(UnexpectedAnswer, match="Tell an administrator"):
        provider.begin(BACK)


def test_the_environments_proxies_are_not_used(
    identity_provider: LyingProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("NO_PROXY", "")

    assert provider.begin(BACK)


def test_a_provider_that_wants_the_secret_in_the_form_gets_it_there(identity_provider: LyingProvider) -> None:
    identity_provider.discovery = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    identity_provider.claims |= {"groups": []}

    finish(begin(identity_provider))

    sent = dict(identity_provider.asked)["/token"]
    assert (sent["client_secret"], sent["authorization"]) == ("the secret of the client", "")


def test_nothing_of_tokens_is_logged(
    identity_provider: LyingProvider, caplog: pytest.LogCaptureFixture
) -> None:
    identity_provider.claims |= {"groups": ["a"]}
    with caplog.at_level(logging.DEBUG):
        finish(begin(identity_provider))

    assert identity_provider.id_token()[:40] not in caplog.text
    assert "the secret of the client" not in caplog.text
