"""The audit trail: `record` an act in its transaction; `verification` finds what was bent afterwards."""

from .entries import COMMAND_LINE, THE_INSTALLATION, Action, Actor, Via, head, record
from .verification import faults

__all__ = ["COMMAND_LINE", "THE_INSTALLATION", "Action", "Actor", "Via", "faults", "head", "record"]
