"""What people see of certificates, and how they type fingerprints and CAs."""

from __future__ import annotations

import ssl

from django.core.exceptions import ValidationError

from restorereports.em import trust
from restorereports.em.failures import TrustError
from restorereports.em.trust import CertificateFacts

__all__ = ["CertificateFacts", "certificate_facts", "normalise_fingerprint", "validate_ca_pem"]


def certificate_facts(pem: str) -> CertificateFacts:
    """Subject, issuer, validity and fingerprint of one PEM certificate; ValidationError when unreadable."""
    try:
        return trust.certificate_facts(ssl.PEM_cert_to_DER_cert(pem.strip()))
    except (TrustError, ValueError) as failure:
        raise ValidationError(str(failure)) from None


def normalise_fingerprint(text: str) -> str:
    """SHA-256 as 64 lower-case hex digits from any usual spelling; ValidationError for anything else."""
    try:
        return trust.normalise_fingerprint(text)
    except TrustError as failure:
        raise ValidationError(str(failure)) from None


def validate_ca_pem(text: str) -> None:
    """Refuse what holds no readable CA certificate."""
    try:
        trust.tls_context(ca_pem=text)
    except TrustError as failure:
        raise ValidationError(str(failure)) from None
