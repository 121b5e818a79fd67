"""An identity provider that this installation is set up for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.sign_in import lying_provider
from tests.sign_in.lying_provider import CLIENT_ID, LyingProvider


@pytest.fixture
def identity_provider(settings: Any) -> Iterator[LyingProvider]:
    with lying_provider.running() as provider:
        settings.OIDC_ISSUER, settings.OIDC_CLIENT_ID = provider.issuer, CLIENT_ID
        settings.OIDC_CLIENT_SECRET = "the secret of the client"
        settings.OIDC_NAME = "Example ID"
        yield provider


@pytest.fixture(autouse=True)
def _quick_hashes(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
