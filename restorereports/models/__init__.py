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
from .note import RestoreSessionNote
from .policy import Exemption, Policy, PolicyVersion
from .pulse import Pulse
from .reconciliation import Reconciliation
from .register import RegisterEntry, RegisterHead
from .report import Delivery, Logo, Report, ReportSchedule
from .restore_session import Outcome, RestoreSession, RestoreSessionSource
from .scope import RestoreSessionScope
from .session_class import ClassChange, ClassRules, SessionClass
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
    "ClassChange",
    "ClassRules",
    "CollectorOutage",
    "Delivery",
    "EnterpriseManager",
    "Exemption",
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
    "Logo",
    "Outcome",
    "Policy",
    "PolicyVersion",
    "Presence",
    "Pulse",
    "Reader",
    "Reconciliation",
    "RecoveryCode",
    "RegisterEntry",
    "RegisterHead",
    "Report",
    "ReportSchedule",
    "RestoreSession",
    "RestoreSessionChange",
    "RestoreSessionNote",
    "RestoreSessionScope",
    "RestoreSessionSource",
    "SecondFactor",
    "SessionClass",
    "SyncRun",
    "User",
    "VirtualMachine",
    "VirtualMachineAlias",
]
