"""TLS to Enterprise Manager (1.2 and newer): the system's CAs, CAs as PEM, or one pinned certificate.

EM comes with a self-signed certificate, so the usual way is to look at the offered one and pin it. There is
no switch to turn the check off. May know `waiting` and `failures`.
"""

from __future__ import annotations

import base64
import http.client
import re
import socket
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from restorereports.em.failures import (
    CertificateChanged,
    CertificateUntrusted,
    TrustError,
    Unreachable,
    safe_text,
)
from restorereports.em.waiting import call_within


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What a certificate says of itself; times are aware UTC, `sha256` is 64 lower-case hex digits."""

    subject: str
    issuer: str
    not_before: datetime
    not_after: datetime
    sha256: str
    pem: str = field(repr=False)
    self_signed: bool


def normalise_fingerprint(text: str) -> str:
    """SHA-256 as 64 lower-case hex digits, from any usual spelling (colons, spaces, upper case).

    Raises TrustError.
    """
    digits = re.sub(r"[\s:-]", "", text.strip().lower().removeprefix("sha256:"))
    if not re.fullmatch(r"[0-9a-f]{64}", digits, re.ASCII):
        raise TrustError("The fingerprint is not a SHA-256: 64 hex digits are needed.")
    return digits


def tls_context(*, ca_pem: str = "", pin_sha256: str = "") -> ssl.SSLContext:
    """How to trust. With a pin nothing is verified *here*: the fingerprint is compared before we send.

    Raises TrustError for a PEM that cannot be read.
    """
    if pin_sha256:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca_pem.strip():
        context = _context_for(ca_pem)
    else:
        context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _context_for(ca_pem: str) -> ssl.SSLContext:
    """Only these CAs, whatever text stands around them; an issuing CA is enough, without its root."""
    blocks = re.findall(
        r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", ca_pem, re.DOTALL | re.ASCII
    )
    try:
        context = ssl.create_default_context(cadata="\n".join(blocks) or "none")
    except (ssl.SSLError, ValueError, TypeError):
        raise TrustError("The CA certificates cannot be read: one or more PEM blocks are needed.") from None
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def certificate_facts(der: bytes) -> CertificateFacts:
    """Raises TrustError for a certificate that cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        subject = safe_text(certificate.subject.rfc4514_string())
        issuer = safe_text(certificate.issuer.rfc4514_string())
        return CertificateFacts(
            subject=subject,
            issuer=issuer,
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            sha256=certificate.fingerprint(SHA256()).hex(),
            pem=certificate.public_bytes(Encoding.PEM).decode("ascii"),
            self_signed=certificate.subject == certificate.issuer,
        )
    except (ValueError, TypeError, x509.InvalidVersion):
        raise TrustError("The certificate offered cannot be read.") from None


def offered_certificate(host: str, port: int, timeout: float, proxy: str = "") -> CertificateFacts:
    """The certificate that answers there, whether trustworthy or not: a handshake only, nothing is sent.

    `timeout` in seconds, for all of it together. Raises Unreachable and TrustError.
    """
    return call_within(
        lambda: _shake_hands(host, port, timeout, proxy, tls_context(pin_sha256="any")), seconds=timeout
    )


def verified_certificate(
    host: str, port: int, timeout: float, proxy: str = "", *, ca_pem: str = "", pin_sha256: str = ""
) -> CertificateFacts:
    """As `offered_certificate`, if it is trusted; else CertificateUntrusted or CertificateChanged."""
    offered = offered_certificate(host, port, timeout, proxy)
    if pin_sha256:
        pinned = normalise_fingerprint(pin_sha256)
        if offered.sha256 != pinned:
            raise certificate_changed(pinned=pinned, offered=offered.sha256, facts=offered)
        return offered
    context = tls_context(ca_pem=ca_pem)
    try:
        return call_within(lambda: _shake_hands(host, port, timeout, proxy, context), seconds=timeout)
    except TrustError as refused:
        refused.facts = offered
        raise


def certificate_changed(*, pinned: str, offered: str, facts: CertificateFacts | None) -> CertificateChanged:
    """The failure of a pin, with both fingerprints in its text."""
    return CertificateChanged(
        "Enterprise Manager offers another certificate than the pinned one. "
        f"Pinned: {pinned}; offered: {offered}. "
        "Pin the new one only after its owner has confirmed it.",
        pinned=pinned,
        offered=offered,
        facts=facts,
    )


def certificate_untrusted(error: ssl.SSLError, *, facts: CertificateFacts | None = None) -> TrustError:
    """OpenSSL's refusal in our words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = safe_text(str(error.verify_message), limit=160)
        return CertificateUntrusted(f"The certificate is not trusted: {reason}.", facts=facts)
    reason = safe_text(str(error.reason or "handshake failed"), limit=80)
    hint = " This port does not speak TLS." if reason == "WRONG_VERSION_NUMBER" else ""
    return TrustError(f"No TLS connection could be made ({reason}).{hint}", facts=facts)


def _shake_hands(
    host: str, port: int, timeout: float, proxy: str, context: ssl.SSLContext
) -> CertificateFacts:
    try:
        with (
            _connected(host, port, timeout, proxy) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            return certificate_facts(secured.getpeercert(binary_form=True) or b"")
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        failure: Exception = Unreachable(
            "The connection was closed during the TLS handshake.", kind="reset", sent=False
        )
    except ssl.SSLError as error:
        failure = certificate_untrusted(error)
    except TimeoutError:
        failure = Unreachable("No TLS handshake within the time-out.", kind="timeout", sent=False)
    except socket.gaierror:
        failure = Unreachable("The host name cannot be resolved.", kind="resolve", sent=False)
    except ConnectionResetError:
        failure = Unreachable("The connection was reset during the TLS handshake.", kind="reset", sent=False)
    except (OSError, http.client.HTTPException):
        failure = Unreachable("No connection to this host and port.", kind="connect", sent=False)
    raise failure


def _connected(host: str, port: int, timeout: float, proxy: str) -> socket.socket:
    """A TCP connection, through the proxy's CONNECT where one is given."""
    if not proxy:
        return socket.create_connection((host, port), timeout=timeout)
    parts = urlsplit(proxy)
    tunnel = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    headers = {}
    if parts.username is not None:
        who = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(who.encode()).decode("ascii")
    tunnel.set_tunnel(host, port, headers)
    try:
        tunnel.connect()
    except BaseException:
        tunnel.close()
        raise
    return tunnel.sock
