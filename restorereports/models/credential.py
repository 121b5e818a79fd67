"""Secrets at rest: encrypted with CREDENTIALS_KEY, the first key writing, every key reading."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class CredentialUnreadable(Exception):
    """No configured key opens the stored secret."""


def _keys() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.CREDENTIALS_KEYS])


def encrypt(secret: str) -> str:
    """The secret as an authenticated token that only CREDENTIALS_KEY opens."""
    return _keys().encrypt(secret.encode()).decode()


def decrypt(token: str) -> str:
    """The secret; CredentialUnreadable when the key is not among CREDENTIALS_KEY."""
    try:
        return _keys().decrypt(token.encode()).decode()
    except InvalidToken:
        raise CredentialUnreadable(
            "The stored password cannot be opened with CREDENTIALS_KEY. "
            "Restore the key it was saved with, or enter the password again."
        ) from None


def rotate(token: str) -> str:
    """The same secret under the first key."""
    try:
        return _keys().rotate(token.encode()).decode()
    except InvalidToken:
        raise CredentialUnreadable(
            "No key in CREDENTIALS_KEY opens this password; add the old key at the end."
        ) from None
