"""How the stored Enterprise Manager becomes a connection; the password is opened for this moment only."""

from django.conf import settings

from restorereports.em.connection import Connection
from restorereports.models import EnterpriseManager


def connection_to(enterprise_manager: EnterpriseManager) -> Connection:
    """CredentialUnreadable when no configured key opens the password; InvalidUrl for a broken address."""
    return Connection(
        url=enterprise_manager.url,
        username=enterprise_manager.username,
        password=enterprise_manager.password(),
        ca_pem=enterprise_manager.ca_pem,
        pin_sha256=enterprise_manager.pin_sha256,
        proxy=settings.EM_PROXY,
        allow_plain_http=enterprise_manager.allow_plain_http,
    )
