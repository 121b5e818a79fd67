"""An Enterprise Manager that is not saved yet: kept in the log-in's session, the password encrypted."""

from __future__ import annotations

from datetime import time

from django.http import HttpRequest

from restorereports.models import EnterpriseManager

from .checked import RESULT

KEY = "enterprise_manager_draft"
_FIELDS = (
    "name",
    "url",
    "username",
    "interval_minutes",
    "allow_plain_http",
    "password_token",
    "ca_pem",
    "pin_sha256",
    "pinned_pem",
    "restore_scope",
    "full_sync_at",
)


def keep_draft(request: HttpRequest, enterprise_manager: EnterpriseManager) -> None:
    """Remember it, without what its last test said."""
    plain = {name: getattr(enterprise_manager, name) for name in _FIELDS}
    if enterprise_manager.full_sync_at:
        plain["full_sync_at"] = enterprise_manager.full_sync_at.isoformat()
    request.session[KEY] = plain
    request.session.pop(RESULT, None)


def read_draft(request: HttpRequest) -> EnterpriseManager | None:
    plain = request.session.get(KEY)
    if not plain:
        return None
    full_sync_at = plain.get("full_sync_at")
    return EnterpriseManager(
        **plain | {"full_sync_at": time.fromisoformat(full_sync_at) if full_sync_at else None}
    )


def drop_draft(request: HttpRequest) -> None:
    request.session.pop(KEY, None)
    request.session.pop(RESULT, None)
