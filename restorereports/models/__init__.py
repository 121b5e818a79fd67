"""The tables, their constraints and their named queries; a file per noun."""

from .account import SYSTEM, Reader, User
from .backup_server import BackupServer, BackupServerSource
from .enterprise_manager import EnterpriseManager
from .report import Delivery, Report, ReportSchedule
from .restore_session import Outcome, RestoreSession, RestoreSessionSource
from .scope import RestoreSessionScope
from .sync_run import SyncRun
from .virtual_machine import VirtualMachine

__all__ = [
    "SYSTEM",
    "BackupServer",
    "BackupServerSource",
    "Delivery",
    "EnterpriseManager",
    "Outcome",
    "Reader",
    "Report",
    "ReportSchedule",
    "RestoreSession",
    "RestoreSessionScope",
    "RestoreSessionSource",
    "SyncRun",
    "User",
    "VirtualMachine",
]
