"""The installation's keys inside an archive: sealed by a passphrase, together with the manifest's hash.

Whoever has the archive without the passphrase can neither read the keys nor change any member unnoticed.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from getpass import getpass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from django.core.management.base import CommandError

LEAST_LENGTH = 12
_METHOD = {"kdf": "scrypt", "cipher": "AES-256-GCM"}
_COST = {"n": 2**16, "r": 8, "p": 1}  # 64 MiB and about a quarter of a second for each guess
_MOST = {"n": 2**20, "r": 16, "p": 4}  # an archive may not ask for all of the memory
_CONTEXT = b"restore-reports keys 1"


class SealBroken(Exception):
    """The passphrase is wrong, or what it sealed was changed; which of the two cannot be told."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What the database alone is worth little without. Never printed."""

    secret_key: str
    credentials_keys: tuple[str, ...]
    manifest_sha256: str
    audit_key: str = ""  # archives made before there was a trail have none


def seal(keys: Keys, passphrase: str) -> bytes:
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    plain = json.dumps(asdict(keys)).encode()
    sealed = AESGCM(_stretched(passphrase, salt, _COST)).encrypt(nonce, plain, _CONTEXT)
    parts = {"salt": salt, "nonce": nonce, "sealed": sealed}
    coded = {name: part.hex() for name, part in parts.items()}
    return json.dumps({**_METHOD, **_COST, **coded}, indent=1).encode()


def unseal(text: bytes, passphrase: str) -> Keys:
    """The keys; SealBroken when they do not open."""
    try:
        stored: dict[str, Any] = json.loads(text)
        salt, nonce, sealed = (bytes.fromhex(stored[name]) for name in ("salt", "nonce", "sealed"))
        cost = {name: int(stored[name]) for name in _COST}
        if any(stored[name] != method for name, method in _METHOD.items()):
            raise SealBroken
        if any(not 1 <= cost[name] <= most for name, most in _MOST.items()):
            raise SealBroken
        plain = json.loads(AESGCM(_stretched(passphrase, salt, cost)).decrypt(nonce, sealed, _CONTEXT))
        keys = Keys(
            plain["secret_key"],
            tuple(plain["credentials_keys"]),
            plain["manifest_sha256"],
            str(plain.get("audit_key", "")),
        )
        for key in keys.credentials_keys:
            Fernet(key)
    except (InvalidTag, ValueError, KeyError, TypeError):
        raise SealBroken from None
    return keys


def _stretched(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=32, **cost).derive(passphrase.encode())


def ask_passphrase(variable: str | None, *, twice: bool) -> str:
    """From the named variable, else from the terminal; CommandError when it is missing, short or mistyped."""
    if variable is not None and variable not in os.environ:
        raise CommandError(f"The environment has no variable {variable}.")
    passphrase = os.environ[variable] if variable is not None else getpass("Passphrase of the archive: ")
    if len(passphrase) < LEAST_LENGTH:
        raise CommandError(f"The passphrase must have at least {LEAST_LENGTH} characters.")
    if twice and variable is None and getpass("The same passphrase again: ") != passphrase:
        raise CommandError("The two passphrases differ. Nothing was written.")
    return passphrase
