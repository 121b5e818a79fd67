"""Accounts, their roles, and what a role may read (EM REST reference, "Security Roles")."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

PORTAL_ADMINISTRATOR = "Portal Administrator"
PORTAL_USER = "Portal User"
VM_OPERATOR = "VM Restore Operator"
FILE_OPERATOR = "File Restore Operator"
EXCHANGE_OPERATOR = "Exchange Restore Operator"
ORACLE_OPERATOR = "Oracle Restore Operator"
SQL_OPERATOR = "SQL Restore Operator"

_READ_BY_ALL = frozenset({"restoreSessions", "catalog"})
_OPERATOR = _READ_BY_ALL | {"vmRestorePoints", "restorePoints", "querySvc"} | {
    f"query:{name}" for name in ("RestoreSession", "VmRestorePoint", "RestorePoint")
}  # fmt: skip
_USER = _OPERATOR | {"backupServers", "collect", "reports"} | {
    f"query:{name}" for name in ("BackupServer", "BackupJobSession", "BackupTaskSession")
}  # fmt: skip
RIGHTS: dict[str, frozenset[str]] = {
    PORTAL_ADMINISTRATOR: _USER | {"systemSessions", "allLogonSessions", "query:Job"},
    PORTAL_USER: _USER,
    VM_OPERATOR: _OPERATOR,
    FILE_OPERATOR: _OPERATOR,
    EXCHANGE_OPERATOR: _READ_BY_ALL,
    ORACLE_OPERATOR: _READ_BY_ALL,
    SQL_OPERATOR: _READ_BY_ALL,
}


@dataclass(slots=True, frozen=True)
class Account:
    """An invented account. `scope` (server GUIDs) confines what is shown, without a sign; None shows all."""

    name: str
    password: str
    role: str = PORTAL_USER
    scope: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.role not in RIGHTS:
            raise ValueError(f"Unknown role {self.role!r}. Roles: {', '.join(RIGHTS)}.")

    @property
    def full_name(self) -> str:
        """The name EM shows: local accounts bear the host."""
        return self.name if "\\" in self.name or "@" in self.name else f"EMHOST\\{self.name}"

    def may(self, right: str) -> bool:
        return right in RIGHTS[self.role]

    def sees(self, server_guid: str) -> bool:
        return self.scope is None or server_guid in self.scope

    def accepts(self, name: str, password: str) -> bool:
        """Whether name (in either form, whatever the case) and password are those of the account."""
        if name.casefold() not in {self.name.casefold(), self.full_name.casefold()}:
            return False
        return hmac.compare_digest(self.password.encode(), password.encode())


def default_accounts() -> list[Account]:
    """Two invented accounts for a server that listens on loopback only."""
    return [Account("mirror", "mirror"), Account("admin", "admin", PORTAL_ADMINISTRATOR)]
