"""Repeatable chance: every fact of an invented row is drawn from a digest of the seed and the row's number.

No generator with a running state is used, so that a row is the same whenever and in whatever order it is asked.
"""

from __future__ import annotations

from hashlib import blake2b

_WHOLE = 2**32


def draw(text: str) -> bytes:
    """48 bytes of chance for a text such as `seed|kind|number`."""
    return blake2b(text.encode(), digest_size=48).digest()


def fraction(digest: bytes, at: int) -> float:
    """A number in [0, 1) from four bytes of a digest."""
    return int.from_bytes(digest[at : at + 4], "big") / _WHOLE


def guid(digest: bytes) -> str:
    """A random GUID (version 4 in form) from the first 16 bytes of a digest."""
    text = digest[:16].hex()
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[digest[8] & 3]}{text[17:20]}-{text[20:]}"


def numbered_guid(prefix: str, number: int) -> str:
    """A GUID that carries a row number, hidden: `number_in` finds it again without a table of all rows."""
    head = draw(f"{prefix}|{number}")
    text = guid(head)[:24]
    return text + (number ^ _mask(prefix, text)).to_bytes(6, "big").hex()


def number_in(prefix: str, text: str) -> int | None:
    """The row number in a GUID made by `numbered_guid` with the same prefix; None if it is not one."""
    if len(text) != 36:
        return None
    try:
        number = int(text[24:], 16) ^ _mask(prefix, text[:24])
    except ValueError:
        return None
    return number if numbered_guid(prefix, number) == text else None


def _mask(prefix: str, head: str) -> int:
    return int.from_bytes(blake2b(f"{prefix}|{head}".encode(), digest_size=6).digest(), "big")
