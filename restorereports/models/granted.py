"""What somebody may see: everything, or some backup servers. Every `visible_to` asks this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """Ids. `servers`: backup servers whose restore sessions and VMs may be seen.

    `managers`: Enterprise Managers that show one of these, known by name, by how they are read (address, account,
    state) and by gaps. `whole_managers`: those granted as a whole, of which also figures over all backup servers, and
    what runs and people say of them, may be seen.
    """

    everything: bool = False
    servers: frozenset[int] = frozenset()
    managers: frozenset[int] = frozenset()
    whole_managers: frozenset[int] = frozenset()

    def whole(self, enterprise_manager: int) -> bool:
        """Whether figures over all backup servers of this Enterprise Manager may be seen."""
        return self.everything or enterprise_manager in self.whole_managers

    def of(self, enterprise_manager: int, backup_server: int | None) -> bool:
        """Whether what is said of this backup server (None: of all that one Enterprise Manager shows) may be seen."""
        return self.whole(enterprise_manager) or backup_server in self.servers


EVERYTHING: Final = Granted(everything=True)
NOTHING: Final = Granted()
