"""The tables, their constraints and their named queries; a file per noun."""

from .account import SYSTEM, Act, LastAdministrator, Reader, User
from .alert import Alert
from .api_token import ApiToken
from .audit_entry import AuditEntry, AuditHead
from .backup_server import BackupServer, BackupServerSource
from .change import RestoreSessionChange
from .collector import CollectorOutage
from .enterprise_manager import EnterpriseManager
from .gap import Gap, GapNote
from .grant import Grant, Limited
from .granted import Granted
from .inventory import Inventory, Presence
from .pulse import Pulse
from .reconciliation import Reconciliation
from .report import Delivery, Report, ReportSchedule
from .restore_session import Outcome, RestoreSession, RestoreSessionSource
from .scope import RestoreSessionScope
from .sign_in import FailedTries, GroupRule, Identity, RecoveryCode, SecondFactor
from .sync_run import SyncRun
from .virtual_machine import VirtualMachine, VirtualMachineAlias

__all__ = [
    "SYSTEM",
    "Act",
    "Alert",
    "ApiToken",
    "AuditEntry",
    "AuditHead",
    "BackupServer",
    "BackupServerSource",
    "CollectorOutage",
    "Delivery",
    "EnterpriseManager",
    "FailedTries",
    "Gap",
    "GapNote",
    "Grant",
    "Granted",
    "GroupRule",
    "Identity",
    "Inventory",
    "LastAdministrator",
    "Limited",
    "Outcome",
    "Presence",
    "Pulse",
    "Reader",
    "Reconciliation",
    "RecoveryCode",
    "Report",
    "ReportSchedule",
    "RestoreSession",
    "RestoreSessionChange",
    "RestoreSessionScope",
    "RestoreSessionSource",
    "SecondFactor",
    "SyncRun",
    "User",
    "VirtualMachine",
    "VirtualMachineAlias",
]
