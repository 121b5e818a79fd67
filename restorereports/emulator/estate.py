"""The invented estate: backup servers and the VMs they protect, drawn from a seed. All hosts end in .example.test."""

from __future__ import annotations

from dataclasses import dataclass

from restorereports.emulator.draws import draw, fraction, guid
from restorereports.emulator.records import BackupServerRecord

SITES = ("east", "west", "north", "south", "central", "harbour", "hill", "lake", "branch", "lab")
STEMS = (
    "payroll-db", "erp-web", "erp-app", "erp-db", "file-srv", "mail-relay", "dc", "print-srv", "crm-app", "crm-db",
    "wiki-web", "git-srv", "build-agent", "sql-report", "hr-portal", "intranet", "lims-db", "dms-app", "archive-srv",
    "monitor", "ticket-web", "web-shop", "edi-gw", "dhcp", "radius", "license-srv", "cad-vault", "mes-line", "scada-hist",
    "backup-proxy", "terminal-srv", "jump-host", "warehouse-db", "label-print", "time-clock", "phone-pbx", "cam-nvr",
    "ldap", "proxy", "vpn-gw",
)  # fmt: skip
VERSIONS = ("13.0.1.1071", "12.3.2.3617", "12.0.0.1420 P20230718", "11.0.1.1261", "12.1.2.172")

# Names that break careless code: separators of names and of the filter language, markup, formulas, other scripts,
# direction marks, sheer length.
AWKWARD_NAMES = {
    "brackets": "wiki[old]",
    "at_sign": "mail@relay2",
    "ampersand": 'r&d "lab" 7',
    "markup": "<b>o'clock</b>",
    "separators": "c++;build,(1)",
    "percent": "50%25 off_srv",
    "cyrillic": "бухгалтерия-сервер1",
    "cjk": "会計サーバー3",
    "emoji": "lab-🧪-vm👩‍🔬",
    "direction": "invoice\u202efdp.exe",
    "formula": "=cmd|' /C calc'!A0",
    "long": "long-" + "name-" * 199,  # 1,000 characters
}


@dataclass(slots=True, frozen=True)
class Vm:
    """A protected VM: which server backs it up (index) and what it is called in the virtual infrastructure."""

    number: int
    name: str
    server: int
    object_ref: str
    minute: int  # of the night, after 21:00 UTC, when its backup is made
    last_backup_days_before_epoch: int | None  # None: backed up every night


@dataclass(slots=True, frozen=True)
class Estate:
    """Servers and VMs; `awkward` finds the VM of an awkward name, `twins` are VMs of one name on two servers."""

    servers: tuple[BackupServerRecord, ...]
    vms: tuple[Vm, ...]
    awkward: dict[str, int]
    twins: tuple[int, int] | None


def make_estate(*, seed: int, servers: int, vms: int) -> Estate:
    """Draw an estate. `vms` counts the ordinary VMs; the awkward ones come on top. The same seed, the same estate."""
    shift = 4 * (seed - 1)  # two stand-ins of different seeds show other sites
    hosts = tuple(
        make_server(f"{seed}|server|{number}", number=number, shift=shift) for number in range(servers)
    )
    if not servers or not vms:
        return Estate(servers=hosts, vms=(), awkward={}, twins=None)
    made = [_make_vm(seed, number, _ordinary_name(number), servers) for number in range(vms)]
    awkward = {}
    for key, name in AWKWARD_NAMES.items():
        awkward[key] = len(made)
        made.append(_make_vm(seed, len(made), name, servers))
    twins = None
    if servers > 1:
        first = made[0]
        second = _make_vm(seed, len(made), first.name, servers, server=(first.server + 1) % servers)
        made.append(second)
        twins = (first.number, second.number)
    return Estate(servers=hosts, vms=tuple(made), awkward=awkward, twins=twins)


def make_server(text: str, *, number: int, shift: int = 0, name: str | None = None) -> BackupServerRecord:
    """A backup server drawn from a text; the number picks site and version, the shift another first site."""
    digest = draw(text)
    site, again = SITES[(number + shift) % len(SITES)], number // len(SITES)
    name = name if name is not None else f"vbr-{site}{again + 1 if again else ''}.example.test"
    return BackupServerRecord(
        uid=f"urn:veeam:BackupServer:{guid(digest)}",
        name=name,
        description="" if number % 2 else "Created by the stand-in",
        dns_name=name,
        version=VERSIONS[number % len(VERSIONS)],
        thumbprint=digest[16:36].hex().upper(),
    )


def _ordinary_name(number: int) -> str:
    return f"{STEMS[number * 7 % len(STEMS)]}{number // len(STEMS) * 3 + number % 3 + 1}"


def _make_vm(seed: int, number: int, name: str, servers: int, *, server: int | None = None) -> Vm:
    digest = draw(f"{seed}|vm|{number}")
    stale = number % 41 == 40
    return Vm(
        number=number,
        name=name,
        server=int(fraction(digest, 16) * servers) if server is None else server,
        object_ref=f"urn:VMware:Vm:{guid(draw(f'{seed}|vcenter'))}.vm-{1000 + number}",
        minute=int(fraction(digest, 20) * 180),
        last_backup_days_before_epoch=5 + digest[24] % 20 if stale else None,
    )
