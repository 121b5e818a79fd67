"""A population in which every list of a report is longer than its bound and every text longer than its place."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from restorereports.models import (
    ClassChange,
    EnterpriseManager,
    Exemption,
    GapNote,
    PolicyVersion,
    RestoreSessionChange,
    RestoreSessionNote,
    User,
    VirtualMachine,
)
from restorereports.policies.terms import MOST_TIERS, Rule, Terms, Tier
from tests.factories import (
    make_backup_server,
    make_outage,
    make_policy,
    make_presence,
    make_run,
    make_user,
)

from .population import AS_OF, Population, july, make_population, make_troubles

WIDE: Final = "W" * 900
UGLY: Final = [
    "x" * 1000,
    "W" * 300,
    "файл-сервер-02 Ωμέγα",
    "财务数据库服务器-生产环境-主节点-" * 10,
    "日本語サーバー 한국어",
    "خادم قاعدة البيانات",
    "שרת-גיבוי",
    "invoice-\u202egnp.exe",
    "emoji-🖥️-👨‍👩‍👧-😀",
    "Z" + "\u0316\u0301\u0347" * 60,
    "देवनागरी-सर्वर क्\u200dष",
    "ไทยเซิร์ฟเวอร์",
    "\ue000private\U000e0041",
    "<img src='file:///etc/passwd'> & <script>",
    "a,b;c\nnewline\ttab\x07bell",
    " blanks  inside and around ",
    "\U0001f600" * 60,
    "\u202e" * 200,
    "name with many words that wrap at blanks " * 9,
]


def make_largest() -> PolicyVersion:
    """130 backup servers with a VM of a long name each, 600 rows of the period, 30 Enterprise Managers in trouble."""
    population = make_population()
    person = make_user(last_name="W" * 100)
    names = itertools.cycle(UGLY)
    for number in range(30):
        _trouble(make_troubles(population, name=f"{number:02} {next(names)}"[:90]), person)
    for number in range(130):
        _restore(population, number, person)
    return _policy(person)


def _trouble(manager: EnterpriseManager, person: User) -> None:
    manager.url, manager.username, manager.pin_sha256 = "https://" + "long." * 90, "svc" * 80, "cd" * 32
    manager.save()
    make_outage(manager, july(2), to_at=july(5), message=WIDE)
    make_run(manager, started_at=AS_OF, role="r" * 80, api_versions="v" * 200)
    GapNote.objects.create(gap=manager.gaps.first(), author=person, at=AS_OF, text="W" * 4000)


def _names(number: int) -> str:
    return f"{'W' * 75}{number:04}" if number % 2 else f"{'服' * 60}{number}"


def _restore(population: Population, number: int, person: User) -> None:
    """One of each kind on a backup server of its own, each with notes, a changed class and a change by EM."""
    name = _names(number)
    server = make_backup_server(population.manager, name=name)
    values: dict[str, Any] = {"job_type": (f"{number % 12}" * 200)[:255], "failure_message": WIDE}
    rows = [
        population.add(server, name, july(9, minute=number % 60), result="Failed", **values),
        population.add(server, name, july(8), state="Working", result="None", **values),
        population.add(
            server, name, july(1) - timedelta(days=2), ended_at=july(3), result="W" * 200, **values
        ),
        *(population.add(server, name, july(10 + day), minutes=600) for day in range(3)),
    ]
    make_presence(server, population.manager, name, july(1) - timedelta(days=200))
    make_presence(server, population.manager, f"never {name}", july(1) - timedelta(days=200))
    RestoreSessionNote.objects.create(
        restore_session=rows[0], author=person, at=AS_OF - timedelta(hours=1), text=WIDE, acknowledges=True
    )
    ClassChange.objects.create(
        restore_session=rows[0], before="", after="test", by=person, at=AS_OF, reason=WIDE
    )
    RestoreSessionChange.objects.create(
        restore_session=rows[0],
        enterprise_manager=population.manager,
        run=population.manager.runs.first(),
        at=AS_OF,
        payload_zlib=b"",
        fields={"job_type": ["W", "x"], "name": ["W", "x"], "progress": [1, 2], "ended_at": ["", ""]},
        kept={"result": ["Failed", "Success"]},
    )


def _tiers() -> Iterator[Tier]:
    """Each has the VMs whose number ends so; the last one all others."""
    for number in range(MOST_TIERS):
        rules = tuple(Rule(name=f"*{end:02}") for end in range(number, 100, MOST_TIERS))
        yield Tier(name=f"{number} {'W' * 57}", window_days=90, target=90, rto_minutes=10, rules=rules)


def _policy(person: User) -> PolicyVersion:
    tiers = tuple(_tiers())
    version = make_policy(
        Terms(
            tiers=tiers,
            other_tier=tiers[-1].name,
            controls=tuple(f"{number} {'W' * 76}" for number in range(20)),
            exclude=tuple(Rule(name=f"{'W' * 180}{number}") for number in range(30)),
            job_types=("RestoreVm", "W" * 255),
        ),
        name="W" * 100,
    )
    for machine in VirtualMachine.objects.filter(name__startswith="never")[:60]:
        Exemption.objects.create(
            policy=version.policy,
            virtual_machine=machine,
            reason=WIDE,
            approver="W" * 150,
            given_at=july(1),
            given_by=person,
            expires_at=AS_OF + timedelta(days=60),
        )
    return version
