"""The tables, their constraints and their named queries; a file per noun."""

from .account import SYSTEM, Reader, User
from .alert import Alert
from .backup_server import BackupServer, BackupServerSource
from .change import RestoreSessionChange
from .collector import CollectorOutage
from .enterprise_manager import EnterpriseManager
from .gap import Gap, GapNote
from .inventory import Inventory, Presence
from .pulse import Pulse
from .reconciliation import Reconciliation
from .report import Delivery, Report, ReportSchedule
from .restore_session import Outcome, RestoreSession, RestoreSessionSource
from .scope import RestoreSessionScope
from .sync_run import SyncRun
from .virtual_machine import VirtualMachine, VirtualMachineAlias

__all__ = [
    "SYSTEM",
    "Alert",
    "BackupServer",
    "BackupServerSource",
    "CollectorOutage",
    "Delivery",
    "EnterpriseManager",
    "Gap",
    "GapNote",
    "Inventory",
    "Outcome",
    "Presence",
    "Pulse",
    "Reader",
    "Reconciliation",
    "Report",
    "ReportSchedule",
    "RestoreSession",
    "RestoreSessionChange",
    "RestoreSessionScope",
    "RestoreSessionSource",
    "SyncRun",
    "User",
    "VirtualMachine",
    "VirtualMachineAlias",
]
