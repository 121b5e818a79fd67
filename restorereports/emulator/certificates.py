"""The stand-in's certificate: self-signed, as a fresh EM has it; or expired, or made out to another host."""

from __future__ import annotations

import hashlib
import ipaddress
import os
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Kind = Literal["good", "expired", "wrong_host"]
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(slots=True, frozen=True)
class Certificate:
    """A certificate and its private key, both PEM."""

    certificate_pem: str
    key_pem: str

    @property
    def fingerprint_sha256(self) -> str:
        """SHA-256 of the DER form: hexadecimal, lower case, no colons."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(self.certificate_pem)).hexdigest()


def make_certificate(kind: Kind = "good", *, names: tuple[str, ...] = ()) -> Certificate:
    """A new self-signed certificate for localhost, 127.0.0.1, ::1 and these names. Validity is real time."""
    now = datetime.now(UTC)
    begin, end = now - timedelta(days=30), now + timedelta(days=825)
    hosts = (*_LOOPBACK, *names)
    if kind == "expired":
        end = now - timedelta(days=1)
    elif kind == "wrong_host":
        hosts = ("another-host.example.test",)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder(issuer_name=subject, subject_name=subject, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    )
    certificate = builder.sign(key, hashes.SHA256())
    return Certificate(
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


def kept_certificate(directory: Path, *, names: tuple[str, ...] = ()) -> Certificate:
    """The certificate kept in a directory, made there at the first call, so that a pin outlives a restart.

    The files are readable by their owner only. A directory that cannot be used raises OSError.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    certificate_file, key_file = directory / "em-certificate.pem", directory / "em-key.pem"
    if certificate_file.exists() and key_file.exists():
        return Certificate(certificate_file.read_text(), key_file.read_text())
    certificate = make_certificate(names=names)
    write_private(key_file, certificate.key_pem)
    write_private(certificate_file, certificate.certificate_pem)
    return certificate


def server_context(certificate: Certificate) -> ssl.SSLContext:
    """TLS 1.2 or later with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.TemporaryDirectory(prefix="stand-in-em-") as directory:
        file = Path(directory) / "certificate-and-key.pem"
        write_private(file, certificate.key_pem + certificate.certificate_pem)
        context.load_cert_chain(file)
    return context


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
