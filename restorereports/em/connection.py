"""Where Enterprise Manager is and who we are there: what an administrator types, made exact."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from restorereports.em.failures import InvalidUrl

DEFAULT_PORT = 9398
EXAMPLE = "https://em.example.test:9398"
NO_EM_THERE = "No Enterprise Manager answers at a link-local, multicast or unspecified address."
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to reach one Enterprise Manager; time-outs in seconds. Raises InvalidUrl.

    Trust: the system's CAs; with `ca_pem` those certificates instead; with `pin_sha256` that one
    certificate and nothing else (host name and dates are then not looked at). `connect_timeout` counts per
    address, `read_timeout` from byte to byte, `answer_timeout` for one whole answer. `allow_plain_http`
    must be said again here, so that an address of http:// that came another way than through
    `normalise_url` never receives a password.
    """

    url: str
    username: str
    password: str = field(repr=False)
    ca_pem: str = field(default="", repr=False)
    pin_sha256: str = ""
    proxy: str = field(default="", repr=False)
    connect_timeout: float = 10
    read_timeout: float = 60
    answer_timeout: float = 300
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", normalise_url(self.url, allow_plain_http=self.allow_plain_http))
        leaves_this_machine = self.is_tls or self.allow_plain_http
        object.__setattr__(self, "proxy", normalise_proxy(self.proxy) if leaves_this_machine else "")
        object.__setattr__(self, "pin_sha256", self.pin_sha256.strip())

    @property
    def host(self) -> str:
        """Host name or address, IPv6 without its brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or DEFAULT_PORT

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("https:")


def normalise_url(text: str, *, allow_plain_http: bool = False) -> str:
    """`scheme://host:port` from what was typed: with or without scheme (https), port (9398) and /api.

    Plain http only for this machine itself, or with `allow_plain_http`: the password would travel readable.
    Raises InvalidUrl, whose text says what to do.
    """
    address = text.strip()
    if not address:
        raise InvalidUrl(f"The address is empty. Type it like {EXAMPLE}.")
    if re.search(r"[\s\x00-\x1f\x7f\\]", address):
        raise InvalidUrl(
            f"The address holds a space, a backslash or a control character. Type it like {EXAMPLE}."
        )
    scheme, host, port = _taken_apart(address)
    if scheme not in ("https", "http"):
        raise InvalidUrl(f"Only https:// addresses can be used. Type it like {EXAMPLE}.")
    if scheme == "http" and not (allow_plain_http or _is_this_machine(host)):
        raise InvalidUrl("Plain http would send the password readable. Use https://, usually with port 9398.")
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def normalise_proxy(text: str) -> str:
    """`http://[user:password@]host:port`; "" for none. Raises InvalidUrl, which never repeats it."""
    address = text.strip()
    if not address:
        return ""
    try:
        parts = urlsplit(address if _SCHEME.match(address) else f"http://{address}")
        usable = parts.scheme == "http" and bool(parts.hostname) and bool(parts.port)
    except ValueError:
        usable = False
    if not usable or parts.path.strip("/") or parts.query or parts.fragment or re.search(r"\s", address):
        raise InvalidUrl("The proxy cannot be used. Type it like http://proxy.example.test:3128.")
    return f"http://{parts.netloc}"


def _taken_apart(address: str) -> tuple[str, str, int]:
    """Scheme, host and port; raises InvalidUrl for anything that is more than that."""
    if _is_ipv6(address):
        address = f"[{address}]"
    try:
        parts = urlsplit(address if _SCHEME.match(address) else f"https://{address}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise InvalidUrl(f"The host or the port cannot be read. Type it like {EXAMPLE}.") from None
    if "@" in parts.netloc:
        raise InvalidUrl(
            "User name and password do not belong into the address: they have fields of their own."
        )
    if "?" in address or "#" in address:
        raise InvalidUrl(f"The address ends before the first ? or #. Type it like {EXAMPLE}.")
    if parts.path.rstrip("/").lower() not in ("", "/api"):
        raise InvalidUrl(f"Only the address of the server is needed, without a path. Type it like {EXAMPLE}.")
    if port == 0:
        raise InvalidUrl(f"Port 0 does not exist. Type it like {EXAMPLE}.")
    return parts.scheme.lower(), _host(host), port or DEFAULT_PORT


def _host(host: str) -> str:
    """The host in its ASCII form, lower case; raises InvalidUrl."""
    if serves_no_em(host):
        raise InvalidUrl(NO_EM_THERE)
    if _is_ipv6(host):
        return str(ipaddress.IPv6Address(host))
    try:
        ascii_host = host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except UnicodeError:
        ascii_host = ""
    if not _HOST.fullmatch(ascii_host) or len(ascii_host) > 253:
        raise InvalidUrl(f"The host name cannot be used. Type it like {EXAMPLE}.")
    return ascii_host


def serves_no_em(host: str) -> bool:
    """Whether this address, in whichever spelling, is link-local, multicast or unspecified.

    A cloud's metadata service and the like answer there, never Enterprise Manager. False for names.
    """
    try:
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(socket.inet_aton(host))
    except (OSError, ValueError):
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return address.is_link_local or address.is_multicast or address.is_unspecified


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "localhost.")
