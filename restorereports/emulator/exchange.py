"""A request as it came, the answer to it, and what stands between: the errors of the protocol."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from restorereports.emulator.accounts import Account

Json = dict[str, "JsonValue"]
JsonValue = str | int | bool | None | list["JsonValue"] | Json


class ApiError(Exception):
    """Answered with an `Error` body."""

    def __init__(self, status: int, message: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


@dataclass(slots=True, frozen=True)
class Request:
    """A request as it came; header names are in lower case."""

    method: str
    path: str
    query: str  # raw, without the question mark
    headers: dict[str, str]
    body: bytes = b""

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def wants_json(self) -> bool:
        """JSON if it stands anywhere in Accept, even behind XML."""
        return "application/json" in self.headers.get("accept", "").lower()


@dataclass(slots=True, frozen=True)
class RecordedRequest:
    """What the tests may ask about a request that was served."""

    method: str
    path: str
    query: str
    status: int
    headers: dict[str, str]


@dataclass(slots=True)
class Reply:
    """An answer, and how to deliver it: faults turn the last fields."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    promised_length: int | None = None  # Content-Length, if it is to lie
    seconds: float = 0  # to spread the body over
    reset: bool = False  # break the connection instead of answering


@dataclass(slots=True, frozen=True)
class Document:
    """The content of an answer before it is written as XML or JSON: the root element and its members.

    The members have the shape and the names of EM's JSON in Pascal case. A list is a repeated element in XML,
    `Links` a wrapped one; which members are attributes is known to the writer. `rows` is a list of any length
    below the root, whose rows are made only when they are written.
    """

    root: str
    members: Json
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    rows: Rows | None = None


@dataclass(slots=True, frozen=True)
class Rows:
    """A long list: the name it has in JSON, and its rows, to be read once."""

    name: str
    items: Iterable[Json]


@dataclass(slots=True, frozen=True)
class Hrefs:
    """Writes absolute addresses with the host the server believes it has."""

    base: str  # https://em.example.test:9398

    def __call__(self, path: str) -> str:
        return f"{self.base}/api/{path}"


@dataclass(slots=True, frozen=True)
class Call:
    """A request with everything a handler needs to know about it."""

    request: Request
    parameters: Parameters
    ids: tuple[str, ...]
    account: Account
    href: Hrefs


class Parameters:
    """The query string: names in any case, the first of repeated ones counts, raw and encoded values alike."""

    def __init__(self, query: str) -> None:
        self.pairs = [_split(part) for part in query.split("&") if part]

    def get(self, name: str) -> str | None:
        """The decoded value of a parameter, or None."""
        wanted = name.lower()
        return next((_decode(value) for key, value in self.pairs if key.lower() == wanted), None)

    def replaced(self, **values: str) -> str:
        """The raw query string with these parameters replaced in place, else appended."""
        left = dict(values)
        parts = []
        for key, raw in self.pairs:
            same = next((name for name in values if name.lower() == key.lower()), None)
            left.pop(same or "", None)
            parts.append(f"{key}={values[same] if same else _tidy(raw)}")
        parts.extend(f"{name}={value}" for name, value in left.items())
        return "&".join(parts)


def _split(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return _decode(name), value


def _decode(text: str) -> str:
    raw = text.replace("+", " ").encode("latin-1", "replace")
    return unquote_to_bytes(raw).decode("utf-8", "replace")


def _tidy(raw: str) -> str:
    """A raw value as EM repeats it in its links: what may not stand in an address is encoded."""
    return "".join(char if "!" <= char <= "~" and char not in '"<>' else f"%{ord(char):02X}" for char in raw)
